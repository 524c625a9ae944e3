"""Posterior predictive checks: generated cells beside real ones, gene by gene."""

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.ticker import NullFormatter

from svae.report.figures.axes import write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, SMALL, WIDTH
from svae.report.tables import Tables
from svae.report.values import first_fits

PANELS = {"mean": "Mean count", "variance": "Variance of counts", "zeros": "Share of cells without counts"}
HEIGHT = 2.5  # inches
LEAST = 1e-3
"""Means and variances below this are drawn at this place: they are of genes that hardly any cell has."""


@figure(needs="generated cells of held-out perturbations from the reference method, on real data")
def predictive_checks(tables: Tables) -> Drawn | None:
    """Draw mean, variance and zeros of each gene in generated and in real cells of held-out perturbations."""
    checks = tables.predictive
    of_reference = checks[checks["method"] == tables.reference]
    if of_reference.empty:
        return None
    fits = first_fits(of_reference)
    page = matplotlib.figure.Figure(figsize=(WIDTH, HEIGHT * len(fits)))
    for part, genes in zip(page.subfigures(len(fits), 1, squeeze=False)[:, 0], fits, strict=True):
        _draw_fit(part, tables, genes)
    return Drawn(page, summarise_checks(checks))


def summarise_checks(checks: pd.DataFrame) -> pd.DataFrame:
    """Say for each fit how far generated cells are from real ones.

    Returns
    -------
    The columns of the fit and ``statistic``, the number of ``genes``, and ``error``: the median over genes of
    |log2(generated / real)| for means and variances, and of |generated − real| for zeros.
    """
    ratio = np.log2(checks["generated"].clip(lower=LEAST) / checks["real"].clip(lower=LEAST)).abs()
    difference = (checks["generated"] - checks["real"]).abs()
    error = difference.where(checks["statistic"] == "zeros", ratio)
    keys = ["dataset", "split", "replicate", "method", "setting", "statistic"]
    found = checks.assign(error=error).groupby(keys, sort=False)["error"]
    return found.agg(genes="size", error="median").reset_index()


def _draw_fit(part: SubFigure, tables: Tables, genes: pd.DataFrame) -> None:
    """Draw one panel per statistic, for one fit."""
    first = genes.iloc[0]
    write_title(part, tables.title(first["dataset"], first["split"]))
    write_note(part, f"{tables.label(first['method'])}, replicate {first['replicate']}, {first['setting']}")
    errors = summarise_checks(genes).set_index("statistic")["error"]
    for ax, (statistic, label) in zip(part.subplots(1, 3), PANELS.items(), strict=True):
        _draw_genes(ax, genes[genes["statistic"] == statistic], statistic != "zeros")
        unit = "median |difference|" if statistic == "zeros" else "median |log2 ratio|"
        ax.set_title(f"{label}\n{unit} {errors[statistic]:.2f}", fontsize=SMALL, weight="normal")


def _draw_genes(ax: Axes, genes: pd.DataFrame, logarithmic: bool) -> None:
    """Draw one dot per gene; on the line, generated and real cells agree."""
    real, generated = genes["real"], genes["generated"]
    if logarithmic:
        real, generated = real.clip(lower=LEAST), generated.clip(lower=LEAST)
        ax.set(xscale="log", yscale="log")
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_minor_formatter(NullFormatter())  # their labels would overlap
    ends = [min(real.min(), generated.min()), max(real.max(), generated.max())]
    ax.plot(ends, ends, color=GREY, lw=0.6)
    ax.scatter(real, generated, s=3, lw=0, color="#0072b2", alpha=0.6, rasterized=True)
    ax.set(xlabel="Real cells", ylabel="Generated cells")
