"""What the latents are: the genes that each one moves, the perturbations that move it, and a gene set."""

import math
from textwrap import shorten

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from svae.report.effects import effects, trained_targets
from svae.report.figures.axes import divide, literal, write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, INK, SMALL, TINY, WIDTH
from svae.report.tables import Tables
from svae.report.values import FACET, first_fits

LATENTS, GENES, PERTURBATIONS = 6, 8, 4
"""So many latents are drawn, with so many genes and names of perturbations each."""
SURE = 0.95
"""Genes that are moved with this probability have a full bar, the others an empty one."""
ENRICHED = 0.05
"""A gene set is named if its adjusted p is at most this."""
COLUMNS = 3
ROW = 1.75  # inches


@figure(needs="genes of the latents of the reference method, which models of real data tell")
def latent_genes(tables: Tables) -> Drawn | None:
    """Draw the genes that each latent of the reference method moves, in the first fit on each dataset."""
    genes = tables.latent_genes[tables.latent_genes["method"] == tables.reference]
    if genes.empty:
        return None
    described = [describe_latents(tables, of_fit) for of_fit in first_fits(genes)]
    rows = [math.ceil(min(LATENTS, table["latent"].nunique()) / COLUMNS) for table in described]
    page = matplotlib.figure.Figure(figsize=(WIDTH, sum(rows) * ROW + 0.5 * len(rows)))
    parts = page.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0]
    for part, table in zip(parts, described, strict=True):
        _draw_fit(part, tables, table)
    return Drawn(page, pd.concat(described, ignore_index=True))


def describe_latents(tables: Tables, genes: pd.DataFrame) -> pd.DataFrame:
    """Say of each latent of one fit which genes it moves, what moves it and which gene set it is.

    Parameters
    ----------
    tables
        Of the run.
    genes
        Rows of the table of latents' genes for one fit.

    Returns
    -------
    For each latent, those that perturbations move most first, the :data:`GENES` genes with the largest
    changes: the columns of the fit, ``latent``, ``gene``, ``probability``, ``log2_fold_change``, ``moved_by``
    (perturbations, with the direction) and ``gene_set`` (the first one of those enriched, empty if none is).
    """
    fit = ["dataset", "split", "replicate", "method", "setting"]
    targets = trained_targets(tables).merge(genes[fit].drop_duplicates())
    moved = effects(targets) if len(targets) else pd.DataFrame(columns=genes["latent"].unique())
    sizes = moved.abs().sum().reindex(genes["latent"].unique()).fillna(0)
    order = list(sizes.sort_values(ascending=False, kind="stable").index)
    largest = (
        genes.assign(size=genes["log2_fold_change"].abs(), place=genes["latent"].map(order.index))
        .sort_values(["place", "size"], ascending=[True, False], kind="stable")
        .groupby("latent", sort=False)
        .head(GENES)
        .drop(columns=["size", "place"])
    )
    enriched = tables.enrichment.merge(genes[fit].drop_duplicates())
    enriched = enriched[enriched["p_adjusted"] <= ENRICHED].groupby("latent")["gene_set"].first()
    return largest.assign(
        moved_by=largest["latent"].map({latent: _movers(moved[latent]) for latent in order}),
        gene_set=largest["latent"].map(enriched).fillna(""),
    )


def _movers(effect: pd.Series) -> str:
    """Name the perturbations that move a latent most, each with its direction."""
    largest = effect.dropna().sort_values(key=np.abs, ascending=False, kind="stable").head(PERTURBATIONS)
    names = [f"{name} {'↑' if size > 0 else '↓'}" for name, size in largest.items() if size != 0]
    return ", ".join(names)


def _draw_fit(part: SubFigure, tables: Tables, table: pd.DataFrame) -> None:
    """Draw the first latents of one fit, one panel each."""
    shown = list(table["latent"].unique()[:LATENTS])
    first = table.iloc[0]
    write_title(part, tables.title(*first[FACET]))
    setting = f"{tables.label(first['method'])}, replicate {first['replicate']}, {first['setting']}"
    known = table["latent"].nunique()
    kept = f". Drawn are {len(shown)} of {known} latents" if len(shown) < known else ""
    write_note(part, setting + kept)
    for panel, latent in zip(divide(part, len(shown), COLUMNS), shown, strict=True):
        _draw_latent(panel.subplots(), table[table["latent"] == latent])


def _draw_latent(ax: Axes, genes: pd.DataFrame) -> None:
    """Draw the changes of the genes of one latent, the largest on top."""
    places = np.arange(len(genes))
    sure = genes["probability"] >= SURE
    ax.barh(places, genes["log2_fold_change"], color=np.where(sure, INK, "white"), edgecolor=INK, lw=0.5)
    ax.axvline(0, color=GREY, lw=0.5)
    ax.set_yticks(places, genes["gene"].map(literal), fontsize=TINY)
    ax.invert_yaxis()
    ax.tick_params(axis="x", labelsize=TINY)
    ax.set_xlabel("Log2 fold change", fontsize=TINY)
    first = genes.iloc[0]
    lines = [f"Latent {first['latent']}", first["moved_by"] or "moved by no perturbation", first["gene_set"]]
    ax.set_title(
        "\n".join(literal(shorten(line, 38, placeholder=" …")) for line in lines if line),
        fontsize=SMALL,
        weight="normal",
        loc="left",
    )
