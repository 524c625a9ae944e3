"""Find what is added by adding a file: the modules of a package, by their names."""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def names_in(package: ModuleType) -> list[str]:
    """Names of the modules of `package`, sorted, without importing them; a leading underscore hides one."""
    return sorted(module.name for module in iter_modules(package.__path__) if module.name[0] != "_")


def modules_in(package: ModuleType) -> dict[str, ModuleType]:
    """Modules of `package` by name, imported, in the order of :func:`names_in`."""
    return {name: import_module(f"{package.__name__}.{name}") for name in names_in(package)}
