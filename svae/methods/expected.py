"""Predictions of models that can say what they expect of a cell they are shown, but have no shifts."""

from collections.abc import Callable

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.split import cells_of, seen_cells
from svae.expression import profile, pseudobulk
from svae.words import CONTROL, Basis

Shares = Callable[[ad.AnnData], np.ndarray]
"""Expected share of each gene in the counts of each cell, cells × genes."""


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
    adapt, seen = cells_of(split, "adapt"), seen_cells(split)
    if adapt.empty:
        return None
    perturbed = seen[seen != CONTROL]
    of_any = _expected_profiles(shares, dataset, pd.Series("any", perturbed.index))
    adapted = _expected_profiles(shares, dataset, adapt)
    zero_shot = pd.concat([of_any] * len(adapted)).set_axis(adapted.index)
    return {"zero_shot": zero_shot, "adapted": adapted}


def _expected_profiles(shares: Shares, dataset: ad.AnnData, labels: pd.Series) -> pd.DataFrame:
    """Profiles of the counts that a model expects of groups of cells, group × gene."""
    cells = dataset[labels.index].copy()
    library = np.asarray(cells.X.sum(axis=1)).reshape(-1, 1)
    expected = ad.AnnData(shares(cells) * library, cells.obs, cells.var)
    return profile(pseudobulk(expected, labels))
