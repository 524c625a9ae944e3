"""Dot plots: one row per method, with its replicates, their mean and its interval."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from svae.evaluation.selection import HINDSIGHT
from svae.report.figures.axes import (
    LETTERS,
    anchor_dashes,
    divide,
    fallback_handle,
    label_few_ticks,
    label_round_log_axis,
    label_score,
    write_missing,
    write_title,
)
from svae.report.figures.style import GREY, INK, PALE, SMALL, TINY, WIDTH
from svae.report.outcomes import FALLBACK, why_missing
from svae.report.tables import Tables
from svae.report.values import facets


@dataclass(frozen=True)
class Panel:
    """One column of a dot plot.

    Attributes
    ----------
    label, direction
        What the axis shows, and whether ``higher`` or ``lower`` is better.
    low, high
        Range of the axis, where both are finite.
    logarithmic
        Whether the axis is.
    oracle
        What the line of the oracle means here. It is written along the line, where given.
    """

    label: str
    direction: str
    low: float = np.nan
    high: float = np.nan
    logarithmic: bool = False
    oracle: str = ""


def metric_panels(tables: Tables, metrics: list[str], oracle: Mapping[str, str] | None = None) -> dict:
    """Make one panel for each metric; `oracle` says what the oracle's line means, where that is not plain."""
    panels = {}
    for metric in metrics:
        facts = tables.registry.loc[metric]
        panels[metric] = Panel(
            label=facts["label"],
            direction=facts["direction"],
            low=facts["low"],
            high=facts["high"],
            oracle=(oracle or {}).get(metric, ""),
        )
    return panels


def dot_plot(tables: Tables, table: pd.DataFrame, panels: Mapping[str, Panel]) -> matplotlib.figure.Figure:
    """Draw a row of panels for each dataset and split, and in each panel a row for each method.

    Parameters
    ----------
    tables
        Of the run.
    table
        Columns as :func:`svae.report.values.chosen_values` returns them.
    panels
        By metric.
    """
    shown = list(facets(table))
    height = 0.21 * len(tables.order) + 0.85
    figure = matplotlib.figure.Figure(figsize=(WIDTH, len(shown) * height + 0.3))
    for part, (facet, group) in zip(divide(figure, len(shown)), shown, strict=True):
        write_title(part, tables.title(*facet))
        axes = part.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for ax, (metric, panel) in zip(axes, panels.items(), strict=True):
            of_metric = group[group["metric"] == metric]
            _draw_methods(ax, of_metric, tables)
            _draw_anchors(ax, of_metric, tables, panel.oracle)
            _limit(ax, panel, table[table["metric"] == metric])
            label_score(ax, panel.label, panel.direction, len(panels))
            ax.tick_params(left=ax is axes[0])
        axes[0].set_yticks(range(len(tables.order)), [tables.label(method) for method in tables.order])
        axes[0].set_ylim(len(tables.order) - 0.45, -0.6)
    _draw_legend(figure, tables, table)
    return figure


def _limit(ax: Axes, panel: Panel, values: pd.DataFrame) -> None:
    """Give an axis the range of its panel, or else the same logarithmic range in all facets."""
    if panel.logarithmic:
        label_round_log_axis(ax, values[["value", "low", "high"]])
    elif np.isfinite([panel.low, panel.high]).all():
        margin = 0.05 * (panel.high - panel.low)
        ax.set_xlim(panel.low - margin, panel.high + margin)
        # Few ticks: those of neighbouring panels would run into each other.
        ticks = [panel.low, (panel.low + panel.high) / 2, panel.high]
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    else:
        label_few_ticks(ax)


