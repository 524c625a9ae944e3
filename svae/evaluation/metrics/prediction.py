"""Prediction: does a method say what held-out perturbations do to genes.

Each function scores every held-out perturbation, and becomes a metric for each basis of predictions, on its
own scale and on the calibrated one (:mod:`svae.evaluation.prediction`). A delta is what a profile differs by
from that of the *real* control, whatever a method believes of unperturbed cells.
"""

import numpy as np

from svae.contracts.combinations import genes_aimed_at
from svae.evaluation.energy import unbiased_energy_distance
from svae.evaluation.prediction import Prediction, prediction_score

FEWEST_GENES = 10
"""A perturbation with fewer truly differential genes has no score on these."""

STRONGEST = 20
"""Genes of each perturbation in scores of the strongest ones, as in Bereket & Karaletsos (2023)."""

SIGNS_RIGHT = 0.9
"""Reach ends where the directions of fewer genes so far are right."""

TIE = 1e-9
"""Distances that differ by less are equal."""


@prediction_score(label="Pearson of deltas", low=-1, high=1, needs=("control",), headline=True)
def pearson_delta(prediction: Prediction) -> np.ndarray:
    """Pearson correlation of predicted and actual deltas, over all genes; 0 for the control itself."""
    return cosine(*(centred(delta) for delta in prediction.from_control))


@prediction_score(label="Cosine of deltas", low=-1, high=1, needs=("control",))
def cosine_delta(prediction: Prediction) -> np.ndarray:
    """Cosine of predicted and actual deltas, over all genes; 0 for the control itself."""
    return cosine(*prediction.from_control)


@prediction_score(label="Pearson of deltas, differential genes", low=-1, high=1, needs=("control",))
def pearson_delta_differential(prediction: Prediction) -> np.ndarray:
    """Pearson correlation of predicted and actual deltas, over differential genes; 0 for the control."""
    genes = prediction.differential
    return where_enough(genes, cosine(*(centred(delta, genes) for delta in prediction.from_control)))


@prediction_score(label="Cosine of deltas, differential genes", low=-1, high=1, needs=("control",))
def cosine_delta_differential(prediction: Prediction) -> np.ndarray:
    """Cosine of predicted and actual deltas, over differential genes; 0 for the control."""
    genes = prediction.differential
    return where_enough(genes, cosine(*(np.where(genes, delta, 0) for delta in prediction.from_control)))


@prediction_score(
    label="Pearson of differences to the mean response",
    low=-1,
    high=1,
    citation="Viñas Torné et al. 2025",
)
def pearson_delta_from_mean(prediction: Prediction) -> np.ndarray:
    """Pearson correlation of predicted and actual differences to the mean response; 0 for the latter itself.

    What all perturbations do to cells is taken off, and what is specific to each one is left.
    """
    return cosine(*(centred(delta) for delta in prediction.from_mean))


@prediction_score(
    label="Weighted mean squared error",
    direction="lower",
    low=0,
    decimals=4,
    citation="Mejia et al. 2025",
)
def weighted_mse(prediction: Prediction) -> np.ndarray:
    """Mean squared error of profiles, genes weighted by what they tell of the perturbation."""
    return (prediction.weights * (prediction.predicted - prediction.actual) ** 2).sum(axis=1)


@prediction_score(label="Weighted R²", high=1, citation="Mejia et al. 2025")
def weighted_r2(prediction: Prediction) -> np.ndarray:
    """Predicted share of the weighted variance of differences to the mean response; at most 0 for it."""
    weights, (predicted, actual) = prediction.weights, prediction.from_mean
    mean = (weights * actual).sum(axis=1, keepdims=True)
    missed = (weights * (predicted - actual) ** 2).sum(axis=1)
    return 1 - ratio(missed, (weights * (actual - mean) ** 2).sum(axis=1))


