"""Whether training had ended."""

import math

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from svae.report.figures.axes import divide, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, INK, SMALL, WIDTH
from svae.report.outcomes import outcomes_of, why_missing
from svae.report.tables import Tables
from svae.report.values import RUN, facets

POINTS = 80
"""Epochs of a line that are drawn: more cannot be told apart."""
MOST_COLUMNS = 5


@figure(needs="the training history of a method that is trained by epochs")
def training_curves(tables: Tables) -> Drawn | None:
    """Draw the loss on validation cells by epoch, for every setting; the chosen ones stand out.

    Each method has axes of its own: losses differ between methods, and so do numbers of epochs.
    """
    table = _thinned_history(tables)
    if table.empty:
        return None
    methods = [method for method in tables.order if method in set(table["method"])]
    shown = list(facets(table, "validation"))
    columns, rows = min(len(methods), MOST_COLUMNS), math.ceil(len(methods) / MOST_COLUMNS)
    size = (min(WIDTH, 1.6 + 1.7 * columns), (0.3 + 1.8 * rows) * len(shown) + 0.35)
    page = matplotlib.figure.Figure(figsize=size)
    for part, (facet, group) in zip(divide(page, len(shown)), shown, strict=True):
        write_title(part, tables.title(*facet))
        axes = part.subplots(rows, columns, squeeze=False)
        for ax in axes[:, 0]:
            ax.set_ylabel("Validation loss")
        for ax in axes.flat[len(methods) :]:
            ax.set_axis_off()
        for ax, method in zip(axes.flat, methods, strict=False):
            of_method = group[group["method"] == method]
            ax.set_title(tables.label(method), weight="normal")
            if of_method.empty:
                ax.set_xticks([])
                ax.set_yticks([])
                reason = why_missing(outcomes_of(tables, facet, method))
                ax.text(0.5, 0.5, reason, transform=ax.transAxes, color=GREY, ha="center", fontsize=SMALL)
                continue
            _draw_curves(ax, of_method, tables.colour(method))
            ax.set_ylim(*_range_of_loss(of_method))
            ax.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            ax.yaxis.set_major_locator(MaxNLocator(3))
            ax.set_xlabel("Epoch")
    handles = [
        Line2D([], [], color=INK, lw=1.3, label="setting shown elsewhere, one line per replicate"),
        Line2D([], [], color=INK, lw=0.4, alpha=0.6, label="other settings and restarts"),
    ]
    page.legend(handles=handles, loc="outside lower center", ncols=2)
    return Drawn(page, table)


def _thinned_history(tables: Tables) -> pd.DataFrame:
    """Keep the epochs that are drawn, and mark the settings that the main rule chose as ``selected``."""
    history = tables.history[np.isfinite(tables.history["validation"].astype(float))]
    if history.empty:
        return history
    last = history.groupby([*RUN, "setting"])["epoch"].transform("max")
    step = np.ceil(history.groupby("method")["epoch"].transform("max") / POINTS)
    history = history[(history["epoch"] % step == 0) | (history["epoch"] == last)].drop(columns="train")
    chosen = tables.selected.loc[tables.selected["rule"] == tables.rule, [*RUN, "setting"]]
    table = history.merge(chosen.assign(selected=True), on=[*RUN, "setting"], how="left")
    return table.assign(selected=table["selected"].notna())


def _range_of_loss(table: pd.DataFrame) -> tuple[float, float]:
    """Limits that show the settled part of the curves: the first fifth of the epochs may leave them."""
    settled = table.loc[table["epoch"] >= 0.2 * table["epoch"].max(), "validation"]
    low, high = table["validation"].min(), settled.quantile(0.95)
    room = (high - low) or 1.0
    return low - 0.05 * room, high + 0.1 * room


def _draw_curves(ax: Axes, table: pd.DataFrame, colour: str) -> None:
    """Draw one line per setting and replicate."""
    for (_, _, selected), line in table.groupby(["replicate", "setting", "selected"], sort=False):
        [curve] = ax.plot(line["epoch"], line["validation"], color=colour, lw=0.4, alpha=0.4)
        if selected:
            curve.set(lw=1.2, alpha=1, zorder=3)
