"""Which cells of a published file are kept."""

import numpy as np
import pandas as pd

from svae.datasets.filters import passes
from svae.datasets.preparation import Preparation
from svae.datasets.published import PublishedTables
from svae.errors import BenchmarkError
from svae.seeds import seed_from
from svae.words import CONTROL


def choose_cells(
    file: PublishedTables, labels: pd.Series, batches: pd.Series | None, preparation: Preparation, seed: int
) -> np.ndarray:
    """Choose the cells to keep: those with a label that pass the filters, a draw of them if asked for.

    Parameters
    ----------
    file
        The published file.
    labels
        Perturbation of each cell; missing where there is none.
    batches
        Batch of each cell, missing where there is none; None without batches.
    preparation
        What to keep.
    seed
        Of the draw of ``max_cells``.

    Returns
    -------
    One boolean per cell of the file.
    """
    chosen = _kept(file, np.ones(len(labels), dtype=bool), labels.notna(), "without a label")
    for name, rule in preparation.filters.items():
        passing = passes(file.column(name), rule, f"{file.path}: filter '{name}'")
        chosen = _kept(file, chosen, passing, f"that the filter '{name}' does not keep")
    if batches is not None:
        chosen = _kept(file, chosen, batches.notna(), "without a batch")
    if preparation.perturbations is not None:
        known = labels.dropna().unique()
        some_will_do = preparation.gene_lists is not None
        wanted = file.present(preparation.perturbations, known, "perturbation", some_will_do)
        has_control = preparation.control is not None or preparation.control_pattern is not None
        controls = [CONTROL] if has_control else []
        chosen = _kept(file, chosen, labels.isin(wanted + controls), "of perturbations that are not listed")
    if preparation.min_cells is not None:
        rare, few = _rare(labels[chosen], preparation.min_cells), f"fewer than {preparation.min_cells} cells"
        file.left_out.add("perturbations", len(rare), f"with {few}", rare)
        chosen = _kept(file, chosen, ~labels.isin(rare), f"of perturbations with {few}")
    if not chosen.any():
        raise BenchmarkError(f"{file.path}: no cell is left of {len(labels)}; loosen the filters")
    if set(labels[chosen]) == {CONTROL}:
        raise BenchmarkError(f"{file.path}: only control cells are left of {len(labels)}; loosen the filters")
    drawn = _drawn(labels.where(chosen), preparation, seed)
    return _kept(file, chosen, drawn, "that were not drawn from those of their perturbation")


def _kept(
    file: PublishedTables, chosen: np.ndarray, passing: np.ndarray | pd.Series, reason: str
) -> np.ndarray:
    """Return which of the chosen cells pass; tell how many do not."""
    passing = np.asarray(passing)
    file.left_out.add("cells", int((chosen & ~passing).sum()), reason)
    return chosen & passing


def _rare(labels: pd.Series, min_cells: int) -> list[str]:
    """Perturbations, other than the control, with too few cells."""
    sizes = labels.value_counts()
    return sorted(name for name in sizes.index[sizes < min_cells] if name != CONTROL)


def _drawn(labels: pd.Series, preparation: Preparation, seed: int) -> np.ndarray:
    """Which cells are among those drawn of each label; missing labels are never drawn.

    The seed of each draw follows from the label's name, so that the cells of a perturbation do not depend
    on which others are in the file.
    """
    drawn = np.zeros(len(labels), dtype=bool)
    for name, rows in labels.groupby(labels.to_numpy()).indices.items():
        most = preparation.max_cells
        if name == CONTROL and preparation.max_control_cells is not None:
            most = preparation.max_control_cells
        random = np.random.default_rng(seed_from(seed, "cells", name))
        drawn[random.permutation(rows)[:most]] = True
    return drawn
