"""How far datasets that were varied are from their baseline, and where methods fail on the way."""

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from svae.evaluation.matching import mcc_of_rotations
from svae.report.outcomes import FALLBACK
from svae.report.tables import Tables
from svae.report.values import FACET, SPREAD, chosen_values, summarise

PLACE = ["baseline", "axis", "dataset", "value", "step"]
PANEL = ["baseline", "split", "axis"]
"""What a curve of scores is drawn for."""
FAILURE_COLUMNS = (
    *("baseline", "split", "axis", "side", "metric", "method"),
    *("score", "chance", "outcome", "fails_at", "last", "share"),
)
MCC = "mcc_pearson"
HOLDS, FAILS, FAILS_AT_BASELINE = "holds", "fails", "fails at the baseline"
CHANCE = "random"
"""The anchor that knows nothing: what a score is worth is measured from it."""


def steps(tables: Tables) -> pd.DataFrame:
    """Say how many steps each dataset of an axis is away from the baseline.

    Returns
    -------
    One row for each axis and dataset on it, the baseline of the axis included: ``baseline``, ``axis``,
    ``dataset``, ``value`` (of what is varied) and ``step``: 0 for the baseline, and for all others their rank
    by distance. Smaller values have negative steps, if there are larger values as well. Where a value is no
    number, the order is that of the config file.
    """
    facts = tables.datasets.pivot(index="dataset", columns="parameter", values="value")
    if "baseline" not in facts:
        return pd.DataFrame(columns=PLACE)
    order = list(tables.datasets["dataset"].unique())
    varied = facts.loc[order].dropna(subset=["baseline", "axis"])
    parts = []
    for (baseline, axis), rows in varied.groupby(["baseline", "axis"], sort=False):
        datasets = [baseline, *rows.index]
        values = pd.to_numeric(facts.loc[datasets, axis], errors="coerce").to_numpy()
        place = {"baseline": baseline, "axis": axis, "dataset": datasets, "value": values}
        parts.append(pd.DataFrame(place | {"step": _steps_away(values)}).sort_values("step"))
    return pd.concat(parts, ignore_index=True)


def _steps_away(values: np.ndarray) -> np.ndarray:
    """Rank values by their distance from the first one; below it negative, if there are values above it."""
    baseline, others = values[0], values[1:]
    if np.isnan(values).any():
        return np.arange(len(values))
    away = np.zeros(len(values), dtype=int)
    above, below = others > baseline, others < baseline
    away[1:][above] = others[above].argsort().argsort() + 1
    away[1:][below] = (-others[below]).argsort().argsort() + 1
    if above.any():
        away[1:][below] *= -1
    return away


def scores(tables: Tables, metrics: Iterable[str]) -> pd.DataFrame:
    """Look up metrics on all axes, at the settings that the main rule chose.

    Returns
    -------
    The columns of :func:`steps`, ``split``, ``metric``, ``method``, those of
    :data:`svae.report.values.SPREAD`, and ``fallbacks``: replicates in which the rule made no choice.
    """
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & board["metric"].isin(list(metrics))]
    columns = [*PLACE, "split", "metric", "method", *SPREAD, "fallbacks"]
    return steps(tables).merge(board, on="dataset")[columns]


def differences(tables: Tables, metric: str) -> pd.DataFrame:
    """Compare a metric on all axes with that of the reference method, replicate by replicate.

    Returns
    -------
    The columns of :func:`scores`, where mean and interval are those of the paired differences.
    """
    values = chosen_values(tables, [metric])
    values = values[values["rule"] == tables.rule].drop(columns=SPREAD)
    pair = [*FACET, "replicate"]
    reference = values[values["method"] == tables.reference].set_index(pair)["value"].rename("of_reference")
    values = values.join(reference, on=pair)
    values["value"] -= values["of_reference"]
    keys = [*FACET, "metric", "method"]
    fallbacks = (values["outcome"] == FALLBACK).groupby([values[key] for key in keys]).sum()
    table = summarise(values, keys).join(fallbacks.rename("fallbacks"), on=keys)
    columns = [*PLACE, "split", "metric", "method", *SPREAD, "fallbacks"]
    return steps(tables).merge(table, on="dataset")[columns]


