"""Signs that a fit should be doubted, all of which can be seen without the truth.

============================ ============================================================================
overfits                     the end of the validation curve lies more than .3 % above its best epoch, and
                             the training loss has fallen since that epoch
masks all open, all closed   every probability of being a target is above, or below, one half
masks hardly moved           none is below .9: masks start open, and had no time to close
edge of the grid             the setting that the main rule chose has the lowest or the highest value that
                             was tried of an option, so a better one may lie beyond
no evidence                  a score of predictions does not tell the technical duplicate from the mean
                             response, on a dataset and for whatever method
============================ ============================================================================

The table of statuses tells of every fit all but the last two. They are counted for the settings that were
chosen.
"""

import numpy as np
import pandas as pd

from svae.contracts.fit import Fit
from svae.contracts.tables import RUN_COLUMNS, WARNINGS_COLUMNS
from svae.evaluation.metrics import METRICS
from svae.evaluation.prediction import CALIBRATED
from svae.evaluation.selection import FIXED
from svae.targets import THRESHOLD

RISE = 0.003
"""Share of the loss by which a validation curve may end above its best epoch."""

START = 0.9
"""Masks begin above this probability of being open."""

FEWEST_VALUES = 3
"""An option with fewer values has no inside that a choice could lie in."""

OVERFITS, OPEN, CLOSED, UNMOVED = "overfits", "masks all open", "masks all closed", "masks hardly moved"
EDGE = "edge of the grid"
NO_EVIDENCE = "no evidence"


def validation_rise(history: pd.DataFrame | None) -> float:
    """Share by which the end of the validation curve lies above its best epoch.

    Parameters
    ----------
    history
        Learning curve of a fit: ``epoch``, ``train``, ``validation``, in nats per cell; None if it has none.

    Returns
    -------
    0 or more; NaN without a finite validation loss.
    """
    curve = _finite(history)
    if curve.empty:
        return np.nan
    best = curve["validation"].min()
    return float((curve["validation"].iloc[-1] - best) / abs(best)) if best else np.nan


def warnings_of(fit: Fit, trained: pd.Index) -> list[str]:
    """Name what is doubtful about one fit; see the table of this module.

    Parameters
    ----------
    fit
        As read by :func:`svae.contracts.fit.read`.
    trained
        The trained perturbations. Masks of all others were never fitted.
    """
    if fit.run.status != "ok":
        return []
    found = [OVERFITS] if _overfits(fit.history) else []
    if fit.targets is not None:
        found += _of_masks(fit.targets.loc[fit.targets.index.intersection(trained)].to_numpy())
    return found


def _finite(history: pd.DataFrame | None) -> pd.DataFrame:
    """Epochs of a learning curve whose validation loss is a number."""
    if history is None:
        return pd.DataFrame(columns=["epoch", "train", "validation"], dtype=float)
    return history[np.isfinite(history["validation"].astype(float))]


def _overfits(history: pd.DataFrame | None) -> bool:
    curve = _finite(history)
    if curve.empty or not validation_rise(curve) > RISE:
        return False
    best, last = curve.loc[curve["validation"].idxmin()], curve.iloc[-1]
    return bool(last["train"] < best["train"])


def _of_masks(probabilities: np.ndarray) -> list[str]:
    """Say whether all masks, perturbation × latent, are in the same state."""
    if probabilities.size == 0:
        return []
    if (probabilities >= START).all():
        return [UNMOVED]
    if (probabilities > THRESHOLD).all():
        return [OPEN]
    return [CLOSED] if (probabilities < THRESHOLD).all() else []


