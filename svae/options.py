"""Typed options: what a user may set, each default stated once, and mistakes told in one sentence."""

import re
import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from svae.errors import BenchmarkError, unknown

UNKNOWN_KEY = "unknown_key"


class Options(BaseModel):
    """Base of all options: unknown keys are refused, types are not converted, values do not change.

    The docstring under a field describes it; schema and reference page are made from these.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _keys_are_known(cls, entry: Any) -> Any:
        """Refuse unknown keys before anything else: a missing key is often a misspelt one."""
        if isinstance(entry, Mapping):
            known = [field.alias or name for name, field in cls.model_fields.items()]
            for key in entry:
                if key not in known:
                    raise PydanticCustomError(UNKNOWN_KEY, "unknown key", {"key": key, "known": known})
        return entry


Model = TypeVar("Model", bound=Options)


def checked(model: type[Model], entry: Any, where: str) -> Model:
    """Make options of the type `model` from the mapping `entry`.

    Parameters
    ----------
    model
        A subclass of :class:`Options`.
    entry
        What was read from a file: mappings, lists, texts and numbers.
    where
        Name of the file or argument that `entry` comes from, for the error message.

    Raises
    ------
    BenchmarkError
        With one sentence that names `where`, the path of the key, and the nearest valid choice.
    """
    try:
        return model.model_validate(entry)
    except ValidationError as error:
        raise _sentence(error, entry, where) from None


def _sentence(error: ValidationError, entry: Any, where: str) -> BenchmarkError:
    """Tell one mistake, the most deeply nested one.

    Where several types are allowed, pydantic reports one mistake per type, all at the same place.
    """
    mistakes = error.errors()
    places = [_place(mistake["loc"], entry) for mistake in mistakes]
    deepest = max(places, key=len)
    here = [mistake for mistake, place in zip(mistakes, places, strict=True) if place == deepest]
    path = ": ".join([where, *deepest])
    for mistake in here:
        if mistake["type"] == UNKNOWN_KEY:
            return unknown("key", mistake["ctx"]["key"], mistake["ctx"]["known"], path)
        if mistake["type"] == "literal_error":
            # pydantic hands the choices over as text: "'a', 'b' or 'c'".
            choices = re.findall(r"'([^']*)'", mistake["ctx"]["expected"])
            return unknown(deepest[-1], mistake["input"], choices, path)
        if mistake["type"] == "missing":
            return BenchmarkError(f"{path}: '{mistake['loc'][-1]}' is a required property")
        if mistake["type"] == "value_error":
            return BenchmarkError(f"{path}: {mistake['ctx']['error']}")
    messages = dict.fromkeys(_lower_first(mistake["msg"]) for mistake in here)
    return BenchmarkError(f"{path}: {', or '.join(messages)} (found: {reprlib.repr(here[0]['input'])})")


def _place(location: tuple[int | str, ...], entry: Any) -> list[str]:
    """Return the keys of `entry` in `location`, which also names the types that pydantic tried."""
    place = []
    for key in location:
        known = range(len(entry)) if isinstance(entry, list) else entry
        if isinstance(entry, Mapping | list) and key in known:
            entry = entry[key]  # type: ignore[index]
            place.append(str(key))
    return place


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