@prediction_score(
    label="Perturbation discrimination",
    low=0,
    high=1,
    needs=("control",),
    citation="Roohani et al. 2025",
)
def discrimination(prediction: Prediction) -> np.ndarray:
    """Place of the right perturbation among all held-out ones; 0.5 on average for one prediction for all.

    Those that other folds of the split hold out are among them. The place is by the cosine distance of
    deltas: 1 − k / (n − 1), where k of the n actual deltas are nearer to the predicted one than the right one
    is; equally near ones count half. The genes that are perturbed are left out, since each gives
    its own perturbation away; a delta of 0 has distance 1 to all.
    """
    aims, elsewhere = prediction.response.aims, prediction.actual_elsewhere
    labels = [*prediction.perturbations, *elsewhere.index]
    perturbed = {gene for label in labels for gene in genes_aimed_at(label, aims)}
    kept = ~prediction.profiles.columns.isin(perturbed)
    predicted, actual = (delta[:, kept] for delta in prediction.from_control)
    candidates = np.concatenate([actual, elsewhere.to_numpy()[:, kept]])
    distances, n = 1 - unit(predicted) @ unit(candidates).T, len(candidates)
    right = np.diag(distances)[:, None]
    nearer = (distances < right - TIE).sum(axis=1)
    equal = (np.abs(distances - right) <= TIE).sum(axis=1) - 1
    return 1 - ratio(nearer + equal / 2, np.full(len(actual), n - 1.0))


@prediction_score(
    label="Direction fidelity of differential genes",
    low=0,
    high=1,
    needs=("control",),
    citation="Roohani et al. 2025",
)
def direction_fidelity(prediction: Prediction) -> np.ndarray:
    """Share of the truly differential genes predicted to be so, with the right sign; 0 for the control.

    A prediction of means calls no gene significant. As many genes as are truly differential, those of the
    largest predicted deltas, are therefore taken for the predicted ones.
    """
    genes, (predicted, actual) = prediction.differential, prediction.from_control
    count = genes.sum(axis=1, keepdims=True)
    order = np.argsort(-np.abs(predicted), axis=1, kind="stable")
    rank = np.argsort(order, axis=1)
    found = genes & (rank < count) & (np.sign(predicted) == np.sign(actual)) & (predicted != 0)
    return where_enough(genes, ratio(found.sum(axis=1), count[:, 0]))


@prediction_score(
    label="Reach of differential genes",
    low=0,
    high=1,
    needs=("control",),
    citation="Roohani et al. 2025",
)
def reach(prediction: Prediction) -> np.ndarray:
    """Share of the truly differential genes down to which nine in ten signs are right; 0 for the control.

    The genes are taken in the order of their predicted deltas, largest first.
    """
    genes, (predicted, actual) = prediction.differential, prediction.from_control
    order = np.argsort(np.where(genes, -np.abs(predicted), np.inf), axis=1, kind="stable")
    right = (np.sign(predicted) == np.sign(actual)) & (predicted != 0) & genes
    depth = np.arange(1, genes.shape[1] + 1)
    share_right = np.cumsum(np.take_along_axis(right, order, axis=1), axis=1) / depth
    count = genes.sum(axis=1)
    within = (share_right >= SIGNS_RIGHT) & (depth <= count[:, None])
    return where_enough(genes, ratio((within * depth).max(axis=1, initial=0), count))


@prediction_score(
    label="Pearson of treatment effects",
    low=-1,
    high=1,
    needs=("control",),
    citation="Bereket & Karaletsos 2023",
)
def ate_pearson(prediction: Prediction) -> np.ndarray:
    """Pearson correlation of deltas, over all pairs of perturbation and gene at once; 0 for the control.

    A delta is an average treatment effect. `pearson_delta` correlates the genes of one perturbation at a
    time, so that weak perturbations count like strong ones, and the size of their deltas not at all. Here all
    deltas share one mean and one standard deviation. The value of a perturbation is what its genes add to the
    correlation, the mean product of standardised deltas; the mean of these values is the correlation.

    Bereket & Karaletsos average log(1 + 10,000 · share) over cells, where a profile is the logarithm of the
    average, and take all cells, where these are the test cells of held-out perturbations.
    """
    return pooled_products(*prediction.from_control)


@prediction_score(
    label="R² of treatment effects",
    high=1,
    needs=("control",),
    citation="Bereket & Karaletsos 2023",
)
def ate_r2(prediction: Prediction) -> np.ndarray:
    """Predicted share of the variance of deltas over all perturbations and genes; at most 0 for the control.

    As `ate_pearson`, but the size of deltas counts, too. The value of a perturbation is
    1 less its squared error over the mean variation of a perturbation; the mean of these values is R².
    """
    return pooled_shares(*prediction.from_control)


