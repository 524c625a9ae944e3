"""Typed options: what a user may set, each default stated once, and mistakes told in one sentence."""

import re
import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from svae.errors import BenchmarkError, unknown, written_out
from svae.values import UNKNOWN_NAME

UNKNOWN_KEY = "unknown_key"


class Options(BaseModel):
    """Base of all options: unknown keys are refused, types are not converted, values do not change.

    Numbers are the exception: :mod:`svae.values` reads them from text, too. The docstring under a field
    describes it; schema and reference page are made from these.
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


class GeneratedOptions(Options):
    """Base of options that are made while a program runs: no source describes their fields."""

    model_config = ConfigDict(use_attribute_docstrings=False)  # the search for one takes long


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
        raise sentence_of(error, entry, where) from None


def sentence_of(error: ValidationError, entry: Any, where: str) -> BenchmarkError:
    """Tell one mistake, the most deeply nested one.

    Where several types are allowed, pydantic reports one mistake per type, all at the same place.

    Parameters
    ----------
    error
        What pydantic says of `entry`.
    entry
        What was validated.
    where
        Name of the file or argument that `entry` comes from.
    """
    mistakes = error.errors()
    places = [_place(mistake["loc"], entry) for mistake in mistakes]
    deepest = max(places, key=len)
    here = [mistake for mistake, place in zip(mistakes, places, strict=True) if place == deepest]
    path = ": ".join([where, *deepest])
    for mistake in here:
        if mistake["type"] == UNKNOWN_KEY:
            return unknown("key", mistake["ctx"]["key"], mistake["ctx"]["known"], path)
        if mistake["type"] == UNKNOWN_NAME:
            return unknown(mistake["ctx"]["kind"], mistake["input"], mistake["ctx"]["known"], path)
        if mistake["type"] == "literal_error":
            # pydantic hands the choices over as text: "'a', 'b' or 'c'".
            choices = re.findall(r"'([^']*)'", mistake["ctx"]["expected"])
            return unknown(deepest[-1], mistake["input"], choices, path)
        if mistake["type"] == "missing":
            return BenchmarkError(f"{path}: '{mistake['loc'][-1]}' is a required property")
        if mistake["type"] == "value_error":
            return BenchmarkError(f"{path}: {mistake['ctx']['error']}")
    messages = dict.fromkeys(_message(mistake) for mistake in here)
    return BenchmarkError(f"{path}: {', or '.join(messages)} (found: {_shown(here[0]['input'])})")


def _message(mistake: Mapping[str, Any]) -> str:
    """Say what a value should be, in words of config files."""
    kind, found = mistake["type"], mistake["input"]
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return "should be a mapping of keys to values"
    if kind == "too_short" and len(found) == 0:
        return "name at least one, or leave the key out" if isinstance(found, list) else "name at least one"
    if kind == "string_type" and not isinstance(found, str | Mapping | list):
        return "should be text; put it in quotes"  # YAML reads 1 as a number and yes as a truth value
    text = mistake["msg"]
    return text[:1].lower() + text[1:]


def _shown(value: Any) -> str:
    """What was found, on one short line."""
    return " ".join(reprlib.repr(value).split())


def _place(location: tuple[int | str, ...], entry: Any) -> list[str]:
    """Return the keys of `entry` in `location`, which also names the types that pydantic tried."""
    place = []
    for key in location:
        known = range(len(entry)) if isinstance(entry, list) else entry
        if isinstance(entry, Mapping | list) and key in known:
            entry = entry[key]  # type: ignore[index]
            place.append(written_out(key, 80) or "''")
    return place
