"""Real screens, perturbation by perturbation: how methods differ, and what can be learnt of which."""

import math

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D

from svae.report.figures.axes import label_few_ticks, label_score, literal, write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, INK, PALE, SMALL, TINY, WIDTH
from svae.report.outcomes import missing_note
from svae.report.tables import Tables
from svae.report.values import FACET, RUN, facets

GAIN = "likelihood_gain"
COLUMNS = 4
"""Panels beside one another."""
NAMED = 4
"""Perturbations that are named in a panel: those of the largest effects."""
ALL_ALIKE, WEIGHTED = "all alike", "weighted by effect size"


@figure(needs="real data, in which several perturbations are held out")
def differences(tables: Tables) -> Drawn | None:
    """Draw the difference of each method to the reference over held-out perturbations, also weighted."""
    headlines = tables.registry.index[tables.registry["headline"]]
    board = tables.leaderboard
    known = (board["rule"] == tables.rule) & board["metric"].isin(headlines)
    table = board[known & (board["unit"] == "perturbation") & board["difference"].notna()]
    if table.empty:
        return None
    shown = [(facet, group, _methods_of(group, tables)) for facet, group in facets(table, "difference")]
    heights = [0.26 * len(methods) + 1.0 for _, _, methods in shown]
    page = matplotlib.figure.Figure(figsize=(WIDTH, sum(heights) + 0.3))
    parts = page.subfigures(len(shown), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (facet, group, methods) in zip(parts, shown, strict=True):
        metrics = [metric for metric in headlines if metric in set(group["metric"])]
        axes = part.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
        for ax, metric in zip(axes, metrics, strict=True):
            _draw_differences(ax, group[group["metric"] == metric].set_index("method"), methods, tables)
            facts = tables.registry.loc[metric]
            label = f"{facts['label']}, less {tables.label(tables.reference)}"
            label_score(ax, label, facts["direction"], len(metrics))
        axes[0].set_yticks(range(len(methods)), [tables.label(method) for method in methods])
        axes[0].set_ylim(len(methods) - 0.45, -0.6)
        write_title(part, tables.title(*facet))
        write_note(part, missing_note(tables, facet, {*methods, tables.reference}))
    handles = [
        Line2D([], [], marker="o", ms=5, color=INK, mec="white", lw=1.5, label=ALL_ALIKE),
        Line2D([], [], marker="D", ms=3.5, mfc="white", color=INK, lw=0.8, label=WEIGHTED),
    ]
    page.legend(handles=handles, loc="outside lower center", ncols=2)
    return Drawn(page, table)


def _draw_differences(ax: Axes, rows: pd.DataFrame, methods: list[str], tables: Tables) -> None:
    """Draw both differences of each method with their intervals, one below the other."""
    ax.axvline(0, color=PALE, lw=1.5, zorder=0)
    for place, method in enumerate(methods):
        if method not in rows.index:
            continue
        row, colour = rows.loc[method], tables.colour(method)
        interval = [row["difference_low"], row["difference_high"]]
        ax.plot(interval, [place - 0.13] * 2, color=colour, lw=1.5)
        ax.plot(row["difference"], place - 0.13, "o", ms=5, color=colour, mec="white", mew=0.5)
        ax.plot([row["weighted_low"], row["weighted_high"]], [place + 0.17] * 2, color=colour, lw=0.8)
        ax.plot(row["weighted_difference"], place + 0.17, "D", ms=3.5, mfc="white", color=colour, mew=0.8)
    label_few_ticks(ax)


@figure(needs="likelihoods of held-out perturbations of real data, before and after adaptation")
def gain_against_effect(tables: Tables) -> Drawn | None:
    """Draw what adaptation gains in likelihood against the size of the effect of each perturbation."""
    table = _gains(tables)
    if table.empty:
        return None
    shown = [(facet, group, _methods_of(group, tables)) for facet, group in facets(table)]
    lines = [math.ceil(len(methods) / COLUMNS) for _, _, methods in shown]
    page = matplotlib.figure.Figure(figsize=(WIDTH, 1.6 * sum(lines) + 0.6 * len(shown)))
    parts = page.subfigures(len(shown), 1, height_ratios=lines, squeeze=False)[:, 0]
    for part, (facet, group, methods) in zip(parts, shown, strict=True):
        _draw_gains(part, group, methods, tables)
        write_title(part, tables.title(*facet))
        write_note(part, missing_note(tables, facet, methods))
    return Drawn(page, table)


def _methods_of(group: pd.DataFrame, tables: Tables) -> list[str]:
    """Methods that have rows in a table, in the order of the report."""
    return [method for method in tables.order if method in set(group["method"])]


def _gains(tables: Tables) -> pd.DataFrame:
    """Average gain and effect of each held-out perturbation over the replicates that held it out.

    Of the settings that the main rule chose: the facet, ``method``, ``perturbation``, ``effect``, ``value``.
    """
    chosen = tables.selected[tables.selected["rule"] == tables.rule]
    gains = tables.held_out[(tables.held_out["metric"] == GAIN) & tables.held_out["effect"].notna()]
    gains = gains.merge(chosen[[*RUN, "setting"]], on=[*RUN, "setting"])
    gains = gains[gains["method"].isin(tables.order)]
    keys = [*FACET, "method", "perturbation"]
    return gains.groupby(keys, sort=False, as_index=False)[["effect", "value"]].mean()


def _draw_gains(part: SubFigure, group: pd.DataFrame, methods: list[str], tables: Tables) -> None:
    """Draw a panel for each method, all on the same axes."""
    columns = min(COLUMNS, len(methods))
    grid = part.subplots(math.ceil(len(methods) / columns), columns, sharex=True, sharey=True, squeeze=False)
    for ax in grid.flat[len(methods) :]:
        ax.remove()
    for place, (ax, method) in enumerate(zip(grid.flat, methods, strict=False)):
        dots = group[group["method"] == method]
        ax.axhline(0, color=PALE, lw=1.5, zorder=0)
        ax.scatter(dots["effect"], dots["value"], s=9, color=tables.colour(method), lw=0, alpha=0.8)
        moved = dots[dots["value"] != 0]  # a model that knows no shift gains nothing
        for row in moved.nlargest(NAMED, "effect").itertuples():
            ax.annotate(
                literal(row.perturbation),
                (row.effect, row.value),
                xytext=(-2, 2),
                textcoords="offset points",
                ha="right",
                fontsize=TINY,
                color=GREY,
            )
        ax.set_title(tables.label(method), fontsize=7)
        ax.tick_params(labelsize=SMALL)
        ax.margins(0.1)
        if place + columns >= len(methods):
            ax.set_xlabel("Effect size", fontsize=7)
            ax.tick_params(labelbottom=True)
    part.supylabel("Gain in likelihood (nats/cell)", fontsize=8)
