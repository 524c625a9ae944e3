"""Models of perturbation screens with the conventions of scvi-tools.

Each file of the folder ``family`` holds one model class and is named after the method that fits it. The
names can be read without loading torch; a class is loaded when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from svae.errors import unknown

if TYPE_CHECKING:
    from svae.models.model import PerturbationModel

FAMILY = tuple(sorted(found.name for found in iter_modules([str(Path(__file__).parent / "family")])))
"""Names of the methods that are model classes."""


def model_class(method: str) -> type[PerturbationModel]:
    """Return the model class of a method.

    Parameters
    ----------
    method
        One of :data:`FAMILY`.

    Raises
    ------
    BenchmarkError
        If there is no such method; it names the nearest one.
    """
    from svae.models.model import PerturbationModel

    if method not in FAMILY:
        raise unknown("model", method, FAMILY, "svae.models")
    module = import_module(f"svae.models.family.{method}")
    [found] = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, PerturbationModel)
        and value.__module__ == module.__name__
    ]
    return found