def _draw_methods(ax: Axes, table: pd.DataFrame, tables: Tables) -> None:
    """Draw each method in its row, or say why it has no value."""
    for row, method in enumerate(tables.order):
        ax.axhline(row, color=PALE, lw=0.5, zorder=0)
        of_method = table[table["method"] == method]
        shown = of_method[of_method["rule"] == tables.rule]
        if shown["value"].isna().all():
            write_missing(ax, row, why_missing(shown["outcome"]))
            continue
        _draw_replicates(ax, row, shown, tables.colour(method))
        if tables.rule != HINDSIGHT:
            best = of_method.loc[of_method["rule"] == HINDSIGHT, "mean"].head(1)
            ax.scatter(best, [row] * len(best), s=15, marker="D", fc="none", ec=GREY, lw=0.7, zorder=1)


def _draw_replicates(ax: Axes, row: float, shown: pd.DataFrame, colour: str) -> None:
    """Draw replicates, mean and interval; what the rule did not choose is hollow."""
    height = row + (np.linspace(-0.16, 0.16, len(shown)) if len(shown) > 1 else np.zeros(1))
    fallback = (shown["outcome"] == FALLBACK).to_numpy()
    ax.scatter(shown["value"][~fallback], height[~fallback], s=9, color=colour, alpha=0.45, lw=0, zorder=2)
    ax.scatter(
        shown["value"][fallback], height[fallback], s=7, fc="none", ec=colour, alpha=0.6, lw=0.6, zorder=2
    )
    spread = shown.iloc[0]
    ax.hlines(row, spread["low"], spread["high"], color=colour, lw=1.5, zorder=3)
    if fallback.any():
        ax.scatter(spread["mean"], row, s=24, color="white", ec=colour, lw=1.1, zorder=4)
    else:
        ax.scatter(spread["mean"], row, s=26, color=colour, ec="white", lw=0.6, zorder=4)
    if spread["n"] < spread["planned"]:
        ax.annotate(
            f"n = {spread['n']:.0f} of {spread['planned']:.0f}",
            xy=(spread["mean"], row + 0.2),
            ha="center",
            va="top",
            fontsize=TINY,
            color=GREY,
        )


def _draw_anchors(ax: Axes, table: pd.DataFrame, tables: Tables, oracle: str) -> None:
    """Draw the anchors as grey lines; what the oracle means is written along its line."""
    for method, dashes in zip(tables.anchors, anchor_dashes(), strict=False):
        of_method = table[(table["method"] == method) & (table["rule"] == tables.rule)]
        mean = of_method["mean"].dropna()
        if mean.empty:
            continue
        ax.axvline(mean.iloc[0], color=tables.colour(method), lw=0.9, ls=dashes, zorder=1)
        if oracle and method == "oracle":
            ax.text(
                mean.iloc[0],
                0.5,
                oracle,
                transform=ax.get_xaxis_transform(),
                rotation=90,
                ha="right",
                va="center",
                fontsize=SMALL,
                color=tables.colour(method),
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
            )


def _draw_legend(figure: matplotlib.figure.Figure, tables: Tables, table: pd.DataFrame) -> None:
    """Explain the marks that occur."""
    with_value = table[table["value"].notna()]
    handles = [
        Line2D([], [], marker="o", ms=3, color=INK, alpha=0.45, mew=0, ls="", label="replicate"),
        Line2D([], [], marker="o", ms=5, color=INK, mec="white", lw=1.5, label="mean, 95 % interval"),
    ]
    if (with_value["outcome"] == FALLBACK).any():
        handles.append(fallback_handle(INK, size=4.5))
    if (with_value["rule"] == HINDSIGHT).any() and tables.rule != HINDSIGHT:
        label = "mean if the truth chose"
        handles.append(Line2D([], [], marker="D", ms=3.5, mfc="none", color=GREY, ls="", label=label))
    for method, dashes in zip(tables.anchors, anchor_dashes(), strict=False):
        if (with_value["method"] == method).any():
            label = f"{tables.label(method)} (anchor)"
            handles.append(Line2D([], [], color=tables.colour(method), lw=0.9, ls=dashes, label=label))
    lines = math.ceil(sum(len(str(handle.get_label())) for handle in handles) / LETTERS)
    figure.legend(handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / lines))
