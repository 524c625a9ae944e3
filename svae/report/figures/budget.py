"""What a larger search is worth: the score that one expects against the number of fits."""

from collections.abc import Iterable
from math import comb
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from svae.evaluation.metrics import within_range
from svae.evaluation.selection import RULES, in_order_of_choice
from svae.report.figures.axes import divide, label_log_axis, method_handles, write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import WIDTH
from svae.report.outcomes import FALLBACK, NOT_CHOSEN, missing_note, outcomes_of
from svae.report.tables import Tables
from svae.report.values import FACET, RUN, facets, measured, summarise

METRICS = ("mcc_pearson", "target_f1", "inll_clean")
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


@figure(needs="a method with several fits, among which the main selection rule can choose")
def score_against_fits(tables: Tables) -> Drawn | None:
    """Draw the score that is expected if the main rule chooses among so many fits of a method."""
    table = _expected_scores(tables)
    shown = list(facets(table, "mean"))
    if not shown or table["fits"].max() == 1:
        return None
    metrics = [metric for metric in METRICS if metric in set(table["metric"])]
    width = min(WIDTH, 1.2 + 2.4 * len(metrics))
    page = matplotlib.figure.Figure(figsize=(width, 2.1 * len(shown) + 0.4))
    for part, (facet, group) in zip(divide(page, len(shown)), shown, strict=True):
        write_title(part, tables.title(*facet))
        write_note(part, _missing(tables, facet, group.loc[group["mean"].notna(), "method"]))
        axes = part.subplots(1, len(metrics), squeeze=False)[0]
        for ax, metric in zip(axes, metrics, strict=True):
            _draw_lines(ax, group[group["metric"] == metric], tables)
            facts = tables.registry.loc[metric]
            ax.set_title(facts["label"], weight="normal")
            ax.set_ylabel(f"{facts['direction'].capitalize()} is better")
            ax.set_xlabel("Fits")
    drawn = set(table.loc[table["mean"].notna(), "method"])
    handles = method_handles(tables, [method for method in tables.order if method in drawn])
    page.legend(handles=handles, loc="outside lower center", ncols=2 * len(metrics))
    return Drawn(page, table)


def _missing(tables: Tables, facet: tuple[str, str], shown: Iterable[str]) -> str:
    """Say which methods are not shown, and why: also if the rule cannot choose among their fits."""
    absent = [method for method in tables.order if method not in set(shown)]
    unranked = [method for method in absent if FALLBACK in set(outcomes_of(tables, facet, method))]
    others = missing_note(tables, facet, [*shown, *unranked])
    not_chosen = f"{NOT_CHOSEN}: {tables.labels(unranked)}" if unranked else ""
    return "; ".join(note for note in (others, not_chosen) if note)


def _draw_lines(ax: Axes, table: pd.DataFrame, tables: Tables) -> None:
    """Draw a line and the band of its interval per method; a dot ends the line at all fits there are."""
    for method in tables.order:
        rows = table[(table["method"] == method) & table["mean"].notna()]
        if rows.empty:
            continue
        colour = tables.colour(method)
        ax.fill_between(rows["fits"], rows["low"], rows["high"], color=colour, alpha=0.15, lw=0)
        ax.plot(rows["fits"], rows["mean"], color=colour, lw=1.2)
        ax.scatter(rows["fits"].iloc[-1], rows["mean"].iloc[-1], s=14, color=colour, zorder=3)
    most = int(table["fits"].max())
    # The last tick is the number of fits itself; a round one just before it would run into it.
    label_log_axis(ax, [*(tick for tick in TICKS if tick <= most / 1.3), most])
    ax.set_xlim(0.9, 1.15 * most)


def _expected_scores(tables: Tables) -> pd.DataFrame:
    """Expected score by number of fits: facet, ``metric``, ``method``, ``fits``, and the score's spread."""
    metrics = measured(tables, METRICS)
    by_fit = tables.metrics.pivot(index=[*RUN, "setting"], columns="metric", values="value")
    parts = []
    for run, status in tables.status.groupby(RUN, sort=False):
        order = in_order_of_choice(RULES[tables.rule], status)
        if run[-1] not in tables.order or not order:
            continue
        for metric in metrics:
            values = by_fit.loc[[(*run, setting) for setting in order], metric].to_numpy(dtype=float)
            fits = np.arange(1, len(values) + 1)
            keys: dict[str, Any] = dict(zip(RUN, run, strict=True))
            parts.append(pd.DataFrame({**keys, "metric": metric, "fits": fits, "value": expected(values)}))
    by = [*FACET, "metric", "method", "fits"]
    if not parts:
        return pd.DataFrame(columns=[*by, "mean"])
    return within_range(summarise(pd.concat(parts, ignore_index=True), by))


def expected(values: np.ndarray) -> np.ndarray:
    """Expected score of the fit that a rule chooses among k of a method's fits, for every k.

    This is the expected validation performance of Dodge et al. (2019, "Show your work", EMNLP), for a score
    other than the one that is chosen by, and for k different fits: of N fits, the one in place i (from 0) is
    chosen if it is drawn and none of the i before it is, with probability C(N − 1 − i, k − 1) / C(N, k).

    Parameters
    ----------
    values
        Score of each fit, in the order in which the rule would choose.

    Returns
    -------
    One value for k = 1, 2, …, N: first the mean of all, last the score of the rule's first choice.
    """
    n = len(values)
    chances = np.array([[comb(n - 1 - i, k - 1) / comb(n, k) for i in range(n)] for k in range(1, n + 1)])
    return chances @ values
