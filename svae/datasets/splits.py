"""Splits: which perturbations are held out, and what each cell is used for.

The cells of a trained perturbation are ``train`` or ``validation``; those of a held-out one are ``adapt`` or
``test``, half and half. Cells are drawn within each perturbation from a seed of its own name, so that a
perturbation more or less leaves the cells of the others where they were.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd

from svae.contracts.split import HELD_OUT_PARTS
from svae.errors import BenchmarkError, unknown
from svae.seeds import seed_from
from svae.words import CONTROL

Kind = Literal["random", "named", "pathway", "largest_effect"]
"""How the held-out perturbations are chosen."""


_RANGE = re.compile(r"(?P<prefix>.*?)(?P<first>\d+)\.\.(?P=prefix)(?P<last>\d+)")


def split(
    labels: pd.Series,
    kind: Kind,
    seed: int,
    held_out: float | str | Sequence[str],
    pathways: Mapping[str, Sequence[str]] | None = None,
    effects: pd.Series | None = None,
    validation: float = 0.1,
    min_cells_held_out: int = 4,
    min_cells_trained: int = 2,
) -> pd.DataFrame:
    """Split the cells of a dataset.

    Parameters
    ----------
    labels
        Perturbation of each cell, indexed by cell: ``dataset.obs["perturbation"]``.
    kind
        ``random`` draws perturbations, ``named`` takes them as given, ``pathway`` takes those of a pathway,
        ``largest_effect`` those that change cells the most.
        The control is never held out.
    seed
        Of the perturbations (``random``) and of the cells.
    held_out
        For ``random`` and ``largest_effect``, a number of perturbations (a whole number) or a fraction of
        them (below 1); for ``named``, a list of perturbations, in which ``p80..p99`` stands for p80, p81,
        … p99; for ``pathway``, its name.
    pathways
        Pathway → perturbations, for ``pathway`` (see :func:`read_pathways`); names that the dataset lacks
        are passed over.
    effects
        Effect size per perturbation, for ``largest_effect`` (see :func:`svae.datasets.effects.effect_sizes`).
    validation
        Fraction of the cells of each trained perturbation, but at least one of them; 0 for none.
    min_cells_held_out, min_cells_trained
        Fewest cells of a perturbation for which the halves (or training and validation) mean anything.

    Returns
    -------
    One row per cell, in the order of `labels`: ``cell``, ``perturbation``, ``part``.

    Raises
    ------
    BenchmarkError
        For an unknown kind, perturbation or pathway, if nothing is left to train on, or if a perturbation
        has too few cells.
    """
    if not 0 <= validation < 1:
        raise BenchmarkError(f"split: validation is {validation}, but must be at least 0 and less than 1")
    labels = labels.astype(str)
    chosen = set(_choose(labels, kind, seed, held_out, pathways or {}, effects))
    if not set(labels) - chosen - {CONTROL}:
        raise BenchmarkError(
            f"split '{kind}': all {len(chosen)} perturbations are held out, none is trained on"
        )
    parts = np.empty(len(labels), dtype=object)
    for name, rows in sorted(labels.groupby(labels.to_numpy()).indices.items()):
        needed, use = (
            (min_cells_held_out, "held out") if name in chosen else (min_cells_trained, "trained on")
        )
        if len(rows) < needed:
            raise BenchmarkError(
                f"split '{kind}': perturbation '{name}' has {len(rows)} cells, but needs {needed} to be {use}"
            )
        shuffled = np.random.default_rng(seed_from(seed, "cells", name)).permutation(rows)
        if name in chosen:
            # Of an odd number of cells, the one over goes to the half that is scored.
            first, second, size = *HELD_OUT_PARTS, len(rows) // 2
        else:
            wanted = max(1, round(validation * len(rows))) if validation else 0
            first, second, size = "validation", "train", min(wanted, len(rows) - 1)
        parts[shuffled[:size]], parts[shuffled[size:]] = first, second
    return pd.DataFrame({"cell": labels.index.astype(str), "perturbation": labels.to_numpy(), "part": parts})


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


def _choose(
    labels: pd.Series,
    kind: str,
    seed: int,
    held_out: float | str | Sequence[str],
    pathways: Mapping[str, Sequence[str]],
    effects: pd.Series | None,
) -> list[str]:
    """Return the perturbations to hold out."""
    known = sorted(set(labels) - {CONTROL})
    if kind == "random":
        random = np.random.default_rng(seed_from(seed, "held out"))
        return sorted(random.choice(known, _number(known, kind, held_out), replace=False).tolist())
    if kind == "largest_effect":
        if effects is None:
            raise BenchmarkError("split 'largest_effect': effect sizes of the perturbations are needed")
        return sorted(effects[known].nlargest(_number(known, kind, held_out)).index)
    if kind == "named":
        if isinstance(held_out, (int, float)):
            raise BenchmarkError(
                f"split 'named': held_out is {held_out}, but must be a list of perturbations"
            )
        names = _expand([held_out] if isinstance(held_out, str) else held_out)
        for name in names:
            if name == CONTROL:
                raise BenchmarkError(f"split 'named': '{CONTROL}' cannot be held out")
            if name not in known:
                raise unknown("perturbation", name, known, "split 'named': held_out")
        if not names:
            raise BenchmarkError("split 'named': held_out is an empty list")
        return names
    if kind == "pathway":
        if held_out not in pathways:
            raise unknown("pathway", held_out, pathways, "split 'pathway': held_out")
        members = sorted(set(pathways[str(held_out)]) & set(known))
        if len(members) < 2:
            raise BenchmarkError(
                f"split 'pathway': '{held_out}' has {len(members)} perturbations in the dataset, but needs 2"
            )
        return members
    raise unknown("kind", kind, get_args(Kind), "split")


def _number(known: list[str], kind: str, held_out: float | str | Sequence[str]) -> int:
    """Return how many of the known perturbations a number, or a fraction, of them is."""
    if isinstance(held_out, bool) or not isinstance(held_out, (int, float)) or held_out <= 0:
        raise BenchmarkError(f"split '{kind}': held_out is {held_out!r}, but must be a number or a fraction")
    number = max(1, round(held_out * len(known))) if held_out < 1 else held_out
    if number != int(number) or number > len(known):
        raise BenchmarkError(
            f"split '{kind}': held_out is {held_out}, but must be less than 1 "
            f"or a whole number of the {len(known)} perturbations"
        )
    return int(number)


def _expand(names: Sequence[str]) -> list[str]:
    """Write ranges such as ``p80..p99`` out."""
    expanded: list[str] = []
    for name in names:
        match = _RANGE.fullmatch(str(name))
        if match is None:
            expanded.append(str(name))
            continue
        prefix, first, last = match["prefix"], match["first"], match["last"]
        expanded += [f"{prefix}{i:0{len(first)}d}" for i in range(int(first), int(last) + 1)]
    return expanded
