"""An h5ad file as somebody published it; its counts stay on disk until cells and genes are chosen."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from svae.contracts.dataset import validate_counts
from svae.contracts.values import array_of_numbers
from svae.errors import BenchmarkError, unknown

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 4096
"""Cells read in one piece: 130 MB of the widest dense file, and few enough seeks in a sparse one."""


@dataclass(frozen=True)
class PublishedFile:
    """An open h5ad file; each error names the file, in one sentence."""

    path: Path
    content: ad.AnnData

    @classmethod
    @contextmanager
    def open(cls, path: str | Path) -> Iterator["PublishedFile"]:
        """Open the file at `path`; a :class:`BenchmarkError` tells of damage found now or while reading."""
        path = Path(path)
        if path.is_dir():
            raise BenchmarkError(f"{path}: a folder, or a zarr store; an h5ad file is needed")
        if not path.is_file():
            raise BenchmarkError(f"{path}: no such file")
        try:
            content = ad.read_h5ad(path, backed="r")
        except Exception as error:
            raise BenchmarkError(f"{path}: not a readable h5ad file ({first_line(error)})") from error
        try:
            yield cls(path, content)
        except (OSError, KeyError) as error:
            raise BenchmarkError(f"{path}: damaged h5ad file ({first_line(error)})") from error
        finally:
            content.file.close()

    def column(self, name: str) -> pd.Series:
        """Return a column of ``obs``."""
        if name not in self.content.obs:
            raise unknown("column of obs", name, self.content.obs.columns, str(self.path))
        return self.content.obs[name]

    def refuse_repeated(self, names: pd.Index, kind: str) -> None:
        """Raise if one of the `names` of cells or genes (`kind`) occurs more than once."""
        if names.has_duplicates:
            repeated = names[names.duplicated()][0]
            raise BenchmarkError(f"{self.path}: {kind} name '{repeated}' occurs more than once")

    def present(
        self, wanted: Sequence[str], existing: Iterable[str], kind: str, some_will_do: bool
    ) -> list[str]:
        """Return the `wanted` names that exist.

        Parameters
        ----------
        wanted, existing
            Names.
        kind
            What they are names of, for messages.
        some_will_do
            Whether names may be absent: lists of a whole study name more than one file holds.

        Raises
        ------
        BenchmarkError
            If all names are absent, or one that has to be there.
        """
        known = set(existing)
        present = [name for name in wanted if name in known]
        absent = [name for name in wanted if name not in known]
        if absent and not (present and some_will_do):
            raise unknown(kind, absent[0], known, str(self.path))
        self.tell_left_out(absent, f"{kind} names that are not in the file")
        return present

    def tell_left_out(self, left_out: int | Sequence[str], what: str) -> None:
        """Log how many cells, genes or perturbations are left out, with the first few names if there are."""
        number = left_out if isinstance(left_out, int) else len(left_out)
        if number == 0:
            return
        names = [] if isinstance(left_out, int) else left_out
        shown = f" ({', '.join(names[:5])}{', …' if len(names) > 5 else ''})" if names else ""
        logger.info("%s: left out %s %s%s", self.path.name, f"{number:,}", what, shown)

    def counts(self, cells: np.ndarray, genes: np.ndarray, layer: str | None) -> sparse.csr_matrix:
        """Read the counts of some cells and genes, in blocks of cells.

        Parameters
        ----------
        cells, genes
            One boolean per cell, or gene, of the file.
        layer
            Layer that holds the counts; None for ``X``.

        Returns
        -------
        Chosen cells × chosen genes, int32. Whole cells are validated, whatever genes are chosen.
        """
        where = str(self.path) if layer is None else f"{self.path}, layer '{layer}'"
        matrix = self._matrix(layer)
        rows_and_columns = (len(cells), len(genes))
        if tuple(matrix.shape) != rows_and_columns:
            raise BenchmarkError(
                f"{where}: X has shape {tuple(matrix.shape)}, but cells and genes have {rows_and_columns}"
            )
        blocks = []
        for start in range(0, len(cells), ROWS_AT_ONCE):
            rows = np.flatnonzero(cells[start : start + ROWS_AT_ONCE])
            if len(rows) == 0:
                continue
            block = _read_rows(matrix, slice(start, start + ROWS_AT_ONCE), where)[rows]
            validate_counts(block, self.content.obs_names[start + rows], where)
            blocks.append(block[:, genes].astype(np.int32))
        counts = sparse.vstack(blocks, format="csr")
        counts.eliminate_zeros()
        counts.sort_indices()
        return counts

    def _matrix(self, layer: str | None) -> Any:
        """Return what holds the counts, on disk or in memory, sliceable by rows."""
        layers = self.content.layers
        if layer is not None and layer not in layers:
            raise unknown("layer", layer, layers, str(self.path))
        try:
            matrix = self.content.X if layer is None else layers[layer]
        except KeyError as error:
            raise unknown("matrix", "X", [f"layers/{name}" for name in layers], str(self.path)) from error
        if getattr(matrix, "format", "csr") == "csr":
            return matrix
        # A matrix stored by columns would be read as a whole for every block of rows.
        return (matrix.to_memory() if hasattr(matrix, "to_memory") else matrix).tocsr()


def _read_rows(matrix: Any, rows: slice, where: str) -> sparse.csr_matrix:
    """Read some rows of a matrix; raise if it holds no numbers, or its indices lie outside of it."""
    try:
        block = matrix[rows]
        if sparse.issparse(block):
            block.check_format(full_check=True)
    except (ValueError, IndexError, TypeError) as error:
        raise BenchmarkError(f"{where}: X is a damaged matrix ({first_line(error)})") from error
    array_of_numbers(block.data if sparse.issparse(block) else block, f"{where}: X")
    return sparse.csr_matrix(block)


def first_line(error: Exception) -> str:
    """Return the first line of what an error says, or its type where it says nothing."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
