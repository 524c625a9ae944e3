"""Types of the values that a user may set, each with its range.

YAML 1.1 takes `1e-3` for text, and `2.0` is a float. Where a number is wanted, text that reads as one is
converted, and so is a float without a fraction where a whole number is wanted.
"""

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

LARGEST_SEED = 2**63 - 1
"""Files keep seeds as signed integers of 64 bits."""

LARGEST_SEED_OF_DATA = 2**32 - 1
"""Simulators draw from numpy's legacy generator, which takes seeds of 32 bits."""

UNKNOWN_NAME = "unknown_name"
"""Type of the error for a text that is not among the known ones."""

MANY = 10**9
"""No number of cells, genes, epochs or repetitions is as large as this."""


def number_in(value: Any) -> Any:
    """Return the number that `value` is, or that it reads as; anything else as it is.

    >>> number_in("1e-3"), number_in("1e3"), number_in(2), number_in("two")
    (0.001, 1000.0, 2, 'two')
    """
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _whole_number_in(value: Any) -> Any:
    """Return the whole number that `value` is, such as 2.0, or reads as; anything else as it is."""
    number = number_in(value)
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _without_repetition(values: list) -> list:
    """Refuse a list that names something twice."""
    for place, value in enumerate(values):
        if value in values[:place]:
            raise PydanticCustomError("repeated", "{value} is listed twice", {"value": repr(value)})
    return values


def one_of(kind: str, names: Iterable[str]) -> Any:
    """Return the type of a text that is one of `names`; the error tells the nearest `kind`."""
    known = tuple(names)

    def check(name: str) -> str:
        if name not in known:
            raise PydanticCustomError(UNKNOWN_NAME, "unknown name", {"kind": kind, "known": known})
        return name

    return Annotated[str, AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(known)})]


Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(number_in)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False), BeforeValidator(number_in)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False), BeforeValidator(number_in)]
Fraction = Annotated[float, Field(ge=0, le=1), BeforeValidator(number_in)]
OpenFraction = Annotated[float, Field(gt=0, lt=1), BeforeValidator(number_in)]
ProperFraction = Annotated[float, Field(ge=0, lt=1), BeforeValidator(number_in)]
Whole = Annotated[int, BeforeValidator(_whole_number_in)]
Count = Annotated[int, Field(gt=0, le=MANY), BeforeValidator(_whole_number_in)]
BatchSize = Annotated[int, Field(ge=2, le=MANY), BeforeValidator(_whole_number_in)]
"""BatchNorm has no statistics of a single cell."""
Folds = Annotated[int, Field(ge=2, le=1000), BeforeValidator(_whole_number_in)]
WholeNonNegative = Annotated[int, Field(ge=0, le=MANY), BeforeValidator(_whole_number_in)]
Repetitions = Annotated[int, Field(gt=0, le=1000), BeforeValidator(_whole_number_in)]
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED), BeforeValidator(_whole_number_in)]
Text = Annotated[str, StringConstraints(min_length=1)]
Item = TypeVar("Item")
Distinct = Annotated[list[Item], Field(min_length=1), AfterValidator(_without_repetition)]
"""A list that names something, and nothing twice."""
SeedOfData = Annotated[int, Field(ge=0, le=LARGEST_SEED_OF_DATA), BeforeValidator(_whole_number_in)]
Seeds = Distinct[SeedOfData]
Texts = Distinct[Text]
