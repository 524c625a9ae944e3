"""Where each method stands between no skill and the ceiling, on every question that it answers."""

from collections.abc import Iterable, Iterator

import pandas as pd

from svae.evaluation.prediction import CALIBRATED
from svae.report.numbers import DASH, estimate
from svae.report.tables import Tables
from svae.report.values import FACET

NO_SKILL, CEILING = "random", "oracle"
"""The anchors that a metric is scaled by, unless it is calibrated already or has ends of its own."""

ENDS = {"sibling_auroc": (0.5, 1.0)}
"""What no skill and the ceiling have of metrics for which that is known, without anchors."""

DECIMALS = 2


def standings(tables: Tables) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Say for each dataset and split where the methods stand.

    A headline metric is scaled so that 0 is what the anchor `random` has and 1 what the oracle has, or by
    :data:`ENDS`. Metrics that one of the two has no value of, such as likelihoods, cannot be, and are left
    out.

    Yields
    ------
    The title of dataset and split; the heads of the columns: ``Method`` and the labels of the metrics; and a
    row of texts per method: its name, and its standing with the scaled 95 % interval on each metric, a dash
    where it does not answer the question.
    """
    board = tables.leaderboard[tables.leaderboard["rule"] == tables.rule]
    headlines = tables.registry.index[tables.registry["headline"]]
    for facet, rows in board.groupby(FACET, sort=False):
        scaled = {}
        for metric in headlines:
            table = _scaled(rows[rows["metric"] == metric], metric)
            if table is not None:
                scaled[metric] = table
        methods = [m for m in tables.order if any(m in table.index for table in scaled.values())]
        if methods:
            heads = ["Method", *(tables.registry.loc[metric, "label"] for metric in scaled)]
            yield tables.title(*facet), heads, [_row(tables, method, scaled.values()) for method in methods]


def _scaled(rows: pd.DataFrame, metric: str) -> pd.DataFrame | None:
    """Scale mean, low and high of the methods, indexed by method; None if there is no scale, or no value."""
    table = rows.set_index("method")[["mean", "low", "high"]].dropna(subset=["mean"])
    if not metric.endswith(CALIBRATED):
        bottom, top = ENDS.get(metric, (table["mean"].get(NO_SKILL), table["mean"].get(CEILING)))
        if bottom is None or top is None or bottom == top:
            return None
        table = (table - bottom) / (top - bottom)
        if top < bottom:  # lower is better, so that the scale turns intervals round
            table = table.rename(columns={"low": "high", "high": "low"})
    return None if table.empty else table


def _row(tables: Tables, method: str, scaled: Iterable[pd.DataFrame]) -> list[str]:
    """Name of a method, and its standing on each metric."""
    cells = [tables.label(method)]
    for table in scaled:
        if method in table.index:
            row = table.loc[method]
            cells.append(estimate(row["mean"], row["low"], row["high"], DECIMALS))
        else:
            cells.append(DASH)
    return cells
