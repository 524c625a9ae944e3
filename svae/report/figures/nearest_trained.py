"""Which trained perturbations a held-out one is most like."""

import matplotlib.figure
import pandas as pd
from matplotlib.axes import Axes

from svae.report.effects import nearest_of_held_out
from svae.report.figures.axes import literal, write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, INK, TINY, WIDTH
from svae.report.tables import Tables

NEIGHBOURS, MOST_ROWS = 3, 30
ROW = 0.17  # inches


@figure(needs="shifts of held-out perturbations from the reference method")
def nearest_trained(tables: Tables) -> Drawn | None:
    """Draw the trained perturbations that each held-out one is most like."""
    targets = tables.targets[tables.targets["method"] == tables.reference]
    table = nearest_of_held_out(targets, NEIGHBOURS)
    if table.empty:
        return None
    shown = {name: _largest(group) for name, group in table.groupby("dataset", sort=False)}
    rows = [group["row"].max() + 1 for group in shown.values()]
    page = matplotlib.figure.Figure(figsize=(WIDTH, sum(rows) * ROW + 1.1 * len(rows)))
    parts = page.subfigures(len(rows), 1, height_ratios=[n + 6 for n in rows], squeeze=False)[:, 0]
    for part, (name, group) in zip(parts, shown.items(), strict=True):
        write_title(part, name)
        write_note(part, _note(tables, table[table["dataset"] == name], group))
        _draw_rows(part.subplots(), group)
    return Drawn(page, table)


def _largest(table: pd.DataFrame) -> pd.DataFrame:
    """Number the held-out perturbations by the size of their shift, and keep the first ones."""
    ordered = table.sort_values("size", ascending=False, kind="stable")
    row = ordered.groupby(["split", "perturbation"], sort=False).ngroup()
    return ordered.assign(row=row)[row < MOST_ROWS]


def _note(tables: Tables, known: pd.DataFrame, drawn: pd.DataFrame) -> str:
    """Say by which method, and how many perturbations are left out."""
    n_known, n_drawn = (table.groupby(["split", "perturbation"]).ngroups for table in (known, drawn))
    kept = "" if n_drawn == n_known else f". Drawn are the {n_drawn} largest shifts of {n_known}"
    return f"{tables.label(tables.reference)}{kept}"


def _draw_rows(ax: Axes, table: pd.DataFrame) -> None:
    """Draw one row per held-out perturbation: a dot with a name for each trained one that is near."""
    ax.axvline(0, color=GREY, lw=0.5)
    for row, group in table.groupby("row"):
        ax.plot(group["similarity"], [row] * len(group), "o", ms=2.5, color=INK, clip_on=False)
        names = literal(", ".join(group["other"]))
        ax.annotate(names, (1.03, row), xycoords=("axes fraction", "data"), va="center", fontsize=TINY)
    labels = table.drop_duplicates("row")
    names = labels["perturbation"].map(literal) + labels["size"].map(" ({:.1f})".format)
    ax.set_yticks(labels["row"], names, fontsize=TINY)
    ax.set_ylim(labels["row"].max() + 0.5, -0.5)
    ax.set_xlim(min(-0.02, table["similarity"].min()), 1)
    ax.set_xlabel("Cosine with the effects of the trained perturbations named on the right")
