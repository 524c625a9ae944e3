"""Which perturbations a split holds out."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from svae.contracts.combinations import is_combination, parts_of
from svae.contracts.pathways import read_pathways
from svae.datasets.split_plan import Fold, SplitPlan
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
        Perturbations of a dataset, among which the control may be. Where cells are named (by repetitions),
        folds get about equal numbers of them.
    plan
        What to hold out.
    seed
        Of the draw (``random``, ``combinations``); folds have a seed of their own.
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
    if plan.is_several:
        raise BenchmarkError(f"{where}: the plan stands for several splits; take one of them")
    sizes = Counter(labels)
    known = _without_control(sizes)
    if isinstance(plan, Fold):
        held_out = _dealt(known, sizes, plan, where)
    else:
        held_out = _chosen(known, plan, seed, effects, where)
    if len(held_out) == len(known):
        raise BenchmarkError(
            f"{where}: all {len(held_out)} perturbations would be held out; one at least has to be trained on"
        )
    return held_out


def choose_unused(
    labels: Iterable[str], plan: SplitPlan, held_out: Iterable[str], seed: int, where: str = "split"
) -> list[str]:
    """Return the combinations that a split neither trains on nor holds out; other kinds of splits have none.

    Parameters
    ----------
    labels
        Perturbations of a dataset; repetitions and the control do no harm.
    plan
        What to hold out, and how many of the other combinations to train on.
    held_out
        What :func:`choose_held_out` chose.
    seed
        Of the draw. With one seed, those that a smaller fraction trains on are among those of a larger one.
    where
        Name of the split, for error messages.

    Raises
    ------
    BenchmarkError
        If the plan asks for combinations to train on, but there are no others.
    """
    if plan.kind != "combinations":
        return []
    others = [name for name in _without_control(labels) if is_combination(name) and name not in {*held_out}]
    fraction = plan.trained_combinations
    if not others and fraction > 0 and "trained_combinations" in plan.model_fields_set:
        raise BenchmarkError(
            f"{where}: trained_combinations is {fraction:g}, but all combinations would be held out, so that "
            "none is left to train on"
        )
    trained = max(1, round(fraction * len(others))) if fraction else 0
    random = np.random.default_rng(seed_from(seed, "trained combinations"))
    return sorted(random.permutation(others)[trained:].tolist())


def refuse_few_cells(
    sizes: Mapping[str, int],
    held_out: Iterable[str],
    unused: Iterable[str] = (),
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
        Perturbations that are held out.
    unused
        Perturbations that nothing is done with; all others are trained on.
    min_held_out, min_trained
        Fewest cells for which the halves (or training and validation) mean anything.
    where
        Name of the split, for error messages.
    """
    held_out, unused = set(held_out), set(unused)
    for name, size in sizes.items():
        if name in unused:
            continue
        needed, use = (min_held_out, "held out") if name in held_out else (min_trained, "trained on")
        if size < needed:
            raise BenchmarkError(
                f"{where}: perturbation '{name}' has {size} cells, but needs {needed} to be {use}"
            )


def _chosen(
    known: Sequence[str], plan: SplitPlan, seed: int, effects: pd.Series | None, where: str
) -> list[str]:
    """Return the perturbations that the plan asks for, be it all of them."""
    if plan.kind == "random":
        return _drawn(known, _number(known, plan, where), seed)
    if plan.kind == "largest_effect":
        if effects is None:
            raise BenchmarkError(f"{where}: effect sizes of the perturbations are needed")
        return sorted(effects[known].nlargest(_number(known, plan, where)).index)
    if plan.kind == "named":
        return _named(known, plan, where)
    if plan.kind == "combinations":
        return _combinations(known, plan, seed, where)
    return _members(known, plan, where)


def _dealt(known: Sequence[str], sizes: Mapping[str, int], plan: Fold, where: str) -> list[str]:
    """Return the perturbations of one fold.

    In the order of their sizes, so many perturbations at a time as there are folds are dealt, one to each
    fold at random. All folds of a plan therefore differ by one perturbation at most.
    """
    if plan.folds > len(known):
        raise BenchmarkError(
            f"{where}: folds is {plan.folds}, but the dataset has {len(known)} perturbations"
        )
    random = np.random.default_rng(plan.seed)
    shuffled = random.permutation(np.array(known, dtype=object))
    by_size = shuffled[np.argsort([-sizes[name] for name in shuffled], kind="stable")]
    rounds = math.ceil(len(known) / plan.folds)
    folds = np.concatenate([random.permutation(plan.folds) for _ in range(rounds)])[: len(known)]
    return sorted(by_size[folds == plan.fold - 1])


def _drawn(names: Sequence[str], number: int, seed: int) -> list[str]:
    """Draw so many of the names."""
    random = np.random.default_rng(seed_from(seed, "held out"))
    return sorted(random.choice(names, number, replace=False).tolist())


def _number(known: Sequence[str], plan: SplitPlan, where: str, what: str = "perturbations") -> int:
    """Return how many of the known perturbations a number, or a fraction, of them is."""
    assert isinstance(plan.held_out, int | float)  # so says the plan
    number = plan.held_out if plan.held_out >= 1 else max(1, round(plan.held_out * len(known)))
    if number > len(known):
        raise BenchmarkError(f"{where}: held_out is {plan.held_out}, but the dataset has {len(known)} {what}")
    return int(number)


def _named(known: Sequence[str], plan: SplitPlan, where: str, what: str = "perturbation") -> list[str]:
    """Return the perturbations in a list of names and ranges."""
    for name in plan.names:
        if name not in known:
            raise unknown(what, name, known, f"{where}: held_out")
    return plan.names


def _combinations(known: Sequence[str], plan: SplitPlan, seed: int, where: str) -> list[str]:
    """Return the combinations that the plan asks for; each of their parts has cells of its own."""
    alone = set(known)
    unseen = {name: sorted({*parts_of(name)} - alone) for name in known if is_combination(name)}
    if not unseen:
        raise BenchmarkError(f"{where}: the dataset has no combinations, whose labels read 'A+B'")
    if isinstance(plan.held_out, str | list):
        named = _named(list(unseen), plan, where, "combination")
        for name in named:
            if unseen[name]:
                raise BenchmarkError(
                    f"{where}: '{name}' cannot be held out, because no cells have its part "
                    f"'{unseen[name][0]}' alone"
                )
        return named
    possible = [name for name, parts in unseen.items() if not parts]
    if not possible:
        name, parts = next(iter(unseen.items()))
        raise BenchmarkError(
            f"{where}: none of the {len(unseen)} combinations can be held out, because no cells have their "
            f"parts alone: '{parts[0]}' of '{name}', for one"
        )
    return _drawn(possible, _number(possible, plan, where, "combinations whose parts have cells alone"), seed)


def _without_control(labels: Iterable[str]) -> list[str]:
    return sorted(set(labels) - {CONTROL})


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
