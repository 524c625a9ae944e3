"""Which cells of a published file are kept."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from svae.datasets.preparation import Bounds, Preparation, Scalar
from svae.datasets.published import PublishedFile
from svae.errors import BenchmarkError, unknown
from svae.seeds import seed_from
from svae.words import CONTROL


def choose_cells(file: PublishedFile, labels: pd.Series, preparation: Preparation, seed: int) -> np.ndarray:
    """Choose the cells to keep: those with a label that pass the filters, a draw of them if asked for.

    Parameters
    ----------
    file
        The published file.
    labels
        Perturbation of each cell; missing where there is none.
    preparation
        What to keep.
    seed
        Of the draw of ``max_cells``.

    Returns
    -------
    One boolean per cell of the file.
    """
    chosen = labels.notna().to_numpy()
    file.tell_left_out(int((~chosen).sum()), "cells without a label")
    chosen &= _passing(file, preparation.filters)
    if preparation.perturbations is not None:
        known = labels.dropna().unique()
        wanted = file.present(
            preparation.perturbations, known, "perturbation", preparation.gene_lists is not None
        )
        controls = [CONTROL] if preparation.control is not None else []
        chosen &= labels.isin(wanted + controls).to_numpy()
    if preparation.min_cells is not None:
        rare = _rare(labels[chosen], preparation.min_cells)
        file.tell_left_out(rare, f"perturbations with fewer than {preparation.min_cells} cells")
        chosen &= ~labels.isin(rare).to_numpy()
    if not chosen.any():
        raise BenchmarkError(f"{file.path}: no cell is left of {len(labels)}; loosen the filters")
    if set(labels[chosen]) == {CONTROL}:
        raise BenchmarkError(f"{file.path}: only control cells are left of {len(labels)}; loosen the filters")
    if preparation.max_cells is not None:
        chosen &= _drawn(labels.where(chosen), preparation.max_cells, seed)
    return chosen


def _passing(file: PublishedFile, filters: Mapping[str, Scalar | list[Scalar] | Bounds]) -> np.ndarray:
    """Which cells pass all the filters."""
    passing = np.ones(file.content.n_obs, dtype=bool)
    for name, rule in filters.items():
        column, where = file.column(name), f"{file.path}: filter '{name}'"
        if isinstance(rule, Bounds):
            passing &= _within(column, rule, where)
        else:
            passing &= _among(column, rule if isinstance(rule, list) else [rule], where)
    return passing


def _within(column: pd.Series, bounds: Bounds, where: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        raise BenchmarkError(f"{where}: obs['{column.name}'] is not numeric, so it takes values, not bounds")
    lowest = -np.inf if bounds.min is None else bounds.min
    highest = np.inf if bounds.max is None else bounds.max
    return column.between(lowest, highest).to_numpy()


def _among(column: pd.Series, values: list[Scalar], where: str) -> np.ndarray:
    """Compare as text, because a configuration's 1 may be the "1" of a categorical column."""
    text = column.astype(str)
    for value in values:
        if not (text == str(value)).any():
            raise unknown("value", value, text.unique(), where)
    return text.isin([str(value) for value in values]).to_numpy()


def _rare(labels: pd.Series, min_cells: int) -> list[str]:
    """Perturbations, other than the control, with too few cells."""
    sizes = labels.value_counts()
    return sorted(name for name in sizes.index[sizes < min_cells] if name != CONTROL)


def _drawn(labels: pd.Series, max_cells: int, seed: int) -> np.ndarray:
    """Which cells are among the at most `max_cells` drawn of each label; missing labels are never drawn.

    The seed of each draw follows from the label's name, so that the cells of a perturbation do not depend
    on which others are in the file.
    """
    drawn = np.zeros(len(labels), dtype=bool)
    for name, rows in labels.groupby(labels.to_numpy()).indices.items():
        random = np.random.default_rng(seed_from(seed, "cells", name))
        drawn[random.permutation(rows)[:max_cells]] = True
    return drawn
