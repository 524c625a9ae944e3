"""Score a fit that was computed elsewhere: without config file or workflow, from files alone."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.contracts import fit as fits
from svae.contracts.dataset import read_dataset
from svae.contracts.fit import Fit
from svae.contracts.split import read_split
from svae.contracts.truth import read_truth
from svae.errors import BenchmarkError, sentence
from svae.evaluation.comparison import Comparison
from svae.evaluation.evaluate import metric_values
from svae.evaluation.metric import Metric
from svae.evaluation.metrics import METRICS, choose_metrics
from svae.evaluation.prediction import CALIBRATED
from svae.evaluation.response import summarise_responses
from svae.seeds import checked_seed

COLUMNS = ("metric", "value", "better", "meaning", "note")


def score_files(
    fit: str | Path,
    dataset: str | Path,
    split: str | Path,
    truth: str | Path | None = None,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Score the fit in one file.

    Metrics of gene sets do not apply, since no file names these.

    Parameters
    ----------
    fit
        An h5ad file, as :mod:`svae.contracts.fit` describes it.
    dataset, split
        The files that the fit was made from.
    truth
        What a simulator knows of the dataset, where one drew it.
    metrics
        Names of metrics; by default all that apply.
    seed
        Of whatever a metric draws.

    Returns
    -------
    One row per metric: ``metric``, ``value`` (NaN where there is none), ``better`` (higher or lower),
    ``meaning`` in plain words, and ``note``, which says why there is no value, and is empty where there is.

    Raises
    ------
    BenchmarkError
        If a file is missing or breaks its contract, the fit did not end well, a metric is unknown or cannot
        be computed, no metric applies, or the seed is no whole number from 0 on.
    """
    seed = checked_seed(seed, "--seed")
    asked = None if metrics is None else choose_metrics(metrics, "--metrics")
    cells = read_dataset(dataset)
    parts = read_split(split, cells.obs["perturbation"])
    found = fits.read(fit, cells.obs_names, cells.var_names)
    if found.run.status != "ok":
        because = f" ({found.run.message})" if found.run.message else ""
        raise BenchmarkError(f"{fit}: the fit ended with the status '{found.run.status}'{because}")
    # Predictions are compared with held-out cells, and guides with what they aim at.
    needs_response = bool(found.predictions) or "target" in cells.obs
    comparison = Comparison(
        fit=found,
        split=parts,
        truth=None if truth is None else read_truth(truth, cells.obs_names),
        seed=seed,
        response=summarise_responses(cells, parts) if needs_response else None,
    )
    chosen = asked or [metric for metric in METRICS.values() if metric.is_applicable(comparison.available)]
    if not chosen:
        raise BenchmarkError(f"{fit}: no metric applies to {_parts_of(found)}, on this split")
    try:
        comparison.check_rows()
        values = metric_values(comparison, chosen)["value"]
    except BenchmarkError as error:
        raise BenchmarkError(f"{fit}: {sentence(error)}") from error
    rows = [
        (metric.name, value, metric.direction, metric.meaning, _note(metric, value, comparison))
        for metric, value in zip(chosen, values, strict=True)
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def as_text(scores: pd.DataFrame) -> str:
    """Set the scores of :func:`score_files` as a table to be read, a metric a line."""
    from tabulate import tabulate

    rows = [
        (row.metric, _number(row.metric, row.value), row.better, row.note or row.meaning)
        for row in scores.itertuples()
    ]
    heads = ("metric", "value", "better", "what it says")
    return tabulate(rows, heads, colalign=("left", "right", "left", "left"), disable_numparse=True)


def _number(metric: str, value: float) -> str:
    return "–" if pd.isna(value) else f"{value:.{METRICS[metric].decimals}f}"


def _note(metric: Metric, value: float, comparison: Comparison) -> str:
    """Say why a metric has no value."""
    lacking = [need for need in metric.needs if not comparison.available & set(need.split("|"))]
    if lacking:
        return f"not applicable without {', '.join(need.replace('|', ' or ') for need in lacking)}"
    if not pd.isna(value):
        return ""
    if metric.name.endswith(CALIBRATED):
        return "no evidence here: the technical duplicate does not do better than the mean response"
    return "undefined here"


def _parts_of(fit: Fit) -> str:
    """Name the parts that a fit has."""
    parts = ("latents", "targets", "shifts", "scores", "predictions", "differential")
    return f"a fit that holds {', '.join(part for part in parts if getattr(fit, part) is not None)} alone"
