"""An h5ad file as somebody published it; its counts stay on disk until cells and genes are chosen."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy import sparse

from svae.datasets.blocks import blocks_of_counts, open_matrix, stack
from svae.datasets.left_out import LeftOut
from svae.datasets.preparation import JOINT_OF_COLUMNS
from svae.errors import BenchmarkError, first_line, unknown

RAW = "raw"
"""Name by which a preparation asks for the matrix in ``.raw``, where no layer is called so."""


@dataclass(frozen=True)
class PublishedTables:
    """What an h5ad file says of its cells and genes; each error names the file, in one sentence.

    Attributes
    ----------
    path
        The file.
    obs, var
        Its tables of cells, and of the genes that the counts are of.
    left_out
        What is left out of the file, as the preparation tells it.
    """

    path: Path
    obs: pd.DataFrame
    var: pd.DataFrame
    left_out: LeftOut

    def column(self, name: str) -> pd.Series:
        """Return a column of ``obs``."""
        if name not in self.obs:
            raise unknown("column of obs", name, self.obs.columns, str(self.path))
        return self.obs[name]

    def texts(self, columns: Sequence[str], missing: Collection[str] = ()) -> pd.Series:
        """Return columns of ``obs`` as one categorical column of texts, joined by ``:``.

        An entry is missing where a column has none, or only spaces, or one of the texts in `missing`.
        """
        first, *others = (_as_text(self.column(name), missing) for name in columns)
        for other in others:
            first = first + JOINT_OF_COLUMNS + other
        return first.astype("category")

    def place(self, columns: Sequence[str]) -> str:
        """Name the file and columns of ``obs``, for error messages."""
        return f"{self.path}: obs[{', '.join(repr(name) for name in columns)}]"

    def refuse_repeated_cells(self) -> None:
        """Raise if the name of a cell occurs more than once."""
        names = self.obs.index
        if names.has_duplicates:
            repeated = names[names.duplicated()][0]
            raise BenchmarkError(f"{self.path}: cell name '{repeated}' occurs more than once")

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
        self.left_out.add(f"{kind} names", len(absent), "that are not in the file", absent)
        return present


@dataclass(frozen=True)
class PublishedFile(PublishedTables):
    """An open h5ad file.

    Attributes
    ----------
    stored
        The counts, on disk.
    where
        Name of the file and of the matrix of counts, for error messages.
    """

    stored: h5py.Group | h5py.Dataset
    where: str

    @classmethod
    @contextmanager
    def open(cls, path: str | Path, layer: str | None = None) -> Iterator["PublishedFile"]:
        """Open the file at `path`; a :class:`BenchmarkError` tells of damage found now or while reading.

        Parameters
        ----------
        path
            An h5ad file.
        layer
            Layer that holds the counts, or ``raw`` for the matrix in ``.raw``; None for ``X``.
        """
        path = Path(path)
        if path.is_dir():
            raise BenchmarkError(f"{path}: a folder, or a zarr store; an h5ad file is needed")
        if not path.is_file():
            raise BenchmarkError(f"{path}: no such file")
        try:
            file = h5py.File(path)
        except Exception as error:
            raise BenchmarkError(f"{path}: not a readable h5ad file ({first_line(error)})") from error
        with file:
            try:
                matrix = _place_of_counts(file, layer, str(path))
                genes = f"{RAW}/var" if matrix.startswith(f"{RAW}/") else "var"
                where = str(path) if layer is None else f"{path}, layer '{layer}'"
                obs, var = (_read_table(file, name, str(path)) for name in ("obs", genes))
                yield cls(path, obs, var, LeftOut(path.name), file[matrix], where)
            except (OSError, KeyError) as error:
                raise BenchmarkError(f"{path}: damaged h5ad file ({first_line(error)})") from error

    @cached_property
    def _matrix(self) -> Any:
        """Return the counts, sliceable by rows."""
        matrix, expected = open_matrix(self.stored), (len(self.obs), len(self.var))
        if tuple(matrix.shape) != expected:
            raise BenchmarkError(
                f"{self.where}: X has shape {tuple(matrix.shape)}, but cells and genes have {expected}"
            )
        return matrix

    def counts(self, cells: np.ndarray, genes: np.ndarray) -> sparse.csr_matrix:
        """Read the counts of some cells and genes, in blocks of cells.

        Parameters
        ----------
        cells, genes
            One boolean per cell, or gene, of the file.

        Returns
        -------
        Chosen cells × chosen genes, int32. Whole cells are validated, whatever genes are chosen.
        """
        return stack(blocks_of_counts(self._matrix, cells, genes, self.where))

    def cells_per_gene(self, cells: np.ndarray) -> np.ndarray:
        """Count the chosen cells that have counts of each gene of the file."""
        every_gene = np.ones(len(self.var), dtype=bool)
        blocks = blocks_of_counts(self._matrix, cells, every_gene, self.where)
        return sum((block.getnnz(axis=0) for block in blocks), start=np.zeros(len(self.var), dtype=int))


def _place_of_counts(file: h5py.File, layer: str | None, where: str) -> str:
    """Return the path inside of the file of the matrix that holds the counts."""
    layers = list(file.get("layers", ()))
    raw = f"{RAW}/X"
    if layer is None:
        if "X" not in file:
            others = [f"layers/{name}" for name in layers] + ([raw] if raw in file else [])
            raise unknown("matrix", "X", others, where)
        return "X"
    if layer in layers:
        return f"layers/{layer}"
    if layer == RAW and raw in file:
        return raw
    raise unknown("layer", layer, layers + ([RAW] if raw in file else []), where)


def _read_table(file: h5py.File, name: str, where: str) -> pd.DataFrame:
    """Read a table of cells or genes, whose names are texts."""
    try:
        table = read_elem(file[name])
    except Exception as error:
        raise BenchmarkError(f"{where}: not a readable h5ad file ({first_line(error)})") from error
    if not isinstance(table, pd.DataFrame):
        raise BenchmarkError(
            f"{where}: {name} is no table of today's h5ad format; read and write the file with anndata 0.8"
        )
    return table.set_axis(table.index.astype(str).rename(table.index.name))


def _as_text(column: pd.Series, missing: Collection[str]) -> pd.Series:
    """Return the entries of a column as texts; blank ones, and those in `missing`, are missing."""
    entries = column.astype("category")
    texts = {
        entry: None if not str(entry).strip() or str(entry) in missing else str(entry)
        for entry in entries.cat.categories
    }
    return entries.astype(object).map(texts)
