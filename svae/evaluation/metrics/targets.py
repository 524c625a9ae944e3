"""Targets: are the latents that each perturbation shifts found."""

import numpy as np
import pandas as pd

from svae.evaluation.comparison import Comparison
from svae.evaluation.matching import match_latents
from svae.evaluation.metric import metric
from svae.targets import THRESHOLD

TRUTH_AND_TARGETS = ("truth", "latents", "targets|shifts")

MARGIN = 0.02
"""Of shares: about one wrong or missed target in fifty."""


@metric(
    label="Target precision",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
    margin=MARGIN,
    citation="Lopez et al. 2023",
)
def target_precision(comparison: Comparison) -> float:
    """Share of the estimated targets that are true ones."""
    return comparison.shared(_scores)["precision"]


@metric(
    label="Target recall",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
    margin=MARGIN,
    citation="Lopez et al. 2023",
)
def target_recall(comparison: Comparison) -> float:
    """Share of the true targets that are found."""
    return comparison.shared(_scores)["recall"]


@metric(
    label="Target F1",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
    headline=True,
    margin=MARGIN,
    citation="Lopez et al. 2023",
)
def target_f1(comparison: Comparison) -> float:
    """Harmonic mean of precision and recall."""
    return comparison.shared(_scores)["f1"]


@metric(
    label="Target average precision",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
)
def target_average_precision(comparison: Comparison) -> float:
    """Area under the precision-recall curve of the targets' probabilities."""
    return comparison.shared(_scores)["average_precision"]


@metric(
    label="Target structural Hamming distance",
    question="targets",
    direction="lower",
    low=0,
    needs=TRUTH_AND_TARGETS,
    decimals=1,
    citation="Tsamardinos et al. 2006",
)
def target_shd(comparison: Comparison) -> float:
    """Number of wrong entries, over all trained perturbations."""
    return comparison.shared(_scores)["shd"]


@metric(
    label="Target precision (original)",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
    citation="Lopez et al. 2023, released code",
)
def target_precision_original(comparison: Comparison) -> float:
    """Precision as the released code computes it."""
    return comparison.shared(_original_scores)["precision"]


@metric(
    label="Target recall (original)",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
    citation="Lopez et al. 2023, released code",
)
def target_recall_original(comparison: Comparison) -> float:
    """Recall as the released code computes it."""
    return comparison.shared(_original_scores)["recall"]


@metric(
    label="Target F1 (original)",
    question="targets",
    direction="higher",
    low=0,
    high=1,
    needs=TRUTH_AND_TARGETS,
    citation="Lopez et al. 2023, released code",
)
def target_f1_original(comparison: Comparison) -> float:
    """F1 as the released code computes it."""
    return comparison.shared(_original_scores)["f1"]


def _scores(comparison: Comparison) -> dict[str, float]:
    """Target scores of the trained perturbations, latents matched on |correlation|."""
    return target_scores(
        comparison.true_targets.loc[comparison.trained],
        comparison.targets,
        comparison.true_latents,
        comparison.latents,
    )


def _original_scores(comparison: Comparison) -> dict[str, float]:
    """Target scores as the released code of Lopez et al. (2023) has them, quirks included.

    Latents are matched on signed correlation. All perturbations count, the held-out ones in the
    state in which training leaves them, whatever the fit says of them: masks all on, shifts
    still at their random start. Targets of methods without masks are their two largest |shift|.
    Like there, nothing is computed if the number of latents is not the true one.
    """
    latents, true_latents = comparison.latents, comparison.true_latents
    if latents.shape[1] != true_latents.shape[1]:
        return dict.fromkeys(("precision", "recall", "f1"), np.nan)
    held_out = comparison.true_targets.index.difference(comparison.trained, sort=False)
    size = (len(held_out), latents.shape[1])
    if comparison.fit.targets is not None:
        trained = comparison.of_trained("targets")
        untrained = pd.DataFrame(np.ones(size), index=held_out, columns=trained.columns)
        estimated = pd.concat([trained, untrained])
    else:
        trained = comparison.of_trained("shifts")
        start = np.random.default_rng(comparison.seed).normal(size=size)
        untrained = pd.DataFrame(start, index=held_out, columns=trained.columns)
        estimated = two_largest(pd.concat([trained, untrained]))
    true = comparison.true_targets.loc[estimated.index]
    return target_scores(true, estimated, true_latents, latents, signed=True)


def target_scores(
    true_targets: np.ndarray | pd.DataFrame,
    probabilities: np.ndarray | pd.DataFrame,
    true_latents: np.ndarray,
    latents: np.ndarray,
    signed: bool = False,
) -> dict[str, float]:
    """Compare estimated with true targets, entry by entry, after matching the latents.

    Parameters
    ----------
    true_targets
        Perturbations × p, boolean.
    probabilities
        Perturbations × q, in [0, 1]; the same perturbations.
    true_latents, latents
        Cells × p and cells × q, by which the latents are matched (Pearson).
    signed
        Match on signed correlation, a quirk of the released code.

    Returns
    -------
    ``precision``, ``recall``, ``f1`` and ``shd`` of the targets above 0.5, ``average_precision`` of the
    probabilities. ``shd``, the structural Hamming distance, is the number of wrong entries over all
    perturbations. A true latent without a partner (q < p) counts as never targeted; an estimated
    one without a partner (q > p) counts as a false positive wherever it is on. Without any true
    target, ``recall``, ``f1`` and ``average_precision`` are undefined: NaN.
    """
    from sklearn.metrics import average_precision_score, precision_recall_fscore_support

    _, rows, columns = match_latents(true_latents, latents, signed=signed)
    true, estimated = _aligned(np.asarray(true_targets, dtype=bool), np.asarray(probabilities), rows, columns)
    called = estimated > THRESHOLD
    precision, recall, f1, _ = precision_recall_fscore_support(
        true, called, average="binary", zero_division=0
    )
    defined = true.any()
    return {
        "precision": float(precision),
        "recall": float(recall) if defined else np.nan,
        "f1": float(f1) if defined else np.nan,
        "average_precision": float(average_precision_score(true, estimated)) if defined else np.nan,
        "shd": float((true != called).sum()),
    }


def _aligned(
    true: np.ndarray, estimated: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flatten both tables so that entries correspond; a latent without a partner faces zeros."""
    partner = np.zeros(true.shape)
    partner[:, rows] = estimated[:, columns]
    surplus = np.delete(estimated, columns, axis=1)
    true = np.hstack([true, np.zeros(surplus.shape, dtype=bool)])
    return true.ravel(), np.hstack([partner, surplus]).ravel()


def two_largest(shifts: pd.DataFrame) -> pd.DataFrame:
    """Targets of a method without masks as the released code has them: the two largest |shift| of each row.

    Perturbation × latent in, the same shape of zeros and ones out.
    """
    size = shifts.abs().to_numpy()
    targets = np.zeros_like(size)
    np.put_along_axis(targets, size.argsort(axis=1)[:, -2:], 1.0, axis=1)
    return pd.DataFrame(targets, index=shifts.index, columns=shifts.columns)
