"""Which genes of a published file are kept, and what they are called."""

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.combinations import parts_of
from svae.datasets.preparation import JOINT_OF_COLUMNS, Preparation
from svae.datasets.published import PublishedFile
from svae.errors import BenchmarkError, first_line, unknown
from svae.words import CONTROL


@dataclass(frozen=True)
class Genes:
    """Genes that are kept.

    Attributes
    ----------
    kept
        One boolean per gene of the file.
    how
        Words that say how they were chosen.
    """

    kept: np.ndarray
    how: str


def read_gene_names(file: PublishedFile, gene_column: str | None) -> pd.Index:
    """Return the name of each gene: its entry in a column of ``var``, else its index."""
    var = file.var
    if names_the_index(file, gene_column):
        return pd.Index(var.index)
    if gene_column not in var:
        raise unknown("column of var", gene_column, var.columns, str(file.path))
    column = var[gene_column]
    return pd.Index(column.astype(object).where(column.notna(), var.index).astype(str))


def names_the_index(file: PublishedFile, gene_column: str | None) -> bool:
    """Say whether the index of ``var`` names the genes: by default, or because it is called so."""
    return gene_column is None or (gene_column == file.var.index.name and gene_column not in file.var)


def choose_genes(
    file: PublishedFile, names: pd.Index, cells: np.ndarray, labels: pd.Series, preparation: Preparation
) -> Genes:
    """Choose the genes to keep: all or those asked for, then those counted often, then the most variable.

    Parameters
    ----------
    file
        The published file.
    names
        Name of each gene of the file.
    cells
        One boolean per cell of the file: those that are kept.
    labels
        Perturbation of each cell of the file.
    preparation
        What to keep.
    """
    kept, how = _named(file, names, preparation)
    perturbed = kept & _perturbed(file, names, labels[cells])
    spared = perturbed if preparation.keep_perturbed else np.zeros_like(perturbed)
    if preparation.min_cells_per_gene is not None:
        often = (file.cells_per_gene(cells) >= preparation.min_cells_per_gene) | spared
        few = f"fewer than {preparation.min_cells_per_gene} cells"
        file.left_out.add("genes", int((kept & ~often).sum()), f"with counts in {few}")
        kept = kept & often
        how = f"{how} after those with counts in {few} were left out"
    number = int(kept.sum())
    how = f"{number:,} {how}"
    if preparation.top_genes is None or preparation.top_genes >= number:
        return Genes(kept, f"all {how}")
    top = np.zeros_like(kept)
    top[kept] = _most_variable(file, cells, labels, kept, preparation)
    beside = int((spared & ~top).sum())
    top |= spared
    file.left_out.add("genes", int((kept & ~top).sum()), "that are not among the most variable")
    on = "all cells, held-out ones included" if preparation.top_genes_on == "all" else "control cells"
    more = f", and {beside:,} more that perturbations are called after" if beside else ""
    return Genes(top, f"the {preparation.top_genes:,} most variable of {how}, chosen on {on}{more}")


def _named(file: PublishedFile, names: pd.Index, preparation: Preparation) -> tuple[np.ndarray, str]:
    """Say which genes are asked for by name, and where they come from."""
    if preparation.genes is None:
        return np.ones(len(names), dtype=bool), "in the file"
    ids, some_will_do = file.var.index, preparation.gene_lists is not None
    wanted = file.present(preparation.genes, {*names, *ids}, "gene", some_will_do)
    kept = names.isin(wanted) | ids.isin(wanted)
    file.left_out.add("genes", int((~kept).sum()), "that are not listed")
    return kept, "named in the scope"


def _perturbed(file: PublishedFile, names: pd.Index, labels: pd.Series) -> np.ndarray:
    """Say which genes perturbations are called after, by their names in the dataset or in the file."""
    of_labels = {
        word for label in labels.unique() for part in parts_of(label) for word in part.split(JOINT_OF_COLUMNS)
    }
    return names.isin(of_labels) | file.var.index.isin(of_labels)


def _most_variable(
    file: PublishedFile, cells: np.ndarray, labels: pd.Series, genes: np.ndarray, preparation: Preparation
) -> np.ndarray:
    """Say which of some genes are the most variable (Stuart et al. 2019, ``seurat_v3`` of scanpy).

    Labels are not looked at, but for the control, on whose cells alone genes can be chosen.

    Returns
    -------
    One boolean per gene in `genes`.

    Raises
    ------
    BenchmarkError
        If there are no control cells to choose on, or the curve of variance on mean, which the choice rests
        on, cannot be fitted to the cells.
    """
    import scanpy as sc  # a second to import, and few datasets ask for it

    where = f"{file.path}: top_genes"
    if preparation.top_genes_on == "control":
        cells = cells & (labels == CONTROL).to_numpy()
        if not cells.any():
            raise BenchmarkError(
                f"{where}: they are chosen on control cells, and there are none; name the `control`, or set "
                "`top_genes_on: all`"
            )
    counts = ad.AnnData(file.counts(cells, genes))
    try:
        scores = sc.pp.highly_variable_genes(
            counts, n_top_genes=preparation.top_genes, flavor="seurat_v3", inplace=False
        )
    except (ValueError, ZeroDivisionError) as error:  # so does the regression of few or equal genes
        raise BenchmarkError(
            f"{where}: the variability of {counts.n_vars:,} genes in {counts.n_obs:,} cells cannot be ranked "
            f"({first_line(error)}); set `top_genes_on: all`, if it is not, or name the `genes` to keep"
        ) from error
    return scores["highly_variable"].to_numpy()
