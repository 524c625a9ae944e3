"""Expression: counts on a scale on which cells, and groups of cells, can be compared."""

from typing import Any, TypeVar

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

TARGET_SUM = 10_000
"""Counts of a profile before its logarithm: each gene has its share of so many."""

COUNT_STATISTICS = ("mean", "variance", "zeros")
"""Of the counts of a gene in a group of cells; zeros are the share of cells without any."""

Sums = TypeVar("Sums", np.ndarray, pd.DataFrame)


def log_normalised(dataset: ad.AnnData, library: float) -> np.ndarray:
    """Scale the counts of every cell to the same library, and take log(1 + x).

    Parameters
    ----------
    dataset
        Raw counts in ``X``, cells × genes; every cell has at least one.
    library
        Counts of a cell after scaling.

    Returns
    -------
    Cells × genes, float32, natural logarithm.
    """
    return sparse_log_normalised(dataset, library).toarray()


def sparse_log_normalised(dataset: ad.AnnData, library: float) -> sparse.csr_matrix:
    """Do as :func:`log_normalised`, whose parameters these are, and keep zeros out of memory."""
    # This gives the numbers of scanpy's `normalize_total` and `log1p`. It does not call them, because scanpy
    # brings along numba, matplotlib and much else, and all that is needed of it is one division.
    expression = sparse.csr_matrix(dataset.X, dtype=np.float32, copy=True)
    scale = np.asarray(expression.sum(axis=1)).ravel() / np.float32(library)
    expression.data /= np.repeat(scale, np.diff(expression.indptr))
    np.log1p(expression.data, out=expression.data)
    return expression


def pseudobulk(dataset: ad.AnnData, labels: pd.Series) -> pd.DataFrame:
    """Sum the counts of the cells of each group.

    Parameters
    ----------
    dataset
        Raw counts in ``X``, cells × genes.
    labels
        Group of each cell that counts, indexed by cell; all are cells of the dataset.

    Returns
    -------
    Group × gene, groups in the order of their names.
    """
    membership, names = memberships(labels)
    counts = sparse.csr_matrix(dataset.X[dataset.obs_names.get_indexer(labels.index)], dtype=float)
    return pd.DataFrame((membership @ counts).toarray(), names, dataset.var_names)


def profiles_of(dataset: ad.AnnData, labels: pd.Series) -> pd.DataFrame:
    """Return the :func:`profile` of each group, group × gene; parameters are those of :func:`pseudobulk`."""
    return profile(pseudobulk(dataset, labels))


def memberships(labels: pd.Series) -> tuple[sparse.csr_matrix, pd.Index]:
    """Say which cells belong to which group.

    Parameters
    ----------
    labels
        Group of each cell.

    Returns
    -------
    Groups × cells, 1 where the cell belongs to the group, so that a product with it sums over cells; and the
    names of the groups, sorted.
    """
    codes, names = pd.factorize(labels.astype(str), sort=True)
    cells = np.arange(len(codes))
    return sparse.csr_matrix((np.ones(len(codes)), (codes, cells)), (len(names), len(codes))), pd.Index(names)


def profile(sums: Sums) -> Sums:
    """Turn pseudobulk sums into profiles, log1p(:data:`TARGET_SUM` · share of the gene in all counts).

    Parameters
    ----------
    sums
        Counts, or expected counts on any scale, groups × genes; every group has some.

    Returns
    -------
    Groups × genes, natural logarithm.
    """
    totals = np.asarray(sums).sum(axis=1, keepdims=True)
    return np.log1p(TARGET_SUM * (sums / totals))


def count_statistics(counts: Any, labels: pd.Series, genes: pd.Index) -> dict[str, pd.DataFrame]:
    """Summarise the counts of each gene in each group of cells.

    Parameters
    ----------
    counts
        Cells × genes.
    labels
        Group of each cell.
    genes
        Names of the genes.

    Returns
    -------
    Group (sorted by name) × gene, for each of :data:`COUNT_STATISTICS`. The variance is that of the cells at
    hand, without a correction for their number.
    """
    membership, names = memberships(labels)
    counts = sparse.csr_matrix(counts, dtype=float)
    n = np.asarray(membership.sum(axis=1)).reshape(-1, 1)
    mean = (membership @ counts).toarray() / n
    values = {
        "mean": mean,
        "variance": np.maximum((membership @ counts.power(2)).toarray() / n - mean**2, 0),
        "zeros": 1 - (membership @ (counts > 0).astype(float)).toarray() / n,
    }
    return {name: pd.DataFrame(values[name], names, genes) for name in COUNT_STATISTICS}
