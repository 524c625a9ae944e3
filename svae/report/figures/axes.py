"""Pieces that several figures share: how a page is divided, and how axes are labelled."""

import math
from collections.abc import Iterable, Iterator
from textwrap import fill, wrap

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from svae.report.figures.style import GREY, SMALL
from svae.report.outcomes import NOT_CHOSEN
from svae.report.tables import Tables

LETTERS = 88
"""So many have room below a page's width of panels."""
LATENTS_FITTED = "n_latent"
"""The option of a method that can be varied, too: the number of latents that it fits."""


def divide(figure: FigureBase, count: int, columns: int = 1) -> list[SubFigure]:
    """Divide a figure into `count` equal parts of so many columns, row by row."""
    parts = figure.subfigures(math.ceil(count / columns), columns, squeeze=False)
    return list(parts.flat)[:count]


def write_title(part: SubFigure, title: str) -> None:
    """Write a title over a part of a figure, flush left."""
    part.suptitle(_wrap(part, title, mpl.rcParams["figure.titlesize"]), x=0.01, ha="left")


def write_note(part: SubFigure, note: str) -> None:
    """Write a remark under a part of a figure, in small grey letters; nothing if it is empty."""
    if note:
        part.supxlabel(_wrap(part, note, SMALL), x=0.01, ha="left", fontsize=SMALL, color=GREY)


def _wrap(part: SubFigure, text: str, size: float) -> str:
    """Break a text of that size, in points, into lines that are no wider than a part of a figure."""
    width = part.bbox.width / part.get_figure(root=True).dpi * 72
    return "\n".join(wrap(text, max(20, int(width / (0.52 * size)))))


def anchor_dashes() -> Iterator[object]:
    """Yield line styles: the first anchor has a solid line, the others have dashes."""
    yield "-"
    while True:
        yield (0, (4, 2))


def parameter_label(parameter: str) -> str:
    """Name what is varied, a parameter of a simulator or the number of latents fitted, as axes show it."""
    return "Latents fitted" if parameter == LATENTS_FITTED else parameter.replace("_", " ").capitalize()


def write_missing(ax: Axes, row: float, reason: str, size: float = SMALL) -> None:
    """Say in the middle of a row why there is no value."""
    ax.text(
        0.5,
        row,
        reason,
        transform=ax.get_yaxis_transform(),
        ha="center",
        va="center",
        color=GREY,
        fontsize=size,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
    )


def label_score(ax: Axes, label: str, direction: str, panels: int = 1) -> None:
    """Label the axis of one of some panels in a row with what it shows and an arrow to the better side."""
    lines = fill(label, LETTERS // panels)
    ax.set_xlabel(f"{lines}\n{better_side(direction)}", linespacing=1.3)


def label_few_ticks(ax: Axes) -> None:
    """Give a linear axis a margin and three to five ticks."""
    ax.margins(x=0.1)
    ax.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))


def label_log_axis(ax: Axes, ticks: list[float]) -> None:
    """Make an axis logarithmic, with a tick at each of `ticks` (ascending) and no other."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    if len(ticks) > 1:
        margin = (ticks[-1] / ticks[0]) ** 0.07
        ax.set_xlim(ticks[0] / margin, ticks[-1] * margin)


def label_values(ax: Axes, values: list[float]) -> None:
    """Put a tick at each of `values` (ascending) and no other, on a logarithmic axis if all are positive."""
    if values[0] > 0:
        label_log_axis(ax, values)
    else:
        ax.set_xticks(values, [f"{value:g}" for value in values])


def literal(name: object) -> str:
    """Write a name as it is: Matplotlib would take what is between two dollar signs for a formula."""
    return str(name).replace("$", r"\$")


def better_side(direction: str) -> str:
    """Point to the better side of a horizontal axis."""
    return "better →" if direction == "higher" else "← better"


def method_handles(tables: Tables, methods: Iterable[str]) -> list[Line2D]:
    """Name methods in a legend, each by a line with a dot in its colour."""
    return [
        Line2D([], [], color=tables.colour(method), marker="o", ms=3.5, lw=1.2, label=tables.label(method))
        for method in methods
    ]


def fallback_handle(colour: str = GREY, size: float = 3.5) -> Line2D:
    """Explain the hollow dots of settings that a rule had nothing to choose by."""
    label = f"{NOT_CHOSEN}: fixed setting"
    return Line2D([], [], color=colour, marker="o", mfc="white", ms=size, lw=1.2, label=label)


def label_round_log_axis(ax: Axes, values: pd.DataFrame) -> None:
    """Make an axis logarithmic that begins and ends at one of 1, 2, 5, 10, 20 and so on.

    The axis holds all positive `values`. Nothing is done if there are none.
    """
    positive = values[values > 0]
    if positive.isna().all(axis=None):
        return
    steps = np.outer(10.0 ** np.arange(-6, 10), [1, 2, 5]).ravel()
    first = steps[steps <= positive.min().min()].max()
    last = steps[steps >= positive.max().max()].min()
    ticks = steps[(steps >= first) & (steps <= last)]
    every = math.ceil(len(ticks) / 6)
    label_log_axis(ax, list(ticks[::every]))
    margin = (last / first) ** 0.03
    ax.set_xlim(first / margin, last * margin)
