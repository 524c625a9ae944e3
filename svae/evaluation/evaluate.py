"""Evaluate the fits of one method on one replicate: metrics, how they ended, curves and targets."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts import fit as fit_file
from svae.contracts import made
from svae.contracts.fit import Fit
from svae.contracts.split import COLUMNS, cells_of, held_out_cells
from svae.contracts.tables import with_columns, with_run
from svae.errors import BenchmarkError, sentence
from svae.evaluation.comparison import Comparison
from svae.evaluation.latent_genes import tidy_latent_genes
from svae.evaluation.matching import match_latents
from svae.evaluation.metric import Metric
from svae.evaluation.metrics import METRICS
from svae.evaluation.predictive import predictive_checks
from svae.evaluation.response import Response
from svae.evaluation.restarts import agreement_of_restarts
from svae.evaluation.screen import tidy_perturbations
from svae.evaluation.warning import validation_rise, warnings_of

logger = logging.getLogger(__name__)

STATUS_FIELDS = ("status", "message", "seconds", "peak_memory_mb", "device", "seed")


class Evaluation(NamedTuple):
    """Tidy tables of one fit.

    Attributes
    ----------
    metrics
        ``metric``, ``value``.
    status
        One row: how the run ended, what it cost, what is doubtful about it, and its label-free scores.
    history
        ``epoch``, ``train``, ``validation``; empty if the method has no learning curve.
    held_out
        ``metric``, ``perturbation``, ``effect``, ``value``: likelihoods and predictions of each held-out
        perturbation, and the size of its effect, of real data only.
    targets
        ``perturbation``, ``part``, ``latent``, ``probability``, ``shift``, ``true``; latents in the order of
        the true ones they match, where there is a truth.
    perturbations
        ``perturbation``, ``part``, ``cells``, ``effect``, ``own_change``, ``responding``, ``differential``,
        ``called``, ``agreed``: what each perturbation does to its cells, and what the fit says of it; of real
        data.
    latent_genes
        ``latent``, ``gene``, ``probability``, ``log2_fold_change``: which genes latents move; of real data.
    predictive
        ``statistic``, ``gene``, ``generated``, ``real``: posterior predictive checks; of real data.
    """

    metrics: pd.DataFrame
    status: pd.DataFrame
    history: pd.DataFrame
    held_out: pd.DataFrame
    targets: pd.DataFrame
    perturbations: pd.DataFrame
    latent_genes: pd.DataFrame
    predictive: pd.DataFrame


def read_fit(path: str | Path, split: pd.DataFrame, genes: pd.Index | None = None) -> Fit:
    """Read a fit; one that breaks the contract, or was damaged, counts as failed, with the reason.

    Parameters
    ----------
    path
        The file of the fit.
    split
        Its cells are those of the dataset.
    genes
        Genes of the dataset, where known.
    """
    cells = pd.Index(split["cell"].astype(str))
    try:
        made.refuse_changed(path)
        return fit_file.read(path, cells, genes)
    except Exception as error:
        _log(error)
        return Fit.failed(cells, "failed", sentence(error))


def _log(error: Exception) -> None:
    """Log an error that costs a fit, with its traceback if nobody foresaw it."""
    logger.warning("%s", error, exc_info=None if isinstance(error, BenchmarkError) else error)


def compute_metrics(
    fit: Fit,
    split: pd.DataFrame,
    truth: ad.AnnData | None = None,
    metrics: Iterable[Metric] = tuple(METRICS.values()),
    seed: int = 0,
    response: Response | None = None,
) -> pd.DataFrame:
    """Compute metrics of one fit.

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
        What to compute; by default all there are.
    seed
        Of the subsample and forests behind DCI, and of the random starts in ``*_original``.
    response
        What held-out cells really do, which metrics of predictions need.

    Returns
    -------
    Columns ``metric`` and ``value``, in the order of `metrics`. A metric that needs what the fit or the
    truth lacks is not applicable: NaN, never 0; so are all metrics of a fit that did not end well.

    Raises
    ------
    BenchmarkError
        If cells or perturbations of the split are missing from the fit or the truth, or a metric cannot be
        computed.
    """
    split = with_columns(split, COLUMNS, "the split")
    return metric_values(Comparison(fit, split, truth, seed, response), metrics)


def metric_values(comparison: Comparison, metrics: Iterable[Metric]) -> pd.DataFrame:
    """Compute `metrics` of a comparison: columns ``metric`` and ``value``, NaN where not applicable."""
    rows = [
        (metric.name, _value(metric, comparison) if metric.is_applicable(comparison.available) else np.nan)
        for metric in metrics
    ]
    return pd.DataFrame(rows, columns=["metric", "value"]).astype({"value": float})


def held_out_values(comparison: Comparison, metrics: Iterable[Metric]) -> pd.DataFrame:
    """Compute likelihoods and predictions of each held-out perturbation, which real data have replicates of.

    A metric of likelihood or prediction is a mean over held-out perturbations; this tells what it is the mean
    of. In a simulation the draws of the data are the replicates, so nothing is computed where there is a
    truth.

    Returns
    -------
    ``metric``, ``perturbation``, ``effect`` (:attr:`svae.evaluation.response.Response.effects`; NaN where it
    is not known), ``value``; perturbations that do not count are left out: those with too few cells, and
    those on which a metric is undefined.
    """
    rows = []
    if comparison.truth is None:
        likelihoods = [metric for metric in metrics if metric.question == "likelihood"]
        for perturbation in held_out_cells(comparison.split).unique():
            values = metric_values(comparison.of_held_out(perturbation), likelihoods)
            rows.append(values.assign(perturbation=perturbation))
        for metric in metrics:
            if metric.of_each is not None and metric.is_applicable(comparison.available):
                values = metric.of_each(comparison).rename_axis("perturbation").rename("value").reset_index()
                rows.append(values.assign(metric=metric.name))
    columns = ["metric", "perturbation", "effect", "value"]
    if not rows:
        return pd.DataFrame(columns=columns)
    effects = {} if comparison.response is None else comparison.response.effects.to_dict()
    table = pd.concat(rows).dropna(subset=["value"])
    return table.assign(effect=table["perturbation"].map(effects).astype(float))[columns]


def _value(metric: Metric, comparison: Comparison) -> float:
    """Compute a metric; whatever goes wrong is told with its name."""
    try:
        value = float(metric.compute(comparison))
    except Exception as error:
        raise BenchmarkError(f"metric '{metric.name}': {sentence(error)}") from error
    if np.isinf(value):
        raise BenchmarkError(f"metric '{metric.name}' is infinite")
    return value


def evaluate_fit(
    fit: Fit,
    split: pd.DataFrame,
    truth: ad.AnnData | None,
    metrics: Sequence[Metric],
    seed: int,
    response: Response | None = None,
) -> Evaluation:
    """Evaluate a fit; one that cannot be evaluated counts as failed, with the reason, whatever that is.

    Parameters are those of :func:`compute_metrics`.
    """
    comparison = Comparison(fit, split, truth, seed, response)
    try:
        values = metric_values(comparison, metrics)
        held_out = held_out_values(comparison, metrics)
        targets = tidy_targets(comparison)
        perturbations = tidy_perturbations(comparison)
        of_real_data = fit if truth is None else Fit(fit.cells)  # what a truth answers better is left out
        latent_genes = tidy_latent_genes(of_real_data)
        predictive = predictive_checks(of_real_data, response)
    except Exception as error:
        _log(error)
        failed = replace(fit.run, status="failed", message=sentence(error))
        return evaluate_fit(Fit(fit.cells, run=failed), split, truth, metrics, seed, response)
    run = {field: getattr(fit.run, field) for field in STATUS_FIELDS}
    run |= {
        "validation_rise": validation_rise(fit.history),
        "warnings": "; ".join(warnings_of(fit, comparison.trained)),
    }
    no_history = pd.DataFrame(columns=["epoch", "train", "validation"])
    return Evaluation(
        metrics=values,
        status=pd.DataFrame([run | dict(fit.selection)]),
        history=no_history if fit.history is None else fit.history,
        held_out=held_out,
        targets=targets,
        perturbations=perturbations,
        latent_genes=latent_genes,
        predictive=predictive,
    )


def evaluate_fits(
    fits: Mapping[str, Fit],
    grid_points: Mapping[str, str],
    split: pd.DataFrame,
    truth: ad.AnnData | None,
    metrics: Sequence[Metric],
    seed: int,
    response: Response | None = None,
) -> Evaluation:
    """Evaluate the fits of one method on one replicate, and how well the restarts of each grid point agree.

    Parameters
    ----------
    fits
        By setting.
    grid_points
        The grid point of each setting, which the setting shares with its restarts.
    split, truth, metrics, seed, response
        As in :func:`compute_metrics`.

    Returns
    -------
    The tables of all fits, one below the other, with a column ``setting`` in front. The status has a column
    ``udr``, the agreement of restarts, if any grid point has at least two that ended well.
    """
    evaluations = [evaluate_fit(fit, split, truth, metrics, seed, response) for fit in fits.values()]
    tables = {
        name: pd.concat(
            [
                with_run(getattr(evaluation, name), setting=setting)
                for setting, evaluation in zip(fits, evaluations, strict=True)
            ],
            ignore_index=True,
        )
        for name in Evaluation._fields
    }
    # A fit that could not be evaluated is nothing to agree with.
    ended = dict(zip(tables["status"]["setting"], tables["status"]["status"], strict=True))
    sound = {setting: fit for setting, fit in fits.items() if ended[setting] == "ok"}
    agreement: dict[str, float] = {}
    for grid_point in dict.fromkeys(grid_points.values()):
        restarts = {setting: fit for setting, fit in sound.items() if grid_points[setting] == grid_point}
        agreement |= agreement_of_restarts(restarts, split)
    if agreement:
        tables["status"]["udr"] = tables["status"]["setting"].map(agreement)
    return Evaluation(**tables)


def tidy_targets(comparison: Comparison) -> pd.DataFrame:
    """Targets and shifts of a fit in long form, next to the true targets of the matched latents.

    Returns
    -------
    The columns ``perturbation`` (those that the split uses), ``part`` (trained or held_out), ``latent``,
    ``probability``, ``shift`` and ``true``. Latents are numbered from 1, in the order of the true ones that
    they match; in that of the fit where there is no truth. Empty if the fit has neither targets nor shifts.
    """
    fit, truth = comparison.fit, comparison.truth
    columns = ["perturbation", "part", "latent", "probability", "shift", "true"]
    told = [table.index for table in (fit.targets, fit.shifts) if table is not None]
    if fit.run.status != "ok" or fit.latents is None or not told:
        return pd.DataFrame(columns=columns)
    comparison.check_rows()
    order = np.arange(fit.latents.shape[1])
    perturbations = told[0].union(told[-1], sort=False)
    true = pd.DataFrame(index=perturbations)
    if truth is not None:
        _, matched_true, matched = match_latents(comparison.true_latents, comparison.latents)
        order = np.concatenate([matched, np.setdiff1d(order, matched)])
        true = truth.uns["targets"].iloc[:, matched_true].reindex(perturbations)
    keys = ["perturbation", "latent"]
    long = (
        _long(fit.targets, order, "probability")
        .merge(_long(fit.shifts, order, "shift"), on=keys, how="outer")
        .merge(_long(true, np.arange(true.shape[1]), "true"), on=keys, how="left")
    )
    long = long[~long["perturbation"].isin(cells_of(comparison.split, "unused"))]
    held_out = long["perturbation"].isin(held_out_cells(comparison.split))
    return long.assign(part=np.where(held_out, "held_out", "trained"))[columns]


def _long(table: pd.DataFrame | None, order: np.ndarray, name: str) -> pd.DataFrame:
    """Perturbation × latent to one row each; latents are numbered from 1 in the given order."""
    if table is None or table.shape[1] == 0:
        return pd.DataFrame(columns=["perturbation", "latent", name])
    values = table.iloc[:, order].set_axis(np.arange(1, len(order) + 1), axis=1)
    long = (
        values.rename_axis("perturbation")
        .reset_index()
        .melt("perturbation", var_name="latent", value_name=name)
    )
    return long.astype({"perturbation": str, "latent": int})
