"""List the genes that perturbations move, by what a fit says of them."""

from pathlib import Path

import pandas as pd

from svae.contracts import fit as fits
from svae.differential import FDR, checked_fdr, table_of_genes
from svae.errors import BenchmarkError


def genes_of_fit(fit: str | Path, fdr: float = FDR) -> pd.DataFrame:
    """Call the genes that each perturbation moves.

    Parameters
    ----------
    fit
        An h5ad file, as :mod:`svae.contracts.fit` describes it.
    fdr
        Expected share of false calls among those of a perturbation, at most.

    Returns
    -------
    One row per perturbation and gene, as :func:`svae.differential.table_of_genes` gives it.

    Raises
    ------
    BenchmarkError
        If the file breaks its contract or says nothing of genes, or `fdr` is not between 0 and 1.
    """
    fdr = checked_fdr(fdr, "--fdr")
    found = fits.read(fit)
    if not found.differential:
        raise BenchmarkError(
            f'{fit}: uns["differential"] is missing, so the fit says of no gene that it moves'
        )
    return table_of_genes(found.differential["probability"], found.differential["log2_fold_change"], fdr)


def as_text(table: pd.DataFrame) -> str:
    """Set the called genes as a table to be read, a gene a line."""
    from tabulate import tabulate

    shown = table[table["called"]].drop(columns="called")
    return tabulate(shown, headers="keys", showindex=False, floatfmt=".3f")
