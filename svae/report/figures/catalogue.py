"""The catalogue of figures: how a function becomes a figure, is drawn and is saved."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import pandas as pd

from svae.errors import unknown
from svae.files import replacing, write_table
from svae.report.figures.style import GREY, WIDTH, style
from svae.report.tables import Tables


@dataclass(frozen=True)
class Drawn:
    """A figure and the table of the numbers that it shows."""

    figure: matplotlib.figure.Figure
    table: pd.DataFrame


DrawingFunction = Callable[[Tables], Drawn | None]


@dataclass(frozen=True)
class Figure:
    """How a figure is drawn, what a run must have for it to apply, and whether it shows varied datasets."""

    function: DrawingFunction
    needs: str
    varied: bool


FIGURES: dict[str, Figure] = {}
"""The figures of the report, by the names of their functions."""


def figure(needs: str, varied: bool = False) -> Callable[[DrawingFunction], DrawingFunction]:
    """Make a function a figure of the report, under its own name.

    The function returns None if the run lacks what the figure `needs`, which completes the sentence
    "not applicable here, because it needs …". Datasets that the key `vary` of others asks for are only handed
    to figures that show what is `varied`. There may be dozens of them.
    """

    def enter(function: DrawingFunction) -> DrawingFunction:
        FIGURES[function.__name__] = Figure(function, needs, varied)
        return function

    return enter


def draw(name: str, tables: Tables) -> Drawn:
    """Draw the figure called `name`, or an otherwise empty one that says why this run has none.

    Raises
    ------
    BenchmarkError
        If no figure has that name; the message tells the nearest.
    """
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES, "report")
    drawn = FIGURES[name]
    shown = tables if drawn.varied else tables.without_varied()
    with style():
        return drawn.function(shown) or _placeholder(name, drawn.needs)


def _placeholder(name: str, needs: str) -> Drawn:
    message = f"not applicable here, because it needs {needs}"
    empty = matplotlib.figure.Figure(figsize=(WIDTH, 1.1))
    empty.text(0.5, 0.66, name.replace("_", " ").capitalize(), ha="center", va="center", weight="bold")
    empty.text(0.5, 0.34, message.capitalize(), ha="center", va="center", color=GREY)
    return Drawn(empty, pd.DataFrame({"figure": [name], "note": [message]}))


def save(drawn: Drawn, stem: str | Path) -> None:
    """Write `stem`.svg, .pdf, .png (200 dpi) and .tsv (the numbers), each in one piece.

    Equal figures are equal files: nothing in them tells when they were made.
    """
    undated: dict[str, dict] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    for suffix, metadata in undated.items():
        with style(), replacing(f"{stem}.{suffix}") as temporary:
            drawn.figure.savefig(temporary, dpi=200, metadata=metadata)
    write_table(drawn.table, f"{stem}.tsv")