def warnings_of_run(
    status: pd.DataFrame,
    selected: pd.DataFrame,
    settings: pd.DataFrame,
    rule: str,
    metrics: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Count the warnings about the settings that a rule chose, and about scores that say nothing.

    Parameters
    ----------
    status
        One row per fit: ``dataset``, ``split``, ``replicate``, ``method``, ``setting``, ``warnings``.
    selected
        As :func:`svae.evaluation.selection.select` gives it.
    settings
        ``method``, ``setting``, ``parameter``, ``value``.
    rule
        The selection rule that is meant.
    metrics
        ``dataset``, ``split``, ``replicate``, ``metric``, ``value``, by which scores of predictions are
        judged; none by default.

    Returns
    -------
    ``dataset``, ``split``, ``method`` (NaN of a score), ``warning``, ``detail`` (of a grid: the option, its
    value and the side; the label of a score; NaN of all else), and in ``n`` of the ``planned`` replicates.
    Empty if nothing is doubtful.
    """
    chosen = selected[selected["rule"] == rule].astype({"setting": object})  # of numbers if there is none
    run = ["dataset", "split", "method"]
    what = [*run, "warning", "detail"]
    planned = chosen.groupby(run, sort=False).size().rename("planned").reset_index()
    found = [_of_fits(status, chosen)]
    if rule != FIXED:  # which chooses by nothing that could be better beyond
        found.append(_of_edges(chosen[chosen["outcome"] == "chosen"], settings))
    table = pd.concat(found, ignore_index=True)
    counted = table.groupby(what, sort=False, dropna=False).size().rename("n").reset_index()
    counted = counted.merge(planned, on=run, how="left")[list(WARNINGS_COLUMNS)]
    if metrics is None:
        return counted
    scores = _of_scores(metrics)
    return counted if scores.empty else pd.concat([counted, scores], ignore_index=True)


def _of_fits(status: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Warnings of the chosen fits, one row each."""
    keys = [*RUN_COLUMNS, "setting"]
    fits = status[[*keys, "warnings"]].merge(chosen[keys], on=keys)
    told = fits["warnings"].fillna("").astype(str).str.split("; ")
    table = fits.assign(warning=told, detail=np.nan).explode("warning")
    return table.loc[table["warning"] != "", [*RUN_COLUMNS, "warning", "detail"]]


def _of_edges(chosen: pd.DataFrame, settings: pd.DataFrame) -> pd.DataFrame:
    """Choices of the lowest or the highest value of a numeric option, one row each."""
    options = settings[settings["parameter"] != "restart"]
    options = options.assign(value=pd.to_numeric(options["value"], errors="coerce")).dropna(subset="value")
    values = options.groupby(["method", "parameter"])["value"]
    options = options.assign(
        lowest=values.transform("min"), highest=values.transform("max"), values=values.transform("nunique")
    )
    options = options[options["values"] >= FEWEST_VALUES]
    table = chosen.merge(options, on=["method", "setting"])
    at_edge = table[(table["value"] == table["lowest"]) | (table["value"] == table["highest"])]
    side = np.where(at_edge["value"] == at_edge["lowest"], "lowest", "highest")
    detail = [
        f"{parameter} = {value:g}, the {which} of {count}"
        for parameter, value, which, count in zip(
            at_edge["parameter"], at_edge["value"], side, at_edge["values"], strict=True
        )
    ]
    return at_edge.assign(warning=EDGE, detail=detail)[[*RUN_COLUMNS, "warning", "detail"]]


def _of_scores(metrics: pd.DataFrame) -> pd.DataFrame:
    """Count the replicates in which a score has values, but for no fit a calibrated one."""
    known = metrics.dropna(subset="value").groupby(["dataset", "split", "replicate"], sort=False)["metric"]
    rows = [
        (dataset, split, METRICS[name].label, f"{name}{CALIBRATED}" not in names)
        for (dataset, split, _), names in known.agg(set).items()
        for name in METRICS
        if name in names and f"{name}{CALIBRATED}" in METRICS
    ]
    table = pd.DataFrame(rows, columns=["dataset", "split", "detail", "lacking"])
    counts = table.groupby(["dataset", "split", "detail"], sort=False)["lacking"]
    counted = counts.agg(n="sum", planned="size").reset_index().assign(method=np.nan, warning=NO_EVIDENCE)
    return counted.loc[counted["n"] > 0, list(WARNINGS_COLUMNS)]
