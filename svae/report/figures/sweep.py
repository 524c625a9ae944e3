"""What changes with a parameter of the simulated datasets, or with the number of latents fitted."""

import math
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes

from svae.report.figures.axes import (
    LATENTS_FITTED,
    divide,
    fallback_handle,
    label_values,
    method_handles,
    parameter_label,
    write_note,
    write_title,
)
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, SMALL, WIDTH
from svae.report.outcomes import NOT_APPLICABLE, outcomes_of, why_missing
from svae.report.tables import Tables
from svae.report.values import FACET, SPREAD, by_setting

METRICS = ("mcc_pearson", "target_f1")
NO_PARAMETERS = ("kind", "cells", "citation", "seeds")
"""What the table of datasets tells besides the parameters of simulators."""


@figure(needs="simulated datasets that differ in one parameter, or settings that differ in n_latent")
def sweep(tables: Tables) -> Drawn | None:
    """Draw the main metrics against what differs between the datasets, or the number of latents fitted."""
    table = _sweeps(tables)
    if table.empty:
        return None
    panels = list(table.groupby(["sweep", "panel"], sort=False))
    with_value = table[table["mean"].notna()]
    metrics = [metric for metric in METRICS if metric in set(with_value["metric"])]
    methods = [method for method in [*tables.order, *tables.anchors] if method in set(with_value["method"])]
    columns = min(3, len(panels))
    height = 1.7 * len(metrics) + 0.8
    size = (min(WIDTH, 2.9 * columns + 0.6), math.ceil(len(panels) / columns) * height + 0.5)
    page = matplotlib.figure.Figure(figsize=size)
    for part, ((parameter, panel), group) in zip(divide(page, len(panels), columns), panels, strict=True):
        write_title(part, panel)
        write_note(part, _gaps(tables, group, metrics))
        axes = part.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
        for ax, metric in zip(axes, metrics, strict=True):
            _draw_lines(ax, group[group["metric"] == metric], methods, tables)
            label_values(ax, sorted(group["x"].unique()))
            ax.set_ylim(-0.03, 1.05)
            ax.set_ylabel(tables.registry.loc[metric, "label"])
        axes[-1].set_xlabel(parameter_label(parameter))
    handles = method_handles(tables, methods)
    if (table["fallbacks"] > 0).any():
        handles.append(fallback_handle())
    page.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 2 + 2 * columns))
    return Drawn(page, table)


