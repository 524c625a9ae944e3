"""Latents: are the true ones found, up to order, sign and scale."""

from functools import partial

import numpy as np

from svae.evaluation.comparison import Comparison
from svae.evaluation.identifiability import inseparable
from svae.evaluation.matching import Correlation, correlations, match_latents
from svae.evaluation.metric import metric
from svae.seeds import seed_of_32_bits

# Enough for the importances to settle: 1,000 cells or 50 trees move either score by about .01.
DCI_CELLS = 2000
DCI_TREES = 20

MARGIN = 0.02
"""Of correlations: a restart that falls this far behind the best of its setting counts as failed."""

correlation = partial(
    metric,
    question="latents",
    direction="higher",
    low=0,
    high=1,
    needs=("truth", "latents"),
    margin=MARGIN,
)
"""Decorator of the metrics that are correlations of true latents with estimated ones."""


@correlation(
    label="MCC (Pearson)",
    headline=True,
    citation="Hyvärinen & Morioka 2016; Lopez et al. 2023",
)
def mcc_pearson(comparison: Comparison) -> float:
    """Mean matched |Pearson correlation| of the true latents."""
    return mean_matched_correlation(comparison.true_latents, comparison.latents, "pearson")


@correlation(
    label="MCC of posterior modes",
    needs=("truth", "latent_modes"),
    citation="Hyvärinen & Morioka 2016",
)
def mcc_modes(comparison: Comparison) -> float:
    """Mean matched |Pearson correlation| of the true latents and the modes of the model's posterior.

    A mode follows from the counts, the decoder and the shift of the cell's perturbation, whereas an encoder
    never sees the perturbation.
    """
    return mean_matched_correlation(comparison.true_latents, comparison.latent_modes, "pearson")


@correlation(
    label="MCC (Spearman)",
    citation="Hyvärinen & Morioka 2016; Lopez et al. 2023",
)
def mcc_spearman(comparison: Comparison) -> float:
    """Mean matched |Spearman correlation| of the true latents."""
    return mean_matched_correlation(comparison.true_latents, comparison.latents, "spearman")


@correlation(
    label="MCC (held-out matching)",
    citation="Khemakhem et al. 2020",
)
def mcc_held_out_matching(comparison: Comparison) -> float:
    """Mean |Pearson correlation| on one half of the cells of pairs that were matched on the other half."""
    return held_out_matched_correlation(comparison.true_latents, comparison.latents, comparison.seed)


@correlation(
    label="MCC (identifiable latents)",
    citation="Lachapelle et al. 2022",
)
def mcc_identifiable(comparison: Comparison) -> float:
    """Mean matched |Pearson correlation| of those true latents that the trained perturbations identify.

    All latents take part in the matching. NaN if no latent is identifiable.
    """
    chosen = comparison.identifiable
    if not chosen.any():
        return float("nan")
    return float(matched_correlations(comparison.true_latents, comparison.latents)[chosen].mean())


@metric(
    label="Identifiable latents (share)",
    question="latents",
    direction="higher",
    low=0,
    high=1,
    needs=("truth",),
    decimals=2,
    citation="Lachapelle et al. 2022",
)
def identifiable_latents(comparison: Comparison) -> float:
    """Share of the true latents that the trained perturbations identify; equal for all methods."""
    return float(comparison.identifiable.mean())


@correlation(
    label="R (up to what the design leaves open)",
    citation="Lachapelle et al. 2022",
)
def r_con(comparison: Comparison) -> float:
    """Mean correlation of a true latent with its best linear prediction from those it may be mixed with."""
    targets = comparison.true_targets.loc[comparison.trained].to_numpy()
    return consistent_correlation(comparison.true_latents, comparison.latents, targets)


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
    return float(matched_correlations(true, estimated, method).mean())


def matched_correlations(
    true: np.ndarray, estimated: np.ndarray, method: Correlation = "pearson"
) -> np.ndarray:
    """Absolute correlation of each true latent with its partner, p values; 0 for one without a partner.

    Parameters are those of :func:`mean_matched_correlation`.
    """
    similarity, rows, columns = match_latents(true, estimated, method)
    matched = np.zeros(similarity.shape[0])
    matched[rows] = similarity[rows, columns]
    return matched


def held_out_matched_correlation(true: np.ndarray, estimated: np.ndarray, seed: int) -> float:
    """Mean |Pearson correlation| of matched latents on cells that had no part in the matching.

    With few cells the matching profits from chance, which raises the ordinary MCC. Khemakhem et al. (2020)
    therefore match on one half of the cells and score on the other (their code, metrics/mcc.py).

    Parameters
    ----------
    true, estimated
        Cells × p and cells × q. With q < p, the true latents left without a partner count 0.
    seed
        Of the halves.
    """
    cells = np.random.default_rng(seed).permutation(len(true))
    to_match, to_score = cells[: len(cells) // 2], cells[len(cells) // 2 :]
    similarity, rows, columns = match_latents(true[to_match], estimated[to_match])
    scored = np.abs(correlations(true[to_score], estimated[to_score]))
    return float(scored[rows, columns].sum() / similarity.shape[0])


def consistent_correlation(true: np.ndarray, estimated: np.ndarray, targets: np.ndarray) -> float:
    """R_con of Lachapelle et al. (2022): what is recovered, up to what the design leaves open.

    R_con is the mean over true latents i of R_i, the multiple correlation of z_i with the partners ẑ_σ(j) of
    all latents j that i may be mixed with (C_ij = 1, :func:`svae.evaluation.identifiability.inseparable`).
    σ is the matching of the MCC. Where every latent is identifiable, R_con is the MCC; where each may be
    mixed with all others, it is R, the mean multiple correlation with all estimated latents that have a
    partner. In general MCC ≤ R_con ≤ R.

    Parameters
    ----------
    true, estimated
        Cells × p and cells × q. With q < p, some true latents have no partner; one that has nothing to be
        predicted from counts 0.
    targets
        True targets of the trained perturbations, perturbation × p.

    Returns
    -------
    In [0, 1].
    """
    _, rows, columns = match_latents(true, estimated)
    partners = np.full(true.shape[1], -1)
    partners[rows] = columns
    recovered = []
    for latent, open_to in zip(true.T, inseparable(targets), strict=True):
        allowed = partners[open_to]
        recovered.append(multiple_correlation(latent, estimated[:, allowed[allowed >= 0]]))
    return float(np.mean(recovered))


def multiple_correlation(outcome: np.ndarray, predictors: np.ndarray) -> float:
    """Correlation of an outcome (cells) with its best linear prediction from predictors (cells × any number).

    0 if there are no predictors, or the outcome is constant.
    """
    from sklearn.linear_model import LinearRegression

    if predictors.shape[1] == 0 or np.ptp(outcome) == 0:
        return 0.0
    explained = LinearRegression().fit(predictors, outcome).score(predictors, outcome)
    return float(np.sqrt(max(explained, 0.0)))


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
    forest = RandomForestRegressor(
        DCI_TREES, min_samples_leaf=5, random_state=seed_of_32_bits(seed), n_jobs=1
    )
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
