"""Which perturbations a split holds out."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from svae.datasets.split_plan import SplitPlan
from svae.errors import BenchmarkError, unknown
from svae.seeds import seed_from
from svae.words import CONTROL

_RANGE = re.compile(r"(?P<prefix>.*?)(?P<first>\d+)\.\.(?P=prefix)(?P<last>\d+)")


def choose_held_out(
    labels: Iterable[str], plan: SplitPlan, seed: int, effects: pd.Series | None = None
) -> list[str]:
    """Return the perturbations that a split holds out, never the control.

    Parameters
    ----------
    labels
        Perturbations of a dataset; repetitions and the control do no harm.
    plan
        What to hold out.
    seed
        Of the draw (``random``).
    effects
        Effect size per perturbation (``largest_effect``), from :func:`svae.datasets.effects.effect_sizes`.

    Raises
    ------
    BenchmarkError
        For a perturbation or pathway that does not exist, or a number that cannot be held out.
    """
    known = sorted(set(labels) - {CONTROL})
    if plan.kind == "random":
        random = np.random.default_rng(seed_from(seed, "held out"))
        return sorted(random.choice(known, _number(known, plan), replace=False).tolist())
    if plan.kind == "largest_effect":
        if effects is None:
            raise BenchmarkError("split 'largest_effect': effect sizes of the perturbations are needed")
        return sorted(effects[known].nlargest(_number(known, plan)).index)
    if plan.kind == "named":
        return _named(known, plan.held_out)
    return _members(known, plan)


def read_pathways(path: str | Path) -> dict[str, list[str]]:
    """Read pathway → perturbations from a JSON file, at its top or under the key ``pathways``."""
    path = Path(path)
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{path}: not a readable JSON file ({error})") from error
    if isinstance(found, dict):
        found = found.get("pathways", found)
    if not isinstance(found, dict) or not all(isinstance(members, list) for members in found.values()):
        raise BenchmarkError(f"{path}: not a mapping of pathway to a list of perturbations")
    return found


def _number(known: Sequence[str], plan: SplitPlan) -> int:
    """Return how many of the known perturbations a number, or a fraction, of them is."""
    asked, where = plan.held_out, f"split '{plan.kind}'"
    if not isinstance(asked, int | float) or asked <= 0:
        raise BenchmarkError(f"{where}: held_out is {asked!r}, but must be a number or a fraction")
    number = max(1, round(asked * len(known))) if asked < 1 else asked
    if number != int(number) or number > len(known):
        raise BenchmarkError(
            f"{where}: held_out is {asked}, but must be less than 1 "
            f"or a whole number of the {len(known)} perturbations"
        )
    return int(number)


def _named(known: Sequence[str], held_out: float | str | list[str]) -> list[str]:
    """Return the perturbations in a list of names and ranges."""
    if isinstance(held_out, int | float):
        raise BenchmarkError(f"split 'named': held_out is {held_out}, but must be a list of perturbations")
    names = _written_out([held_out] if isinstance(held_out, str) else held_out)
    for name in names:
        if name == CONTROL:
            raise BenchmarkError(f"split 'named': '{CONTROL}' cannot be held out")
        if name not in known:
            raise unknown("perturbation", name, known, "split 'named': held_out")
    if not names:
        raise BenchmarkError("split 'named': held_out is an empty list")
    return names


def _members(known: Sequence[str], plan: SplitPlan) -> list[str]:
    """Return the perturbations of a pathway; names that the dataset lacks are passed over."""
    pathways: Mapping[str, list[str]] = {} if plan.pathways is None else read_pathways(plan.pathways)
    pathway = str(plan.held_out)
    if pathway not in pathways:
        where = f"split 'pathway': {plan.pathways or 'pathways (no file is named)'}"
        raise unknown("pathway", pathway, pathways, where)
    members = sorted(set(pathways[pathway]) & set(known))
    if len(members) < 2:
        raise BenchmarkError(
            f"split 'pathway': '{pathway}' has {len(members)} perturbations in the dataset, but needs 2"
        )
    return members


def _written_out(names: Sequence[str]) -> list[str]:
    """Write ranges such as ``p80..p99`` out."""
    expanded: list[str] = []
    for name in names:
        match = _RANGE.fullmatch(name)
        if match is None:
            expanded.append(name)
            continue
        prefix, first, last = match["prefix"], match["first"], match["last"]
        expanded += [f"{prefix}{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
    return expanded
