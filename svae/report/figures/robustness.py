"""What breaks a method: scores against the severity of what is varied, one panel for each axis."""

import math
from collections.abc import Sequence

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from svae.report import severity
from svae.report.figures.axes import (
    anchor_dashes,
    divide,
    fallback_handle,
    method_handles,
    parameter_label,
    write_note,
)
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.heatmaps import draw_matrix
from svae.report.figures.style import GREY, INK, PALE, SMALL, WIDTH
from svae.report.outcomes import outcomes_of, why_missing
from svae.report.severity import FAILS_AT_BASELINE, HOLDS, MCC, PANEL, chance_of, differences, scores
from svae.report.tables import Tables
from svae.report.values import FACET

COLUMNS = 4
"""Panels beside one another."""
NEEDS = "simulated datasets that are varied (`vary`)"
IDENTIFIABLE = "identifiable_latents"
SCORED = (MCC, "target_f1")
"""The metrics that the anchor ``random`` has, too, and that therefore have a point of failure."""
SHORT = {HOLDS: "holds", FAILS_AT_BASELINE: "baseline"}
"""What is written where a method has no point of failure on an axis."""


@figure(needs=NEEDS, varied=True)
def robustness_latents(tables: Tables) -> Drawn | None:
    """Draw how well the true latents are recovered, and which share of them is identifiable."""
    table = scores(tables, [MCC, IDENTIFIABLE])
    return _draw_panels(tables, table, MCC, tables.registry.loc[MCC, "label"], chance_of(tables, MCC))


@figure(needs=NEEDS, varied=True)
def robustness_targets(tables: Tables) -> Drawn | None:
    """Draw how well the targets of perturbations are named."""
    table = scores(tables, ["target_f1"])
    return _draw_panels(tables, table, "target_f1", tables.registry.loc["target_f1", "label"])


@figure(needs=NEEDS, varied=True)
def robustness_likelihood(tables: Tables) -> Drawn | None:
    """Draw by how much the likelihood of held-out perturbations differs from that of the reference."""
    label = f"I-NLL less that of\n{tables.label(tables.reference)} (nats per cell)"
    return _draw_panels(tables, differences(tables, "inll_clean"), "inll_clean", label)


@figure(needs=f"{NEEDS}, and the anchor random", varied=True)
def failure_points(tables: Tables) -> Drawn | None:
    """Draw the mildest severity at which each method fails, for each axis and metric."""
    table = severity.failure_points(tables, SCORED)
    if table.empty:
        return None
    metrics = [metric for metric in SCORED if metric in set(table["metric"])]
    methods = [method for method in tables.order if method in set(table["method"])]
    table["row"] = table["axis"].map(parameter_label) + table["side"].map({"up": " ↑", "down": " ↓"})
    several = table["baseline"].nunique() > 1 or table["split"].nunique() > 1
    if several:
        table["row"] = table["baseline"] + ", " + table["split"] + ": " + table["row"]
    rows = list(table["row"].unique())
    page = matplotlib.figure.Figure(figsize=(WIDTH, 0.22 * len(rows) + 1.1))
    axes = page.subplots(1, len(metrics), squeeze=False, sharey=True)[0]
    for ax, metric in zip(axes, metrics, strict=True):
        of_metric = table[table["metric"] == metric]
        share = of_metric.pivot(index="row", columns="method", values="share").reindex(rows)[
            [method for method in methods if method in set(of_metric["method"])]
        ]
        draw_matrix(ax, share, "RdBu", -0.4, 1.4)
        for cell in of_metric.itertuples():
            text = SHORT.get(cell.outcome, f"{cell.fails_at:g}")
            place = (share.columns.get_loc(cell.method), rows.index(cell.row))
            ax.annotate(text, place, ha="center", va="center", fontsize=SMALL)
        names = [tables.label(method) for method in share.columns]
        ax.set_xticks(range(len(names)), names, rotation=35, ha="right")
        ax.set_yticks(range(len(rows)), rows)
        ax.set_title(tables.registry.loc[metric, "label"])
    return Drawn(page, table.drop(columns="row"))


def _draw_panels(
    tables: Tables, table: pd.DataFrame, metric: str, label: str, chance: pd.Series | None = None
) -> Drawn | None:
    """Draw a panel for each axis, a line for each method; None if no method has a value.

    `chance`, by dataset and split, is drawn where it is given.
    """
    shown = table[table["metric"] == metric]
    with_value = shown[shown["mean"].notna()]
    if with_value.empty:
        return None
    panels = list(shown.groupby(PANEL, sort=False))
    methods = [method for method in tables.order if method in set(with_value["method"])]
    anchors = [method for method in tables.anchors if method in set(with_value["method"])]
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    page = matplotlib.figure.Figure(figsize=(WIDTH, 1.5 * rows + 1.0))
    [part] = divide(page, 1)
    bounded = math.isfinite(tables.registry.loc[metric, "high"])
    grid = part.subplots(rows, columns, squeeze=False, sharey=bounded)
    for ax in grid.flat[len(panels) :]:
        ax.remove()
    identifiable = False
    for ax, (panel, group) in zip(grid.flat, panels, strict=False):
        _draw_curves(ax, group, methods, anchors, tables)
        identifiable |= _draw_identifiable(ax, table, panel)
        if chance is not None:
            _draw_chance(ax, group.join(chance.rename("chance"), on=FACET))
        _label_steps(ax, group)
        ax.set_title(_title(panels, panel), fontsize=7)
        if bounded:
            ax.set_ylim(-0.03, 1.05)
    part.supylabel(label, fontsize=8)
    write_note(part, _gaps(tables, shown))
    handles = []
    if identifiable:
        label = "identifiable latents (share)"
        handles.append(Line2D([], [], color=INK, lw=0.8, ls=":", marker="_", label=label))
    if chance is not None and chance.notna().any():
        handles.append(Line2D([], [], color=GREY, lw=0.8, ls="-.", label="random rotation of the truth"))
    if (shown["fallbacks"] > 0).any():
        handles.append(fallback_handle())
    _draw_legend(page, tables, methods, anchors, handles)
    return Drawn(page, table)


