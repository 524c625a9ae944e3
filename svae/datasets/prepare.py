"""From any published h5ad file to a dataset: a label per cell, raw counts, the cells and genes asked for."""

import logging
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from anndata.utils import make_index_unique

from svae.contracts.dataset import read_left_out, validate_dataset
from svae.datasets.blocks import without_empty_rows
from svae.datasets.cells import choose_cells
from svae.datasets.each_guide import label_by_guide
from svae.datasets.gene_lists import read_gene_lists
from svae.datasets.genes import choose_genes, names_the_index, read_gene_names
from svae.datasets.labels import MISSING, read_guides, read_labels, refuse_unclear_labels
from svae.datasets.preparation import Preparation, listed
from svae.datasets.published import PublishedFile
from svae.files import checksum

logger = logging.getLogger(__name__)


def prepare(path: str | Path, preparation: Preparation, seed: int = 0, name: str | None = None) -> ad.AnnData:
    """Make a dataset of the h5ad file at `path`.

    The file is read in blocks of cells, so it may be larger than the memory.

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
        were chosen, what was left out, and the name of the batch column; by default the file's name.

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
    with PublishedFile.open(path, preparation.layer) as file:
        dataset, genes = _read(file, preparation, seed)
        if preparation.each_guide:
            dataset = label_by_guide(dataset, seed, file.left_out, preparation.min_cells or 1)
        # A file whose cells were chosen while it was fetched says what was left out then.
        left_out = pd.concat([read_left_out(path), file.left_out.table()]).drop_duplicates()
        left_out = left_out.astype({"number": int})
    dataset.uns["dataset"] = {
        "name": name or path.stem,
        "batch": ", ".join(listed(preparation.batch)),
        "source": path.name,
        "citation": preparation.citation,
        "licence": preparation.licence,
        "sha256": checksum(path),
        "genes": genes,
        "left_out": left_out,
    }
    validate_dataset(dataset, path)
    return dataset


def _read(file: PublishedFile, preparation: Preparation, seed: int) -> tuple[ad.AnnData, str]:
    """Read the chosen cells and genes, and say how the genes were chosen."""
    file.refuse_repeated_cells()
    names = read_gene_names(file, preparation.gene_column)
    labels, guides = read_labels(file, preparation), read_guides(file, preparation)
    batch_columns = listed(preparation.batch)
    batches = file.texts(batch_columns, MISSING).astype(object) if batch_columns else None
    cells = choose_cells(file, labels, batches, preparation, seed)
    refuse_unclear_labels(file, preparation, cells)
    genes = choose_genes(file, names, cells, labels, preparation)

    counts = file.counts(cells, genes.kept)
    filled = counts.getnnz(axis=1) > 0
    file.left_out.add("cells", int((~filled).sum()), "without counts in the chosen genes")
    cells = np.flatnonzero(cells)[filled]
    obs = pd.DataFrame({"perturbation": pd.Categorical(labels.iloc[cells])}, index=file.obs.index[cells])
    if guides is not None:
        obs["guide"] = pd.Categorical(guides.where(guides.notna(), labels).iloc[cells])
    if batches is not None:
        obs["batch"] = pd.Categorical(batches.iloc[cells])
    var = pd.DataFrame(index=_told_apart(names, file.path.name)[genes.kept])
    if not names_the_index(file, preparation.gene_column):
        var["gene_id"] = file.var.index[genes.kept]
    return ad.AnnData(X=without_empty_rows(counts), obs=obs, var=var), genes.how


def _told_apart(names: pd.Index, file: str) -> pd.Index:
    """Return the names of genes; those that repeat an earlier one get a number."""
    repeated = int(names.duplicated().sum())
    if repeated:
        logger.info(
            "%s: %s genes repeat the name of another, and now end in -1, -2, …", file, f"{repeated:,}"
        )
    return make_index_unique(names)
