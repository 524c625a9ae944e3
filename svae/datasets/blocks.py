"""Counts on disk, read in blocks of cells."""

from collections.abc import Iterator
from typing import Any

import anndata as ad
import h5py
import numpy as np
from scipy import sparse

from svae.contracts.dataset import validate_values
from svae.contracts.values import array_of_numbers
from svae.errors import BenchmarkError, first_line

ROWS_AT_ONCE = 4096
"""Cells read in one piece: 130 MB of the widest dense file, and few enough seeks in a sparse one."""


def open_matrix(stored: h5py.Group | h5py.Dataset) -> Any:
    """Return a matrix that can be sliced by rows: on disk, or in memory if it is stored by columns."""
    if isinstance(stored, h5py.Dataset):
        return stored
    matrix = ad.io.sparse_dataset(stored)
    # A matrix stored by columns would be read as a whole for every block of rows.
    return matrix if matrix.format == "csr" else matrix.to_memory().tocsr()


def blocks_of_counts(
    matrix: Any, cells: np.ndarray, genes: np.ndarray, where: str
) -> Iterator[sparse.csr_matrix]:
    """Yield the counts of some cells and genes, one block of cells after the other.

    Parameters
    ----------
    matrix
        What :func:`open_matrix` returns.
    cells, genes
        One boolean per row, or column, of the matrix.
    where
        Name of the matrix, for error messages.

    Yields
    ------
    Chosen cells × chosen genes, int32, without stored zeros. Whole cells are validated, whatever genes are
    chosen.

    Raises
    ------
    BenchmarkError
        If the matrix is damaged, or holds something other than counts.
    """
    for start in range(0, len(cells), ROWS_AT_ONCE):
        rows = np.flatnonzero(cells[start : start + ROWS_AT_ONCE])
        if len(rows) == 0:
            continue
        block = _read_rows(matrix, slice(start, start + ROWS_AT_ONCE), where)[rows]
        validate_values(block, where)
        counts = sparse.csr_matrix(block[:, genes]).astype(np.int32)
        counts.eliminate_zeros()
        counts.sort_indices()
        yield counts


def stack(blocks: Iterator[sparse.csr_matrix]) -> sparse.csr_matrix:
    """Stack blocks of rows. Each is given up once it is copied, so that little is in memory twice."""
    parts = list(blocks)
    shape = (sum(part.shape[0] for part in parts), parts[0].shape[1])
    stored = sum(part.nnz for part in parts)
    kind = np.int32 if stored <= np.iinfo(np.int32).max else np.int64
    data, indices = np.empty(stored, np.int32), np.empty(stored, kind)
    indptr = np.zeros(shape[0] + 1, kind)
    row = 0
    parts.reverse()
    while parts:
        part = parts.pop()
        first, last = indptr[row], indptr[row] + part.nnz
        data[first:last], indices[first:last] = part.data, part.indices
        indptr[row + 1 : row + 1 + part.shape[0]] = first + part.indptr[1:]
        row += part.shape[0]
    return sparse.csr_matrix((data, indices, indptr), shape=shape)


def without_empty_rows(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Leave out rows without counts, of a matrix that stores no zeros; the counts are not copied."""
    filled = np.diff(counts.indptr) > 0
    indptr = counts.indptr[np.append(True, filled)]
    return sparse.csr_matrix((counts.data, counts.indices, indptr), shape=(filled.sum(), counts.shape[1]))


def _read_rows(matrix: Any, rows: slice, where: str) -> Any:
    """Read some rows of a matrix; raise if it holds no numbers, or its indices lie outside of it."""
    try:
        block = matrix[rows]
        if sparse.issparse(block):
            block.check_format(full_check=True)
    except (ValueError, IndexError, TypeError) as error:
        raise BenchmarkError(f"{where}: X is a damaged matrix ({first_line(error)})") from error
    array_of_numbers(block.data if sparse.issparse(block) else block, f"{where}: X")
    return block