@prediction_score(
    label="Pearson of treatment effects, strongest genes",
    low=-1,
    high=1,
    needs=("control",),
    citation="Bereket & Karaletsos 2023",
)
def ate_pearson_strongest(prediction: Prediction) -> np.ndarray:
    """Pearson correlation of deltas, on the 20 genes that each perturbation moves most; 0 for the control.

    As `ate_pearson`, of the genes with the largest actual deltas of each perturbation.
    """
    return pooled_products(*strongest(*prediction.from_control))


@prediction_score(
    label="R² of treatment effects, strongest genes",
    high=1,
    needs=("control",),
    citation="Bereket & Karaletsos 2023",
)
def ate_r2_strongest(prediction: Prediction) -> np.ndarray:
    """Predicted share of the variance of deltas on the 20 strongest genes of each; at most 0 for the control.

    As `ate_r2`, of the genes of `ate_pearson_strongest`.
    """
    return pooled_shares(*strongest(*prediction.from_control))


@prediction_score(
    label="Energy distance of generated cells",
    direction="lower",
    generated=True,
    citation="Peidli et al. 2024",
)
def energy_distance(prediction: Prediction) -> np.ndarray:
    """Energy distance of generated and real cells, in 50 principal components of log-normalised expression.

    Beside the mean of cells it asks how they vary. At most 100 generated cells are compared with at most 100
    cells of part ``test``, by :func:`svae.evaluation.energy.unbiased_energy_distance`.
    """
    assert prediction.cells is not None  # promised by the needs of the metric
    generated, real = prediction.cells, prediction.response.space.test
    return np.array(
        [
            unbiased_energy_distance(generated.loc[[name]].to_numpy(), real.loc[[name]].to_numpy())
            for name in prediction.perturbations
        ]
    )


def centred(deltas: np.ndarray, genes: np.ndarray | None = None) -> np.ndarray:
    """Take off each row its mean over the chosen `genes` (n × genes, all by default); others become 0."""
    chosen = np.ones(deltas.shape, dtype=bool) if genes is None else genes
    mean = ratio(np.where(chosen, deltas, 0).sum(axis=1), chosen.sum(axis=1))
    return np.where(chosen, deltas - mean[:, None], 0)


def strongest(predicted: np.ndarray, actual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Keep the genes with the largest actual deltas of each perturbation, n × at most :data:`STRONGEST`."""
    genes = np.argsort(-np.abs(actual), axis=1, kind="stable")[:, :STRONGEST]
    return np.take_along_axis(predicted, genes, axis=1), np.take_along_axis(actual, genes, axis=1)


def pooled_products(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Mean product of standardised deltas of each row; the mean is the correlation over the whole table."""
    return (standardised(predicted) * standardised(actual)).mean(axis=1)


def pooled_shares(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """1 less the squared error of each row over the mean variation of a row; the mean is R² of the table."""
    missed = ((predicted - actual) ** 2).sum(axis=1)
    variation = ((actual - actual.mean()) ** 2).sum() / len(actual)
    return 1 - ratio(missed, np.full(len(actual), variation))


def standardised(deltas: np.ndarray) -> np.ndarray:
    """Give a whole table the mean 0 and the variance 1; one that does not vary becomes 0."""
    differences, deviation = deltas - deltas.mean(), deltas.std()
    return differences / deviation if deviation > TIE else np.zeros_like(deltas)


def unit(deltas: np.ndarray) -> np.ndarray:
    """Scale each row to length 1; rows of zeros stay zeros."""
    length = np.linalg.norm(deltas, axis=1, keepdims=True)
    return np.divide(deltas, length, out=np.zeros_like(deltas), where=length > TIE)


def cosine(predicted: np.ndarray, actual: np.ndarray) -> np.ndarray:
    """Cosine of each row of two tables; 0 where the prediction is zero, NaN where what it predicts is."""
    values = (unit(predicted) * unit(actual)).sum(axis=1)
    return np.where(np.linalg.norm(actual, axis=1) > TIE, values, np.nan)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Divide; NaN where the divisor is 0."""
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=np.asarray(below) != 0)


def where_enough(genes: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Keep the `values` of perturbations with enough truly differential `genes`, n × genes; else NaN."""
    return np.where(genes.sum(axis=1) >= FEWEST_GENES, values, np.nan)
