"""Which perturbations a split holds out."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from svae.datasets.split_plan import SplitPlan
from svae.errors import BenchmarkError, unknown
from svae.seeds import seed_from
from svae.words import CONTROL

FEWEST_HELD_OUT = 4
"""Cells of a held-out perturbation: two halves, neither of which is a single cell."""


def choose_held_out(
    labels: Iterable[str],
    plan: SplitPlan,
    seed: int,
    effects: pd.Series | None = None,
    where: str = "split",
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
    where
        Name of the split, for error messages.

    Raises
    ------
    BenchmarkError
        For a perturbation or pathway that does not exist, or a number that cannot be held out; or if no
        perturbation would be left to train on.
    """
    known = sorted(set(labels) - {CONTROL})
    held_out = _chosen(known, plan, seed, effects, where)
    if len(held_out) == len(known):
        raise BenchmarkError(
            f"{where}: all {len(held_out)} perturbations would be held out; one at least has to be trained on"
        )
    return held_out


def refuse_few_cells(
    sizes: Mapping[str, int],
    held_out: Iterable[str],
    min_held_out: int = FEWEST_HELD_OUT,
    min_trained: int = 2,
    where: str = "split",
) -> None:
    """Raise a :class:`BenchmarkError` if a perturbation has too few cells for what it is used for.

    Parameters
    ----------
    sizes
        Cells of each perturbation.
    held_out
        Perturbations that are held out; the others are trained on.
    min_held_out, min_trained
        Fewest cells for which the halves (or training and validation) mean anything.
    where
        Name of the split, for error messages.
    """
    held_out = set(held_out)
    for name, size in sizes.items():
        needed, use = (min_held_out, "held out") if name in held_out else (min_trained, "trained on")
        if size < needed:
            raise BenchmarkError(
                f"{where}: perturbation '{name}' has {size} cells, but needs {needed} to be {use}"
            )


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


def _chosen(
    known: Sequence[str], plan: SplitPlan, seed: int, effects: pd.Series | None, where: str
) -> list[str]:
    """Return the perturbations that the plan asks for, be it all of them."""
    if plan.kind == "random":
        random = np.random.default_rng(seed_from(seed, "held out"))
        return sorted(random.choice(known, _number(known, plan, where), replace=False).tolist())
    if plan.kind == "largest_effect":
        if effects is None:
            raise BenchmarkError(f"{where}: effect sizes of the perturbations are needed")
        return sorted(effects[known].nlargest(_number(known, plan, where)).index)
    if plan.kind == "named":
        return _named(known, plan, where)
    return _members(known, plan, where)


def _number(known: Sequence[str], plan: SplitPlan, where: str) -> int:
    """Return how many of the known perturbations a number, or a fraction, of them is."""
    assert isinstance(plan.held_out, int | float)  # so says the plan
    number = plan.held_out if plan.held_out >= 1 else max(1, round(plan.held_out * len(known)))
    if number > len(known):
        raise BenchmarkError(
            f"{where}: held_out is {plan.held_out}, but the dataset has {len(known)} perturbations"
        )
    return int(number)


def _named(known: Sequence[str], plan: SplitPlan, where: str) -> list[str]:
    """Return the perturbations in a list of names and ranges."""
    for name in plan.names:
        if name not in known:
            raise unknown("perturbation", name, known, f"{where}: held_out")
    return plan.names


def _members(known: Sequence[str], plan: SplitPlan, where: str) -> list[str]:
    """Return the perturbations of a pathway; names that the dataset lacks are passed over."""
    assert plan.pathways is not None  # so says the plan
    pathways, pathway = read_pathways(plan.pathways), str(plan.held_out)
    if pathway not in pathways:
        raise unknown("pathway", pathway, pathways, f"{where}: held_out: {plan.pathways}")
    members = sorted(set(pathways[pathway]) & set(known))
    if len(members) < 2:
        raise BenchmarkError(
            f"{where}: pathway '{pathway}' has {len(members)} perturbations in the dataset, but needs 2"
        )
    return members
