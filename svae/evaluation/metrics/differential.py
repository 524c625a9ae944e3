"""Moved genes: are the genes called that each perturbation really moves, and few others."""

from functools import partial

import numpy as np

from svae.errors import BenchmarkError
from svae.evaluation.comparison import Comparison
from svae.evaluation.metric import metric

of_moved_genes = partial(
    metric, question="targets", low=0, high=1, needs=("truth", "differential"), citation="Boyeau et al. 2023"
)
"""Registers a metric of the calls of moved genes."""


@of_moved_genes(label="Realised FDR of moved genes (nominal 5 %)", direction="lower")
def de_realised_fdr(comparison: Comparison) -> float:
    """Share of the genes called moved at a nominal FDR of 5 % that the perturbation does not move.

    It is 0 for a perturbation without calls, and averaged over the trained perturbations.
    """
    return comparison.shared(_scores)["fdr"]


@of_moved_genes(label="Power on moved genes (nominal FDR 5 %)", direction="higher")
def de_power(comparison: Comparison) -> float:
    """Share of the genes that a perturbation moves that are called moved at a nominal FDR of 5 %.

    It is averaged over the trained perturbations that move any gene.
    """
    return comparison.shared(_scores)["power"]


def _scores(comparison: Comparison) -> dict[str, float]:
    # Here, because they load anndata, which users of the names of metrics need not wait for.
    from svae.differential import DELTA, called
    from svae.simulation.likelihood import true_changes

    moved = comparison.moved
    assert comparison.truth is not None  # promised by the needs of the metrics
    changes = true_changes(comparison.truth, list(moved.index))
    if changes is None:
        return {"fdr": np.nan, "power": np.nan}
    if changes.shape != moved.shape:
        raise BenchmarkError(
            f'the fit, uns["differential"] has {moved.shape[1]} genes, but {changes.shape[1]} were simulated'
        )
    return call_scores(called(moved).to_numpy(), np.abs(changes) > DELTA)


def call_scores(calls: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """Compare calls with the truth, both perturbation × gene, boolean.

    Returns
    -------
    ``fdr``, the mean share of false calls, and ``power``, the mean share of moved genes that are called; NaN
    if no perturbation moves any gene.
    """
    false, found = (calls & ~truth).sum(axis=1), (calls & truth).sum(axis=1)
    moves_any = truth.any(axis=1)
    power = found[moves_any] / truth[moves_any].sum(axis=1)
    return {
        "fdr": float(np.mean(false / np.maximum(calls.sum(axis=1), 1))),
        "power": float(power.mean()) if moves_any.any() else np.nan,
    }
