"""Latents: are the true ones found, up to order, sign and scale."""

import numpy as np

from svae.evaluation.comparison import Comparison
from svae.evaluation.matching import Correlation, match_latents
from svae.evaluation.metric import metric

# Enough for the importances to settle: 1,000 cells or 50 trees move either score by about .01.
DCI_CELLS = 2000
DCI_TREES = 20


@metric(
    label="MCC (Pearson)",
    question="latents",
    direction="higher",
    low=0,
    high=1,
    needs=("truth", "latents"),
    headline=True,
    citation="Hyvärinen & Morioka 2016; Lopez et al. 2023",
)
def mcc_pearson(comparison: Comparison) -> float:
    """Mean matched |Pearson correlation| of the true latents."""
    return mean_matched_correlation(comparison.true_latents, comparison.latents, "pearson")


@metric(
    label="MCC (Spearman)",
    question="latents",
    direction="higher",
    low=0,
    high=1,
    needs=("truth", "latents"),
    citation="Hyvärinen & Morioka 2016; Lopez et al. 2023",
)
def mcc_spearman(comparison: Comparison) -> float:
    """Mean matched |Spearman correlation| of the true latents."""
    return mean_matched_correlation(comparison.true_latents, comparison.latents, "spearman")


@metric(
    label="R² (linear map)",
    question="latents",
    direction="higher",
    high=1,
    needs=("truth", "latents"),
    citation="Lopez et al. 2023",
)
def r2(comparison: Comparison) -> float:
    """Share of the true latents' variance that a linear map of the estimated ones explains."""
    return explained_variance(comparison.true_latents, comparison.latents)


@metric(
    label="DCI disentanglement",
    question="latents",
    direction="higher",
    low=0,
    high=1,
    needs=("truth", "latents"),
    citation="Eastwood & Williams 2018",
)
def dci_disentanglement(comparison: Comparison) -> float:
    """Whether an estimated latent tells about one true latent only."""
    return comparison.shared(_dci)["disentanglement"]


@metric(
    label="DCI completeness",
    question="latents",
    direction="higher",
    low=0,
    high=1,
    needs=("truth", "latents"),
    citation="Eastwood & Williams 2018",
)
def dci_completeness(comparison: Comparison) -> float:
    """Whether a true latent is told by one estimated latent only."""
    return comparison.shared(_dci)["completeness"]


def _dci(comparison: Comparison) -> dict[str, float]:
    return dci(comparison.true_latents, comparison.latents, comparison.seed)


def mean_matched_correlation(
    true: np.ndarray, estimated: np.ndarray, method: Correlation = "pearson"
) -> float:
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


def explained_variance(true: np.ndarray, estimated: np.ndarray) -> float:
    """Share of the true latents' variance that a linear map of the estimated ones explains.

    `true` is cells × p, `estimated` cells × q. Mean over true latents, in-sample, as in Lopez et al.
    (2023): 1 if the latents agree up to an invertible linear map.
    """
    from sklearn.linear_model import LinearRegression

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
    from sklearn.ensemble import RandomForestRegressor

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
    from scipy.stats import entropy

    total = importance.sum(axis=axis)
    choices = importance.shape[axis]
    if choices == 1:
        return (total > 0).astype(float)
    with np.errstate(invalid="ignore"):  # rows without importance, set to 0 below
        return np.where(total > 0, 1 - entropy(importance, axis=axis, base=choices), 0.0)
