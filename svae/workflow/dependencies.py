"""Which files of this package a script runs, so that rules can name them as inputs.

Snakemake reruns a job when its inputs change, but does not look inside what a script imports.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
CHANGE_NO_NUMBER = {
    PACKAGE / file for file in ("errors.py", "workflow/fitting.py", "workflow/guard.py", "workflow/logs.py")
}
"""Files that jobs run, but that no number follows from: editing them is no reason to train again."""


def package_files(script: str | Path) -> list[Path]:
    """Find the files of the package that a script runs.

    Import statements are followed, those inside functions included. A package that imports all modules of
    its folder, with ``iter_modules(__path__)``, runs all of them. A folder from which only one module is
    chosen by name, such as that of the simulators, is not followed: the rule names the module.

    Parameters
    ----------
    script
        A Python file.

    Returns
    -------
    Paths of modules, and of what lies in their packages beside them, such as templates; sorted. Files that
    change no number are left out, with what only they import.
    """
    found: set[Path] = set()
    waiting = [Path(script)]
    while waiting:
        path = waiting.pop()
        if path not in found | CHANGE_NO_NUMBER:
            found.add(path)
            waiting += _followed(path)
    return sorted(found - {Path(script)})


@cache
def _followed(path: Path) -> list[Path]:
    """Files of the package that one file imports, or has beside it."""
    if path.suffix != ".py":
        return []
    files: list[Path] = []
    for node in _run(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.ImportFrom(module=str(module), names=taken):
                files += _files(module)
                for alias in taken:
                    files += _files(f"{module}.{alias.name}")
            case ast.Import(names=modules):
                for alias in modules:
                    files += _files(alias.name)
                    if alias.name == PACKAGE.name:
                        # `import svae` alone means the model classes, which are loaded on first use.
                        files += (PACKAGE / "models").rglob("*.py")
            case ast.Call(func=ast.Name(id="iter_modules"), args=[ast.Name(id="__path__")]):
                files += path.parent.glob("*.py")
    if path.name == "__init__.py" and path.parent != PACKAGE:
        files += [file for file in path.parent.iterdir() if file.is_file() and file.suffix != ".py"]
    return files


def _run(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes below `tree`, except what is there for type checkers, or runs on demand of an attribute."""
    waiting = [tree]
    while waiting:
        for node in ast.iter_child_nodes(waiting.pop()):
            match node:
                case ast.If(test=ast.Name(id="TYPE_CHECKING")) | ast.FunctionDef(name="__getattr__"):
                    continue
            waiting.append(node)
            yield node


def _files(module: str) -> list[Path]:
    """Files that importing `module` runs: those of its packages, and its own; none of other packages'."""
    package, *parts = module.split(".")
    if package != PACKAGE.name:
        return []
    files = [PACKAGE.joinpath(*parts[:i], "__init__.py") for i in range(len(parts) + 1)]
    if parts:
        files.append(PACKAGE.joinpath(*parts).with_suffix(".py"))
    return [file for file in files if file.is_file()]
