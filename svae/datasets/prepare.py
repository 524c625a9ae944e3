"""From any published h5ad file to a dataset: a label per cell, raw counts, the cells and genes asked for."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from anndata.utils import make_index_unique

from svae.contracts.dataset import validate_dataset
from svae.datasets.cells import choose_cells
from svae.datasets.gene_lists import read_gene_lists
from svae.datasets.genes import choose_genes, how_chosen, keep_most_variable, read_gene_names
from svae.datasets.labels import MISSING, read_labels, refuse_unclear_labels
from svae.datasets.preparation import Preparation
from svae.datasets.published import PublishedFile
from svae.errors import BenchmarkError
from svae.files import checksum


def prepare(path: str | Path, preparation: Preparation, seed: int = 0, name: str | None = None) -> ad.AnnData:
    """Make a dataset of the h5ad file at `path`.

    The file is read in blocks of cells, so it may be larger than the memory. What is left out is logged.

    Parameters
    ----------
    path
        Any h5ad file with raw counts.
    preparation
        Which columns hold what, and which cells and genes to keep.
    seed
        Of the draw of cells, if the preparation limits their number.
    name
        Stored in ``uns["dataset"]``, beside the file's name and sha256, citation, licence, how the genes
        were chosen, and the name of the batch column; by default the file's name.

    Returns
    -------
    Cells × genes in the file's order, int32 CSR; a valid dataset
    (:func:`svae.contracts.dataset.validate_dataset`).

    Raises
    ------
    BenchmarkError
        If the file is not a readable h5ad, lacks what the preparation names, or does not hold counts.
    """
    path = Path(path)
    if preparation.gene_lists is not None:
        preparation = preparation.model_copy(update=read_gene_lists(preparation.gene_lists))
    with PublishedFile.open(path) as file:
        dataset = _read(file, preparation, seed)
        n_genes = dataset.n_vars
        if preparation.top_genes is not None and preparation.top_genes < n_genes:
            dataset = keep_most_variable(dataset, preparation.top_genes, str(path))
        dataset = _without_empty_cells(file, dataset)
    dataset.uns["dataset"] = {
        "name": name or path.stem,
        "batch": preparation.batch or "",
        "source": path.name,
        "citation": preparation.citation,
        "licence": preparation.licence,
        "sha256": checksum(path),
        "genes": how_chosen(preparation, n_genes),
    }
    validate_dataset(dataset, path)
    return dataset


def _read(file: PublishedFile, preparation: Preparation, seed: int) -> ad.AnnData:
    """Read the chosen cells and genes, with their names, labels and batches."""
    content = file.content
    file.refuse_repeated(content.obs_names, "cell")
    if preparation.gene_column is None:
        file.refuse_repeated(content.var_names, "gene")
    labels = read_labels(file, preparation)
    cells = choose_cells(file, labels, preparation, seed)
    refuse_unclear_labels(file, preparation, cells)
    names = read_gene_names(file, preparation.gene_column)
    genes = choose_genes(file, names, preparation)

    obs = pd.DataFrame(
        {"perturbation": pd.Categorical(labels[cells])}, index=content.obs_names[cells].astype(str)
    )
    if preparation.batch is not None:
        batches = file.column(preparation.batch)[cells]
        if (batches.isna() | batches.astype(str).isin(MISSING)).any():
            raise BenchmarkError(f"{file.path}: obs['{preparation.batch}'] has cells without a batch")
        obs["batch"] = pd.Categorical(batches.astype(str))
    var = pd.DataFrame(index=pd.Index(make_index_unique(names)[genes]))
    if preparation.gene_column is not None:
        var["gene_id"] = content.var_names[genes]
    return ad.AnnData(X=file.counts(cells, genes, preparation.layer), obs=obs, var=var)


def _without_empty_cells(file: PublishedFile, dataset: ad.AnnData) -> ad.AnnData:
    """Leave out cells that have no counts in the chosen genes."""
    empty = np.asarray(dataset.X.sum(axis=1)).ravel() == 0
    if not empty.any():
        return dataset
    file.tell_left_out(int(empty.sum()), "cells without counts in the chosen genes")
    dataset = dataset[~empty].copy()
    dataset.obs["perturbation"] = dataset.obs["perturbation"].cat.remove_unused_categories()
    return dataset
