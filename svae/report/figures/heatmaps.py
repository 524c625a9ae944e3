"""Matrices of perturbations, with names that can be read."""

import math
from textwrap import shorten

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.image import AxesImage

from svae.report.figures.axes import literal
from svae.report.figures.style import GREY, PALE, SMALL

SMALLEST, LARGEST = 5.0, 7.0
"""Sizes in points between which names of perturbations are written."""
LETTERS = 28
"""Of the name of a pathway; longer ones are cut."""
LEADING = 1.1
"""Height of a row as a multiple of the size of its name."""
POINTS = 72
"""Per inch."""


def rows_in(height: float) -> int:
    """How many rows of that height, in inches, have room for their names at the smallest size."""
    return math.floor(height * POINTS / (SMALLEST * LEADING) + 1e-9)


def most_affected(sizes: pd.Series, rows: int) -> list[str]:
    """Names of the perturbations with the largest effects, as many as there is room for.

    Parameters
    ----------
    sizes
        Size of the effect, by perturbation.
    rows
        How many fit.
    """
    return list(sizes.sort_values(ascending=False, kind="stable").index[:rows])


def draw_matrix(ax: Axes, matrix: pd.DataFrame, colours: str, low: float, high: float) -> AxesImage:
    """Draw a matrix; what is NaN is pale grey."""
    image = ax.imshow(
        matrix.to_numpy(dtype=float),
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=high,
        cmap=mpl.colormaps[colours].with_extremes(bad=PALE),
    )
    ax.spines[:].set_visible(True)
    ax.spines[:].set(lw=0.4, color=GREY)
    ax.set_xticks([])
    ax.set_yticks([])
    return image


def hatch(ax: Axes, cells: np.ndarray) -> None:
    """Hatch the cells of a matrix where `cells`, a boolean rows × columns array, is true."""
    if cells.any():
        rows, columns = cells.shape
        ax.pcolor(
            np.arange(columns + 1) - 0.5,
            np.arange(rows + 1) - 0.5,
            np.ma.masked_where(~cells, np.zeros(cells.shape)),
            cmap=ListedColormap(["white"]),
            edgecolors=GREY,
            linewidth=0,
            hatch="/////",
        )


def write_row_names(ax: Axes, matrix: pd.DataFrame, height: float) -> None:
    """Write the names of all rows beside a matrix that is so many inches high."""
    names = [literal(name) for name in matrix.index]
    ax.set_yticks(range(len(matrix)), names, fontsize=_name_size(len(matrix), height))
    ax.tick_params(axis="y", length=1.5, pad=1.5)


def write_pathways(ax: Axes, matrix: pd.DataFrame, pathways: "pd.Series[str]", height: float) -> None:
    """Write the pathways of rows right of a matrix that is so many inches high, if any row has one."""
    names = pathways.reindex(matrix.index).dropna()
    if len(names):
        side = ax.secondary_yaxis("right")
        side.spines[:].set_visible(False)
        labels = [literal(shorten(name, LETTERS, placeholder=" …")) for name in names]
        size = _name_size(len(matrix), height)
        side.set_yticks(matrix.index.get_indexer(names.index), labels, fontsize=size, color=GREY)
        side.tick_params(axis="y", length=1.5, pad=1.5)


def write_column_names(ax: Axes, matrix: pd.DataFrame, width: float) -> None:
    """Write the names of all columns under a matrix that is so many inches wide."""
    size = _name_size(matrix.shape[1], width)
    names = [literal(name) for name in matrix.columns]
    ax.set_xticks(range(matrix.shape[1]), names, fontsize=size, rotation=90)
    ax.tick_params(axis="x", length=1.5, pad=1.5)


def number_columns(ax: Axes, matrix: pd.DataFrame) -> None:
    """Number the columns of a matrix, at most eight of them."""
    places = range(0, matrix.shape[1], math.ceil(matrix.shape[1] / 8))
    ax.set_xticks(places, [str(matrix.columns[place]) for place in places], fontsize=SMALL)


def _name_size(count: int, room: float) -> float:
    return float(np.clip(room * POINTS / (max(count, 1) * LEADING), SMALLEST, LARGEST))
