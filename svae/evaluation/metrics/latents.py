"""Latents: are the true ones found, up to order, sign and scale."""

from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.stats import entropy, rankdata
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LinearRegression

Correlation = Literal["pearson", "spearman"]

# Enough for the importances to settle: 1,000 cells or 50 trees move either score by about .01.
DCI_CELLS = 2000
DCI_TREES = 20


def correlations(true: np.ndarray, estimated: np.ndarray, method: Correlation = "pearson") -> np.ndarray:
    """Correlate every true latent with every estimated one.

    Parameters
    ----------
    true, estimated
        Cells × p and cells × q.
    method
        ``pearson``, or ``spearman`` (Pearson of the ranks).

    Returns
    -------
    p × q, in [−1, 1]; a constant latent correlates 0 with everything.
    """
    true, estimated = (_standardised(values, method) for values in (true, estimated))
    return np.clip(true.T @ estimated, -1, 1)


def _standardised(values: np.ndarray, method: Correlation) -> np.ndarray:
    values = rankdata(values, axis=0) if method == "spearman" else np.asarray(values, dtype=float)
    centred = values - values.mean(axis=0)
    norms = np.linalg.norm(centred, axis=0)
    # A constant column is not exactly zero once centred: compare with the rounding error of its mean.
    varies = norms > 1e-12 * np.linalg.norm(values, axis=0)
    return np.divide(centred, norms, out=np.zeros_like(centred), where=varies)


def match_latents(
    true: np.ndarray, estimated: np.ndarray, method: Correlation = "pearson", signed: bool = False
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pair true with estimated latents, one to one, at the largest total correlation (Hungarian algorithm).

    Parameters
    ----------
    true, estimated
        Cells × p and cells × q.
    method
        ``pearson`` or ``spearman``.
    signed
        Match on the correlation itself rather than on its absolute value. The released code of
        Lopez et al. (2023) does so for targets, and thereby mismatches mirrored latents.

    Returns
    -------
    similarity
        p × q, the correlations that were maximised.
    rows, columns
        min(p, q) indices each: true latent ``rows[i]`` is paired with estimated ``columns[i]``.
    """
    similarity = correlations(true, estimated, method)
    if not signed:
        similarity = np.abs(similarity)
    rows, columns = linear_sum_assignment(similarity, maximize=True)
    return similarity, rows, columns


def mcc(true: np.ndarray, estimated: np.ndarray, method: Correlation = "pearson") -> float:
    """Mean matched |correlation| of the true latents, the MCC of Hyvärinen & Morioka (2016).

    Parameters
    ----------
    true, estimated
        Cells × p and cells × q. With q < p, the true latents left without a partner count 0.
    method
        ``pearson`` or ``spearman``; the matching uses the same correlation.

    Returns
    -------
    In [0, 1]; 1 if the latents agree up to order, sign and scale (``spearman``: up to monotone maps).
    """
    similarity, rows, columns = match_latents(true, estimated, method)
    return float(similarity[rows, columns].sum() / similarity.shape[0])


def r2(true: np.ndarray, estimated: np.ndarray) -> float:
    """Share of the true latents' variance that a linear map of the estimated ones explains.

    `true` is cells × p, `estimated` cells × q. Mean over true latents, in-sample, as in Lopez et al.
    (2023): 1 if the latents agree up to an invertible linear map.
    """
    return float(LinearRegression().fit(estimated, true).score(estimated, true))


def dci(true: np.ndarray, estimated: np.ndarray, seed: int) -> dict[str, float]:
    """Disentanglement and completeness (Eastwood & Williams 2018, section 2).

    A random forest predicts each true latent from the estimated ones; its feature importances say
    how much each estimated latent tells about it.

    Parameters
    ----------
    true, estimated
        Cells × p and cells × q; at most 2,000 cells, drawn with `seed`, are used.
    seed
        Of the subsample and of the forests.

    Returns
    -------
    ``disentanglement``: does an estimated latent tell about one true latent only (mean weighted by
    importance)? ``completeness``: is a true latent told by one estimated latent only (plain mean)?
    Both in [0, 1].
    """
    cells = np.random.default_rng(seed).permutation(len(true))[:DCI_CELLS]
    forest = RandomForestRegressor(DCI_TREES, min_samples_leaf=5, random_state=seed, n_jobs=1)
    importance = np.column_stack(
        [forest.fit(estimated[cells], target).feature_importances_ for target in true[cells].T]
    )  # q × p
    weight = importance.sum(axis=1)
    disentanglement = weight @ _concentration(importance, axis=1) / weight.sum() if weight.any() else 0.0
    return {
        "disentanglement": float(disentanglement),
        "completeness": float(_concentration(importance, axis=0).mean()),
    }


def _concentration(importance: np.ndarray, axis: int) -> np.ndarray:
    """One minus the entropy along `axis`, in units of its maximum; 0 where nothing is important."""
    total = importance.sum(axis=axis)
    choices = importance.shape[axis]
    if choices == 1:
        return (total > 0).astype(float)
    with np.errstate(invalid="ignore"):  # rows without importance, set to 0 below
        return np.where(total > 0, 1 - entropy(importance, axis=axis, base=choices), 0.0)
