"""Which share of the cells of a perturbation respond to it: a guide does not work in every cell it is in."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.differential import Moments
from svae.expression import TARGET_SUM, sparse_log_normalised
from svae.words import CONTROL

BEYOND = 0.8
"""Share of the control cells that a cell has to be beyond, in the direction of the effect."""


def responding_shares(dataset: ad.AnnData, halves: tuple[pd.Series, pd.Series]) -> pd.Series:
    """Estimate which share of the cells of each perturbation respond to it, at least.

    Cells are projected on the direction of the effect, the difference between the mean log-normalised cells
    of the perturbation and of the control. A share 1 − q of the cells that do not respond, q =
    :data:`BEYOND`, lies beyond the quantile q of the control cells. If a share s of all cells lies there, at
    least (s − (1 − q)) / q of them respond, as many as s tells if all those that respond lie there (the bound
    on a mixing proportion of Blanchard, Lee & Scott 2010, at one threshold). Directions come from one half of
    all cells and the shares from the other, and each half has either role once: else noise would look like a
    response.

    Parameters
    ----------
    dataset
        Raw counts of all cells, cells × genes.
    halves
        Perturbation of each cell of either half, with the control, indexed by cell.

    Returns
    -------
    One value per perturbation with cells in both halves, from 0 to 1; NaN without a control.
    """
    one, other = halves
    shares = (_beyond_control(dataset, one, other) + _beyond_control(dataset, other, one)) / 2
    return ((shares - (1 - BEYOND)) / BEYOND).clip(lower=0)


def _beyond_control(dataset: ad.AnnData, learnt: pd.Series, judged: pd.Series) -> pd.Series:
    """Share of the judged cells of each perturbation beyond the control, in the learnt directions."""
    moments, names = Moments.of(dataset, learnt)
    if CONTROL not in names or CONTROL not in set(judged):
        return pd.Series(np.nan, names.drop(CONTROL, errors="ignore"))
    means = pd.DataFrame(moments.mean, names)
    directions = means.drop(CONTROL) - means.loc[CONTROL]
    cells = sparse_log_normalised(dataset[dataset.obs_names.get_indexer(judged.index)], TARGET_SUM)
    rows = judged.groupby(judged.to_numpy()).indices
    control = cells[rows[CONTROL]]
    shares = {}
    for name in directions.index.intersection(list(rows)):
        direction = directions.loc[name].to_numpy()
        limit = np.quantile(control @ direction, BEYOND)
        shares[name] = np.mean(cells[rows[name]] @ direction > limit)
    return pd.Series(shares, dtype=float)