def chance_of(tables: Tables, metric: str) -> pd.Series:
    """What a method has by chance: the mean score of the anchor ``random``, indexed by dataset and split.

    For the MCC it is what a random rotation of the true latents has, if this is more
    (:func:`svae.evaluation.matching.mcc_of_rotations`): to find the space of the latents is not yet to find
    the latents.
    """
    board = tables.leaderboard
    rows = board[(board["rule"] == tables.rule) & (board["metric"] == metric) & (board["method"] == CHANCE)]
    chance = rows.set_index(FACET)["mean"]
    if metric != MCC:
        return chance
    facts = tables.datasets[tables.datasets["parameter"] == "latents"].set_index("dataset")["value"]
    rotated = {dataset: mcc_of_rotations(int(n)) for dataset, n in facts.items()}
    larger = [max(mean, rotated.get(dataset, mean)) for (dataset, _), mean in chance.items()]
    return pd.Series(larger, chance.index, dtype=float)


def failure_points(tables: Tables, metrics: Iterable[str]) -> pd.DataFrame:
    """Find where methods fail: the mildest severity at which half of what they have over chance is lost.

    A method fails where its mean score is below the middle between chance on the same dataset
    (:func:`chance_of`) and its own score at the baseline. It fails at the baseline already if the interval of
    its score there is not above chance.

    Returns
    -------
    One row for each axis, side of it, metric and method: ``baseline``, ``split``, ``axis``, ``side``
    (``up`` for larger values, ``down`` for smaller ones), ``metric``, ``method``, ``score`` and ``chance``
    (at the baseline), ``outcome`` (:data:`HOLDS`, :data:`FAILS` or :data:`FAILS_AT_BASELINE`), ``fails_at``
    (the value where it fails on the way), ``last`` (the most severe value that has a score) and ``share`` of
    the steps up to there that it holds. Anchors, and methods without a score at the baseline, have none.
    """
    table = scores(tables, metrics)
    rows = []
    for (baseline, split, axis, metric), panel in table.groupby([*PANEL, "metric"], sort=False):
        sign = 1 if tables.registry.loc[metric, "direction"] == "higher" else -1
        chance = chance_of(tables, str(metric))
        for method in tables.order:
            curve = panel[panel["method"] == method].set_index(FACET)
            curve = curve.assign(chance=chance).dropna(subset=["mean", "chance"])
            at_baseline = curve[curve["step"] == 0]
            if at_baseline.empty:
                continue
            own = at_baseline.iloc[0]
            curve["fails"] = sign * curve["mean"] < sign * (curve["chance"] + own["mean"]) / 2
            nothing_to_lose = sign * _worse_end(own, sign) <= sign * own["chance"]
            for points in _sides(curve):
                numbers = points["value"].dropna()
                rows.append(
                    {
                        **{"baseline": baseline, "split": split, "axis": axis},
                        "side": "up" if numbers.iloc[-1] >= numbers.iloc[0] else "down",
                        **{"metric": metric, "method": method, "score": own["mean"], "chance": own["chance"]},
                        **_failure(points, nothing_to_lose),
                        "last": points["value"].iloc[-1],
                    }
                )
    return pd.DataFrame(rows, columns=list(FAILURE_COLUMNS))


def _worse_end(score: pd.Series, sign: int) -> float:
    """Worse end of the interval of a score, or the mean if it has none."""
    end = score["low"] if sign > 0 else score["high"]
    return score["mean"] if pd.isna(end) else end


def _failure(points: pd.DataFrame, nothing_to_lose: bool) -> dict[str, object]:
    """Say whether a method fails on one side of an axis, at which value, and how far it holds."""
    if nothing_to_lose:
        return {"outcome": FAILS_AT_BASELINE, "fails_at": np.nan, "share": 0.0}
    failed = points["fails"].to_numpy()
    if not failed.any():
        return {"outcome": HOLDS, "fails_at": np.nan, "share": 1.0}
    first = failed.argmax()
    share = (first - 1) / (len(points) - 1)  # the baseline is no step
    return {"outcome": FAILS, "fails_at": points["value"].iloc[first], "share": share}


def _sides(curve: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield the points of a curve from the baseline outwards, to each side that has any."""
    for sign in (-1, 1):
        points = curve[sign * curve["step"] >= 0]
        if len(points) > 1:
            yield points.sort_values("step", key=abs)
