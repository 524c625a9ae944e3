"""What it costs to choose settings without the truth."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from svae.evaluation.selection import HINDSIGHT, RULES
from svae.report.figures.axes import (
    divide,
    fallback_handle,
    label_few_ticks,
    label_score,
    write_missing,
    write_title,
)
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, RULE_LOOKS, TINY, WIDTH
from svae.report.outcomes import FALLBACK, NOT_RUN, why_missing
from svae.report.tables import Tables
from svae.report.values import FACET, RUN, facets, summarise

METRICS = ("mcc_pearson", "target_f1", "inll_clean")
STEP = 0.24
"""Distance between the rows of two rules, where that between methods is 1."""


@figure(needs="the hindsight rule, and so the truth, and a method with several settings")
def selection_rules(tables: Tables) -> Drawn | None:
    """Draw what is lost where the setting is chosen without the truth."""
    table = _against_hindsight(tables)
    shown = list(facets(table, "mean"))
    if not shown:
        return None
    metrics = [metric for metric, rows in table.groupby("metric", sort=False) if rows["mean"].notna().any()]
    rules = [rule for rule in RULES if rule in set(table["rule"])]
    methods = [method for method in tables.order if method in set(table["method"])]
    height = (0.08 + 0.11 * len(rules)) * len(methods) + 0.9
    page = matplotlib.figure.Figure(figsize=(WIDTH, len(shown) * height + 0.3))
    for part, (facet, group) in zip(divide(page, len(shown)), shown, strict=True):
        write_title(part, tables.title(*facet))
        axes = part.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for ax, metric in zip(axes, metrics, strict=True):
            _draw_metric(ax, group[group["metric"] == metric], rules, methods)
            facts = tables.registry.loc[metric]
            label_score(ax, f"Δ {facts['label']}", facts["direction"])
            ax.tick_params(left=ax is axes[0])
        axes[0].set_yticks(range(len(methods)), [tables.label(method) for method in methods])
        axes[0].set_ylim(len(methods) - 0.45, -0.55)
    _draw_legend(page, rules, (table["fallbacks"] > 0).any())
    return Drawn(page, table)


def _draw_metric(ax: Axes, table: pd.DataFrame, rules: list[str], methods: list[str]) -> None:
    """Draw one metric of one facet: a row per method, in it a row per rule."""
    ax.axvline(0, color=GREY, lw=0.9)
    for row, method in enumerate(methods):
        of_method = table[table["method"] == method]
        if of_method["mean"].isna().all():
            reasons = dict.fromkeys(of_method["missing"]) or {NOT_RUN: None}
            write_missing(ax, row, ", ".join(reasons))
            continue
        for line in of_method.itertuples():
            y = row + (rules.index(line.rule) - (len(rules) - 1) / 2) * STEP
            if np.isnan(line.mean):
                write_missing(ax, y, line.missing, TINY)
                continue
            look = RULE_LOOKS[line.rule]
            inside, edge = ("white", look.colour) if line.fallbacks else (look.colour, "white")
            ax.hlines(y, line.low, line.high, color=look.colour, lw=1.2)
            ax.scatter(line.mean, y, s=20, marker=look.marker, color=inside, ec=edge, lw=0.6, zorder=3)
    label_few_ticks(ax)


def _draw_legend(page: matplotlib.figure.Figure, rules: list[str], any_fallback: bool) -> None:
    """Explain the marks that occur."""
    handles = []
    for rule in rules:
        look = RULE_LOOKS[rule]
        label = RULES[rule].label
        handles.append(
            Line2D([], [], marker=look.marker, color=look.colour, mec="white", ms=5, lw=1.2, label=label)
        )
    if any_fallback:
        handles.append(fallback_handle(size=5))
    handles.append(Line2D([], [], color=GREY, lw=0.9, label=RULES[HINDSIGHT].label))
    page.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _against_hindsight(tables: Tables) -> pd.DataFrame:
    """Value under each rule minus that under the hindsight rule, paired by replicate.

    Returns
    -------
    Facet, ``metric``, ``method``, ``rule``, the columns of :data:`svae.report.values.SPREAD`, ``fallbacks``
    (replicates in which the rule made no choice), and ``missing`` (why there is no value, if there is none).
    """
    metrics = [metric for metric in METRICS if metric in set(tables.metrics["metric"])]
    settings = tables.status.groupby("method")["setting"].nunique()
    several = set(settings.index[settings > 1]) & set(tables.order)
    planned = tables.selected[tables.selected["method"].isin(several)]
    planned = planned.merge(pd.DataFrame({"metric": metrics}, dtype=object), how="cross")
    values = planned.merge(tables.metrics, on=[*RUN, "setting", "metric"], how="left")
    best = values.loc[values["rule"] == HINDSIGHT, [*RUN, "metric", "value"]]
    others = values[values["rule"] != HINDSIGHT]
    others = others.merge(best, on=[*RUN, "metric"], suffixes=("", "_hindsight"))
    others["value"] -= others.pop("value_hindsight")
    by = [*FACET, "metric", "method", "rule"]
    outcomes = others.groupby(by, sort=False)["outcome"]
    told = outcomes.agg(fallbacks=_count_fallbacks, missing=why_missing).reset_index()
    table = summarise(others, by).merge(told, on=by)
    table["missing"] = table["missing"].where(table["mean"].isna())
    return table


def _count_fallbacks(outcomes: pd.Series) -> int:
    return int((outcomes == FALLBACK).sum())
