"""A map of the cells of a real screen, by perturbation and by batch."""

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


@figure(needs="a fit of the reference method on real data, with latents")
def embedding(tables: Tables) -> Drawn | None:
    """Draw a map of the cells by the latents of the reference method, for the first fit on each dataset."""
    table = tables.embedding
    if table.empty:
        return None
    maps = [of_fit for _, of_fit in table.groupby("dataset", sort=False)]
    page = matplotlib.figure.Figure(figsize=(WIDTH, HEIGHT * len(maps)))
    for part, cells in zip(page.subfigures(len(maps), 1, squeeze=False)[:, 0], maps, strict=True):
        _draw_maps(part, tables, cells)
    return Drawn(page, table)


def _draw_maps(part: SubFigure, tables: Tables, cells: pd.DataFrame) -> None:
    """Draw the map of one fit twice if there are batches, else once."""
    first = cells.iloc[0]
    write_title(part, tables.title(first["dataset"], first["split"]))
    note = f"{tables.label(first['method'])}, replicate {first['replicate']}, {first['setting']}"
    write_note(part, f"{note}. UMAP of {len(cells):,} cells. {_mixing(cells)}".strip())
    of_batches = cells["batch"].nunique() > 1
    axes = part.subplots(1, 2, squeeze=False)[0]
    _draw_map(axes[0], cells, "perturbation", _names_to_colour(tables, cells))
    if of_batches:
        _draw_map(axes[1], cells, "batch", list(cells["batch"].value_counts().index[:MOST_COLOURS]))
    else:
        axes[1].set_axis_off()


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
    ax.scatter(cells["x"], cells["y"], s=2, lw=0, color=colour, label=literal(name), rasterized=True)
