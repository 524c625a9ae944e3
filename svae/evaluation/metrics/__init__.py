"""The metrics: one file per question, and one function that asks them all of a fit."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.fit import Fit
from svae.errors import BenchmarkError
from svae.evaluation.comparison import COMPUTE, Comparison
from svae.evaluation.metrics.registry import choose_metrics, needs_met, read_metrics

__all__ = ["choose_metrics", "evaluate", "needs_met", "read_metrics"]


def evaluate(
    fit: Fit,
    split: pd.DataFrame,
    truth: ad.AnnData | None = None,
    metrics: pd.DataFrame | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Compute every metric of one fit.

    Parameters
    ----------
    fit
        As read by :func:`svae.contracts.fit.read`.
    split
        One row per cell: ``cell``, ``perturbation``, ``part`` (train, validation, adapt or test).
    truth
        What only a simulator knows: ``obs_names`` = cells, ``obsm["latents"]`` (cells × p),
        ``uns["targets"]`` (perturbation × p). None for real data.
    metrics
        Table of metrics (:func:`read_metrics`); by default all those of ``config/metrics.tsv``.
    seed
        Of the subsample and forests behind DCI, and of the random starts in ``*_original``.

    Returns
    -------
    Columns ``metric`` and ``value``, in the order of `metrics`. A metric that needs what the fit or the
    truth lacks is not applicable: NaN, never 0; so are all metrics of a fit that did not end well.

    Raises
    ------
    BenchmarkError
        If cells or perturbations of the split are missing from the fit or the truth.
    """
    for column in ("cell", "perturbation", "part"):
        if column not in split:
            raise BenchmarkError(
                f"the split: column '{column}' is missing (columns: {', '.join(split.columns)})"
            )
    registry = read_metrics() if metrics is None else metrics
    comparison = Comparison(fit, split, truth, seed)
    values = [
        COMPUTE[metric](comparison) if needs_met(needs, comparison.available) else np.nan
        for metric, needs in registry["needs"].items()
    ]
    return pd.DataFrame({"metric": registry.index, "value": np.asarray(values, dtype=float)})
