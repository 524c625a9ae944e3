"""Whether the options of methods exist and are in range, before the first job; without loading a method."""

import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from pydantic import create_model

from svae.errors import BenchmarkError, unknown, written_out
from svae.methods.options import OPTIONS, refuse_useless
from svae.models import FAMILY
from svae.models.arguments import (
    DECIDED_BY_THE_BENCHMARK,
    OF_MASKS,
    has_masks,
    model_options,
    shared_options,
)
from svae.options import GeneratedOptions, Options, checked
from svae.workflow.sections import MethodOptions

MOST_SETTINGS = 10_000
"""A grid with more combinations is a mistake."""

LONGEST_NAME = 200
"""File systems take names of 255 bytes; a setting's name gets a suffix, and a temporary file another."""

FILE_NAME = re.compile(r"[A-Za-z0-9_.+=-]+")


def read_training(training: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Check the options that all trained models share; return them with their numbers read.

    Parameters
    ----------
    training
        The section `training` of a scope.
    where
        Name of the config file, for the error message.

    Raises
    ------
    BenchmarkError
        For an option that there is not, or a value out of range.
    """
    place = f"{where}: training"
    if "n_latent" in training:
        raise BenchmarkError(f"{place}: n_latent: the number of latents is the key 'latents' of the scope")
    known = shared_options()
    _refuse_unknown(training, set(known.model_fields) - {"n_latent"}, place)
    return {name: _value(known, name, value, place) for name, value in training.items()}


def read_method(method: str, entry: MethodOptions, where: str) -> MethodOptions:
    """Check the options and the grid of a method; return them with their numbers read.

    Of a method with a program of its own, nobody but the program knows the options: they are only checked to
    be what JSON can hold, as programs get them in that form.

    Parameters
    ----------
    method
        Name of the method.
    entry
        What the scope says of it.
    where
        Name of the config file, for the error message.

    Raises
    ------
    BenchmarkError
        For an option that there is not, a value out of range, or settings that cannot be told apart.
    """
    place = f"{where}: methods: {method}"
    twice = sorted(set(entry.options) & set(entry.grid))
    if twice:
        raise BenchmarkError(f"{place}: '{twice[0]}' is in options and in grid; keep one of them")
    for section, names in (("options", entry.options), ("grid", entry.grid)):
        _check_names(method, names, f"{place}: {section}")
    options = {
        name: _option(method, name, value, f"{place}: options") for name, value in entry.options.items()
    }
    grid = {
        name: [_option(method, name, value, f"{place}: grid") for value in values]
        for name, values in entry.grid.items()
    }
    for name, values in grid.items():
        _refuse_repeated(values, f"{place}: grid: {name}")
    read = entry.model_copy(update={"options": options, "grid": grid})
    _check_settings(read, place)
    for setting, chosen in read.points().items():
        refuse_useless(method, chosen, f"{place}: setting '{setting}'")
    return read


def _known_options(method: str) -> type[Options] | None:
    """Return the options of a method; None for one with a program of its own."""
    return model_options(method) if method in FAMILY else OPTIONS.get(method)


def _check_names(method: str, names: Iterable[str], place: str) -> None:
    known = _known_options(method)
    if known is None:
        return
    useless = OF_MASKS if method in FAMILY and not has_masks(method) else ()
    for name in names:
        if name in useless:
            raise BenchmarkError(f"{place}: '{name}' does nothing to {method}, which has no masks")
        if not known.model_fields:
            raise BenchmarkError(f"{place}: unknown option '{name}': {method} has no options")
    _refuse_unknown(names, set(known.model_fields) - set(useless), place)


def _refuse_unknown(names: Iterable[str], known: Iterable[str], place: str) -> None:
    for name in names:
        if name in DECIDED_BY_THE_BENCHMARK:
            raise BenchmarkError(f"{place}: '{name}' is no option: the benchmark hands it to the model")
        if name not in known:
            raise unknown("option", name, known, place)


def _option(method: str, name: str, value: Any, place: str) -> Any:
    known = _known_options(method)
    if known is not None:
        return _value(known, name, value, place)
    if not _is_json(value):
        raise BenchmarkError(f"{place}: {name}: {value!r} cannot be handed to a program; put it in quotes")
    return value


def _value(known: type[Options], name: str, value: Any, place: str) -> Any:
    """Return the value of an option, read as its type has it; a whole number stays as it was written."""
    read = checked(_alone(known, name), {name: value}, place).model_dump(exclude_unset=True)[name]
    return value if type(value) is int else read


@cache
def _alone(known: type[Options], name: str) -> type[Options]:
    """Return one option alone: one that is required beside it, as n_latent, can come from elsewhere."""
    field = known.model_fields[name]
    fields: dict[str, Any] = {name: (field.annotation, field)}
    return create_model("Option", __base__=GeneratedOptions, **fields)


def _refuse_repeated(values: list[Any], place: str) -> None:
    for number, value in enumerate(values):
        if any(value == other and type(value) is not bool for other in values[:number]):
            raise BenchmarkError(f"{place}: {value!r} is listed twice")


def _is_json(value: Any) -> bool:
    """Whether JSON can hold a value, with texts as keys."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    if isinstance(value, float):
        return value - value == 0  # neither NaN nor infinite
    return value is None or isinstance(value, str | int)


def _check_settings(entry: MethodOptions, place: str) -> None:
    """Refuse settings whose names are no names of files, or the same for two of them."""
    number = math.prod(len(values) for values in entry.grid.values())
    if number > MOST_SETTINGS:
        raise BenchmarkError(
            f"{place}: grid: has {number:,} combinations, but {MOST_SETTINGS:,} are the most"
        )
    names = [entry.name_of(point) for point in entry.combinations()]
    for name in names:
        if not FILE_NAME.fullmatch(name):
            raise BenchmarkError(
                f"{place}: grid: '{written_out(name, 60)}' cannot name a file; "
                "values of a grid take letters, digits, '.', '_', '+' and '-'"
            )
        if len(name) > LONGEST_NAME:
            raise BenchmarkError(
                f"{place}: grid: the name '{written_out(name, 60)}' is longer than {LONGEST_NAME} "
                "characters; move options with one value to the section options"
            )
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise BenchmarkError(f"{place}: grid: two settings are called '{repeated}'")