def _sweeps(tables: Tables) -> pd.DataFrame:
    """Tabulate the main metrics where something is varied.

    Returns
    -------
    ``sweep`` (what is varied), ``panel`` (title of the panel), facet, ``metric``, ``method``, ``x`` (value of
    what is varied), the columns of :data:`svae.report.values.SPREAD`, and ``fallbacks`` (replicates in
    which the main rule made no choice).
    """
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & board["metric"].isin(METRICS)]
    parts = []
    for factor in _varied_parameters(tables):
        x = factor.values.rename("x")
        rows = board.merge(x, left_on="dataset", right_index=True)
        for split, part in rows.groupby("split", sort=False):
            names = list(part["dataset"].unique())
            if rows["split"].nunique() > 1:
                names.append(str(split))
            parts.append(part.assign(sweep=factor.parameter, panel=", ".join(names)))
    for facet, rows in by_setting(tables, LATENTS_FITTED, METRICS, tables.order).groupby(FACET, sort=False):
        parts.append(rows.assign(sweep=LATENTS_FITTED, panel=tables.title(*facet), fallbacks=0))
    parts = [part for part in parts if part["mean"].notna().any()]
    columns = ["sweep", "panel", *FACET, "metric", "method", "x", *SPREAD, "fallbacks"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


class Factor(NamedTuple):
    """A parameter in which simulated datasets differ that are otherwise alike.

    Attributes
    ----------
    parameter
        Its name.
    values
        Its number, by dataset.
    """

    parameter: str
    values: pd.Series


def _varied_parameters(tables: Tables) -> Iterator[Factor]:
    """Yield each numeric parameter that varies between simulated datasets while all others are equal."""
    wide = tables.datasets.pivot(index="dataset", columns="parameter", values="value").astype(str)
    if "kind" not in wide:
        return
    wide = wide[wide["kind"] == "simulated"].drop(columns=list(NO_PARAMETERS), errors="ignore")
    wide = wide[[parameter for parameter in wide if wide[parameter].nunique() > 1]]
    numbers = wide.apply(pd.to_numeric, errors="coerce")
    names = _one_name_per_factor(wide, numbers)
    for parameter in names:
        others = [other for other in names if other != parameter]
        groups = wide.groupby(others, sort=False) if others else [((), wide)]
        for _, group in groups:
            values = numbers.loc[group.index, parameter].dropna()
            if values.nunique() > 1:
                yield Factor(parameter, values)


def _one_name_per_factor(wide: pd.DataFrame, numbers: pd.DataFrame) -> list[str]:
    """Name parameters that change together once, by the first that is a number."""
    numeric_first = sorted(wide, key=lambda parameter: numbers[parameter].isna().any())
    factors: dict[tuple[int, ...], str] = {}
    for parameter in numeric_first:
        grouping = tuple(int(code) for code in pd.factorize(wide[parameter])[0])
        factors.setdefault(grouping, parameter)
    return list(factors.values())


def _gaps(tables: Tables, table: pd.DataFrame, metrics: list[str]) -> str:
    """Say which methods have no point in a panel, and why; empty if all have one.

    The values of the parameter are told where a method lacks only some of its points.
    """
    methods = tables.order
    if table["sweep"].iloc[0] == LATENTS_FITTED:  # other methods are not varied
        methods = [method for method in methods if method in set(table["method"])]
    places = table[[*FACET, "x"]].drop_duplicates().sort_values("x")
    gaps: dict[str, list[str]] = {}
    for method, metric in product(methods, metrics):
        points = table[(table["method"] == method) & (table["metric"] == metric) & table["mean"].notna()]
        missing = places[~places["x"].isin(points["x"])]
        for reason, values in _by_reason(tables, method, missing).items():
            if reason == NOT_APPLICABLE:
                reason = f"{tables.registry.loc[metric, 'label']} {reason}"
            if len(values) < len(places):
                reason += f" at {', '.join(f'{x:g}' for x in values)}"
            gaps.setdefault(reason, []).append(method)
    texts = [f"{reason}: {tables.labels(list(dict.fromkeys(of)))}" for reason, of in gaps.items()]
    return "; ".join(texts)


def _by_reason(tables: Tables, method: str, places: pd.DataFrame) -> dict[str, list[float]]:
    """Values of the parameter at which a method has no point, by the reason."""
    reasons: dict[str, list[float]] = {}
    for place in places.itertuples():
        outcomes = outcomes_of(tables, (str(place.dataset), str(place.split)), method)
        reasons.setdefault(why_missing(outcomes), []).append(place.x)
    return reasons


def _draw_lines(ax: Axes, table: pd.DataFrame, methods: list[str], tables: Tables) -> None:
    """Draw a line per method; its points are set slightly apart so that intervals can be told apart."""
    if table["mean"].isna().all():
        ax.text(0.5, 0.5, NOT_APPLICABLE, transform=ax.transAxes, ha="center", color=GREY, fontsize=SMALL)
    for place, method in enumerate(methods):
        rows = table[(table["method"] == method) & table["mean"].notna()].sort_values("x")
        colour = tables.colour(method)
        x = rows["x"] * 1.008 ** (place - len(methods) / 2)
        ax.vlines(x, rows["low"], rows["high"], color=colour, lw=0.9)
        ax.plot(x, rows["mean"], color=colour, marker="o", ms=3.5, lw=1.2, mec="white", mew=0.4)
        hollow = rows["fallbacks"] > 0
        ax.scatter(x[hollow], rows["mean"][hollow], s=14, color="white", ec=colour, lw=0.9, zorder=3)
