"""Which genes of a published file are kept, and what they are called."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.datasets.preparation import Preparation
from svae.datasets.published import PublishedFile, first_line
from svae.errors import BenchmarkError, unknown


def read_gene_names(file: PublishedFile, gene_column: str | None) -> pd.Index:
    """Return the name of each gene: its entry in a column of ``var``, else its index."""
    var = file.content.var
    if gene_column is None:
        return pd.Index(var.index.astype(str))
    if gene_column not in var:
        raise unknown("column of var", gene_column, var.columns, str(file.path))
    column = var[gene_column]
    return pd.Index(column.astype(object).where(column.notna(), var.index).astype(str))


def choose_genes(file: PublishedFile, names: pd.Index, preparation: Preparation) -> np.ndarray:
    """Return one boolean per gene of the file: those asked for by name, or all."""
    if preparation.genes is None:
        return np.ones(len(names), dtype=bool)
    return names.isin(file.present(preparation.genes, names, "gene", preparation.gene_lists is not None))


def keep_most_variable(dataset: ad.AnnData, number: int, where: str) -> ad.AnnData:
    """Keep the most variable genes, in the dataset's order (Stuart et al. 2019, ``seurat_v3`` of scanpy).

    All cells are looked at, and no labels. A dataset is prepared once for all its splits, so cells that a
    split holds out are among them: their expression, though not their perturbation, takes part in the choice.
    The studies that the benchmark repeats choose genes in this way, too.

    Parameters
    ----------
    dataset
        Raw counts.
    number
        How many genes to keep.
    where
        Name of the file, for error messages.

    Raises
    ------
    BenchmarkError
        If the curve of variance on mean, which the choice rests on, cannot be fitted to these cells.
    """
    import scanpy as sc  # a second to import, and few datasets ask for it

    try:
        with_scores = sc.pp.highly_variable_genes(
            dataset, n_top_genes=number, flavor="seurat_v3", inplace=False
        )
    except (ValueError, ZeroDivisionError) as error:  # so does the regression of few or equal genes
        raise BenchmarkError(
            f"{where}: top_genes: the variability of {dataset.n_vars:,} genes in {dataset.n_obs:,} cells "
            f"cannot be ranked ({first_line(error)}); name the `genes` to keep instead"
        ) from error
    return dataset[:, with_scores["highly_variable"].to_numpy()].copy()


def how_chosen(preparation: Preparation, number: int) -> str:
    """Say how the genes of a dataset were chosen, `number` being those before ``top_genes``."""
    source = "in the file" if preparation.genes is None else "named in the scope"
    if preparation.top_genes is None or preparation.top_genes >= number:
        return f"all {number:,} {source}"
    among = f"the {preparation.top_genes:,} most variable of {number:,} {source}"
    return f"{among}, chosen on all cells, held-out ones included"