def _draw_curves(
    ax: Axes, group: pd.DataFrame, methods: Sequence[str], anchors: Sequence[str], tables: Tables
) -> None:
    """Draw mean and interval of each method, and the anchors as grey lines."""
    ax.axvline(0, color=PALE, lw=3, zorder=0)
    for method, dashes in zip(anchors, anchor_dashes(), strict=False):
        curve = group[group["method"] == method].dropna(subset=["mean"]).sort_values("step")
        ax.plot(
            curve["step"],
            curve["mean"],
            color=tables.colour(method),
            lw=0.9,
            ls=dashes,
            marker=".",
            ms=2,
            zorder=1,
        )
    for method in methods:
        curve = group[group["method"] == method].sort_values("step")
        colour = tables.colour(method)
        ax.fill_between(curve["step"], curve["low"], curve["high"], color=colour, alpha=0.13, lw=0)
        ax.plot(curve["step"], curve["mean"], color=colour, marker="o", ms=2.8, lw=1.1, mec="white", mew=0.3)
        hollow = curve[curve["fallbacks"] > 0]
        ax.scatter(hollow["step"], hollow["mean"], s=9, color="white", ec=colour, lw=0.7, zorder=3)


def _draw_identifiable(ax: Axes, table: pd.DataFrame, panel: tuple[str, str, str]) -> bool:
    """Draw the share of identifiable latents where it changes; say whether it does."""
    here = table[(table[PANEL] == list(panel)).all(axis=1) & (table["metric"] == IDENTIFIABLE)]
    share = here.groupby("step")["mean"].first().dropna()  # it is a fact of the draw, equal for all methods
    if share.nunique() < 2:
        return False
    ax.plot(share.index, share, color=INK, lw=0.8, ls=":", marker="_", ms=5, zorder=1)
    return True


def _draw_chance(ax: Axes, group: pd.DataFrame) -> None:
    """Draw what a method has by chance."""
    curve = group.drop_duplicates("step").sort_values("step")
    ax.plot(curve["step"], curve["chance"], color=GREY, lw=0.8, ls="-.", zorder=1)


def _label_steps(ax: Axes, group: pd.DataFrame) -> None:
    """Name each step by the value of what is varied."""
    places = group[["step", "value"]].drop_duplicates("step").sort_values("step")
    names = ["none" if pd.isna(value) else f"{value:g}" for value in places["value"]]
    ax.set_xticks(places["step"], names, fontsize=SMALL)
    ax.tick_params(axis="y", labelsize=SMALL)
    ax.margins(x=0.08)


def _title(panels: Sequence[tuple], panel: tuple[str, str, str]) -> str:
    """Name what is varied, and what distinguishes the panel from others of the same name."""
    baseline, split, axis = panel
    same_axis = [other for other, _ in panels if other[2] == axis]
    names = [baseline] * (len({other[0] for other in same_axis}) > 1)
    names += [split] * (len({other[1] for other in same_axis}) > 1)
    return ", ".join([parameter_label(axis), *names])


def _gaps(tables: Tables, table: pd.DataFrame) -> str:
    """Say which methods lack points, why, and where, if they have others; empty if none does."""
    texts: dict[str, list[str]] = {}
    places = table[[*PANEL, "dataset", "value"]].drop_duplicates()
    for method in tables.order:
        points = table[(table["method"] == method) & table["mean"].notna()]
        missing = places.merge(points[[*PANEL, "dataset"]], how="left", indicator=True)
        missing = missing[missing["_merge"] == "left_only"].drop_duplicates("dataset")
        for place in missing.itertuples():
            reason = why_missing(outcomes_of(tables, (str(place.dataset), str(place.split)), method))
            where = "" if points.empty else f" at {place.axis.replace('_', ' ')} {place.value:g}"
            texts.setdefault(reason, []).append(tables.label(method) + where)
    return "; ".join(f"{reason}: {', '.join(dict.fromkeys(who))}" for reason, who in texts.items())


def _draw_legend(
    page: matplotlib.figure.Figure,
    tables: Tables,
    methods: Sequence[str],
    anchors: Sequence[str],
    others: Sequence[Line2D],
) -> None:
    """Explain the lines and marks that occur."""
    handles = method_handles(tables, methods)
    handles += [
        Line2D(
            [], [], color=tables.colour(method), lw=0.9, ls=dashes, label=f"{tables.label(method)} (anchor)"
        )
        for method, dashes in zip(anchors, anchor_dashes(), strict=False)
    ]
    handles += others
    page.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 5))
