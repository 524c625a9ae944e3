"""A map of the cells of a real screen, by perturbation, by pathway and by batch."""

import math
from textwrap import fill
from typing import Any

import matplotlib.figure
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from svae.report.effects import effect_sizes, trained_targets
from svae.report.figures.axes import literal, write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.heatmaps import most_affected
from svae.report.figures.style import PALE, TINY, WIDTH
from svae.report.tables import Tables
from svae.report.values import RUN

MOST_COLOURS = 9
"""More colours cannot be told apart."""
HEIGHT = 2.9  # inches of a panel and the names beside it
COLUMNS = 2  # panels beside one another
LETTERS = 22  # of a line of a name


@figure(needs="a fit of the reference method on real data, with latents")
def embedding(tables: Tables) -> Drawn | None:
    """Draw a map of the cells by the latents of the reference method, for the first fit on each dataset."""
    table = tables.embedding
    if table.empty:
        return None
    fits = [(cells, _names_to_colour(tables, cells)) for _, cells in table.groupby("dataset", sort=False)]
    fits = [(cells.assign(pathway=_pathways(tables, cells)), named) for cells, named in fits]
    lines = [math.ceil(len(_coloured_by(cells)) / COLUMNS) for cells, _ in fits]
    page = matplotlib.figure.Figure(figsize=(WIDTH, HEIGHT * sum(lines)))
    parts = page.subfigures(len(fits), 1, height_ratios=lines, squeeze=False)[:, 0]
    for part, (cells, named) in zip(parts, fits, strict=True):
        _draw_maps(part, tables, cells, named)
    return Drawn(page, table)


def _pathways(tables: Tables, cells: pd.DataFrame) -> pd.Series:
    """Pathway of each cell, by its perturbation; empty where it has none that another one shares."""
    return cells["perturbation"].map(tables.pathway_of(cells.iloc[0]["dataset"])).fillna("")


def _coloured_by(cells: pd.DataFrame) -> list[str]:
    """Columns that the cells of a fit are coloured by: those that tell cells apart."""
    others = {"pathway": (cells["pathway"] != "").any(), "batch": cells["batch"].nunique() > 1}
    return ["perturbation", *(column for column, tells in others.items() if tells)]


def _draw_maps(part: SubFigure, tables: Tables, cells: pd.DataFrame, perturbations: list[str]) -> None:
    """Draw the map of one fit once for each column that cells are coloured by."""
    first = cells.iloc[0]
    write_title(part, tables.title(first["dataset"], first["split"]))
    note = f"{tables.label(first['method'])}, replicate {first['replicate']}, {first['setting']}"
    write_note(part, f"{note}. UMAP of {len(cells):,} cells. {_mixing(cells)}".strip())
    columns = _coloured_by(cells)
    grid = part.subplots(math.ceil(len(columns) / COLUMNS), COLUMNS, squeeze=False)
    for ax in grid.flat[len(columns) :]:
        ax.set_axis_off()
    for ax, column in zip(grid.flat, columns, strict=False):
        largest = cells.loc[cells[column] != "", column].value_counts().index[:MOST_COLOURS]
        _draw_map(ax, cells, column, perturbations if column == "perturbation" else list(largest))


def _mixing(cells: pd.DataFrame) -> str:
    """Say how well batches are mixed; nothing if there is one."""
    if cells["batch"].nunique() < 2:
        return ""
    best = 1 / (cells["batch"].value_counts(normalize=True) ** 2).sum()
    found = cells["batches_nearby"].mean()
    return f"Batches among the neighbours of a cell: {found:.2f} on average, {best:.2f} if they were mixed"


def _names_to_colour(tables: Tables, cells: pd.DataFrame) -> list[str]:
    """Choose the perturbations with the largest effects, or else those with the most cells."""
    targets = trained_targets(tables).merge(cells[[*RUN, "setting"]].drop_duplicates())
    if targets.empty:
        return list(cells["perturbation"].value_counts().index[:MOST_COLOURS])
    return most_affected(effect_sizes(targets), MOST_COLOURS)


def _draw_map(ax: Axes, cells: pd.DataFrame, column: str, named: list[str]) -> None:
    """Draw the cells; those of the names have colours, the others are pale."""
    others = cells[~cells[column].isin(named)]
    if len(others):
        _draw_cells(ax, others, PALE, "others")
    for name, colour in zip(named, sns.color_palette("colorblind", len(named)), strict=True):
        _draw_cells(ax, cells[cells[column] == name], colour, name)
    ax.set(xticks=[], yticks=[], xlabel="UMAP 1", ylabel="UMAP 2", title=column.capitalize())
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), fontsize=TINY, markerscale=2.5, handletextpad=0.1)


def _draw_cells(ax: Axes, cells: pd.DataFrame, colour: Any, name: str) -> None:
    label = literal(fill(name, LETTERS))
    ax.scatter(cells["x"], cells["y"], s=2, lw=0, color=colour, label=label, rasterized=True)
