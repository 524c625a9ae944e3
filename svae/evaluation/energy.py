"""The distance of two samples of cells."""

import numpy as np


def unbiased_energy_distance(x: np.ndarray, y: np.ndarray) -> float:
    """Energy distance of the distributions that two samples are from (Székely & Rizzo 2013).

    2 E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖, with the Euclidean distance, is 0 if, and only if, the distributions
    are equal. The squared distance, which others take, would compare their means alone. Each E is estimated
    by the mean over pairs of different cells. This estimate is unbiased: its mean does not depend on the
    numbers of cells. Between equal distributions its mean is 0, and single values fall below 0, too.

    Parameters
    ----------
    x, y
        Cells × components.

    Returns
    -------
    In the unit of the components; NaN if a sample has less than two cells.
    """
    from scipy.spatial.distance import cdist, pdist

    if min(len(x), len(y)) < 2:
        return np.nan
    return float(2 * cdist(x, y).mean() - pdist(x).mean() - pdist(y).mean())
