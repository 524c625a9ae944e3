"""Targets: are the latents that each perturbation shifts found."""

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, precision_recall_fscore_support

from svae.evaluation.metrics.latents import match_latents

THRESHOLD = 0.5  # a latent is a target above this probability (Lopez et al. 2023)


def target_scores(
    true_targets: np.ndarray,
    probabilities: np.ndarray,
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
