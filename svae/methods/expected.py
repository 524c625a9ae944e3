"""Predictions of models that can say what they expect of a cell they are shown, but have no shifts."""

from collections.abc import Callable
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.generated import GeneratedCells, stand_ins
from svae.contracts.split import cells_of, trained_cells
from svae.expression import profiles_of
from svae.words import Basis

Shares = Callable[[ad.AnnData], np.ndarray]
"""Expected share of each gene in the counts of each cell, cells × genes."""

Draw = Callable[[ad.AnnData], Any]
"""Counts of cells like these, cells × genes, drawn anew."""


def expected_of_shown_cells(
    shares: Shares, dataset: ad.AnnData, split: pd.DataFrame
) -> dict[Basis, pd.DataFrame] | None:
    """Expected profiles of held-out perturbations; None if nothing is held out.

    A model that has no shifts can only expect of an unseen perturbation what it expects of the perturbed
    cells that it was trained on. Adapted, it is what it expects of the cells of the part ``adapt``.

    Parameters
    ----------
    shares
        What the trained model expects of cells.
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    """
    adapt = cells_of(split, "adapt")
    if adapt.empty:
        return None
    of_any = expected_profiles(shares, dataset, pd.Series("any", trained_cells(split).index))
    adapted = expected_profiles(shares, dataset, adapt)
    zero_shot = pd.concat([of_any] * len(adapted)).set_axis(adapted.index)
    return {"zero_shot": zero_shot, "adapted": adapted}


def drawn_like_shown_cells(
    draw: Draw, dataset: ad.AnnData, split: pd.DataFrame
) -> dict[Basis, GeneratedCells] | None:
    """Draw cells of held-out perturbations; None if nothing is held out.

    Each is drawn from what the model makes of one real cell, which are those of
    :func:`expected_of_shown_cells`: perturbed cells that it was trained on, and cells of the part ``adapt``.

    Parameters
    ----------
    draw
        Draws from the trained model.
    dataset, split
        As in :func:`expected_of_shown_cells`.
    """
    adapt = cells_of(split, "adapt")
    if adapt.empty:
        return None
    shown: dict[Basis, pd.Series] = {
        "zero_shot": stand_ins(dict.fromkeys(adapt.unique(), trained_cells(split))),
        "adapted": stand_ins(dict(iter(adapt.groupby(adapt)))),
    }
    generated: dict[Basis, GeneratedCells] = {}
    for basis, labels in shown.items():
        rows = dataset.obs_names.get_indexer(labels.index)
        obs = dataset.obs.iloc[rows].reset_index(drop=True)  # a cell is shown several times
        cells = ad.AnnData(dataset.X[rows], obs.set_index(obs.index.astype(str)), dataset.var)
        generated[basis] = GeneratedCells(draw(cells), labels.to_numpy(dtype=str))
    return generated


def expected_profiles(shares: Shares, dataset: ad.AnnData, labels: pd.Series) -> pd.DataFrame:
    """Profiles of the counts that a model expects of groups of cells.

    Parameters
    ----------
    shares
        What the trained model expects of cells.
    dataset
        Counts of all cells, cells × genes.
    labels
        Group of each cell that counts, indexed by cell.

    Returns
    -------
    Group × gene, groups in the order of their names.
    """
    cells = dataset[labels.index].copy()
    library = np.asarray(cells.X.sum(axis=1)).reshape(-1, 1)
    expected = ad.AnnData(shares(cells) * library, cells.obs, cells.var)
    return profiles_of(expected, labels)
