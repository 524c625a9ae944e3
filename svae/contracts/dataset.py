"""What a dataset file is, checked whenever one is read or written."""

from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import read_elem
from scipy import sparse

from svae.contracts.values import array_of_numbers, refuse_repeated
from svae.errors import BenchmarkError
from svae.files import read_anndata, read_element, write_anndata

LARGEST_COUNT = 2**31 - 1
"""Counts are stored as signed integers of 32 bits."""

LEFT_OUT_COLUMNS = ("what", "number", "reason", "examples")
"""What ``uns["dataset"]["left_out"]`` says of what a preparation left out."""


def read_dataset(path: str | Path) -> ad.AnnData:
    """Read a dataset: raw counts in ``X`` (CSR), one label per cell in ``obs["perturbation"]``."""
    adata = read_anndata(path)
    validate_dataset(adata, path)
    return adata


def read_without_counts(path: str | Path) -> ad.AnnData:
    """Read what a dataset says of its cells, genes and origin: ``obs``, ``var`` and ``uns``, unchecked."""
    obs, var, uns = (read_element(path, key) for key in ("obs", "var", "uns"))
    return ad.AnnData(obs=obs, var=var, uns=uns)


def read_left_out(path: str | Path) -> pd.DataFrame:
    """Read what the preparation of a dataset left out: :data:`LEFT_OUT_COLUMNS`, without a row if nothing.

    Nothing else of the file is read. A file of other people may hold anything under that name: what is no
    such table says nothing.
    """
    place = "uns/dataset/left_out"
    with h5py.File(path) as file:
        table = read_elem(file[place]) if place in file else None
    if not isinstance(table, pd.DataFrame) or list(table) != list(LEFT_OUT_COLUMNS):
        return pd.DataFrame(columns=list(LEFT_OUT_COLUMNS))
    return table.reset_index(drop=True)


def write_dataset(adata: ad.AnnData, path: str | Path) -> None:
    """Validate `adata` and write it to `path` in one piece."""
    validate_dataset(adata, path)
    write_anndata(adata, path)


def validate_dataset(adata: ad.AnnData, path: str | Path) -> None:
    """Raise a :class:`BenchmarkError` that names `path` and the first broken rule of the contract."""
    if adata.X is None:
        raise BenchmarkError(f"{path}: X is missing; a dataset needs raw counts there")
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise BenchmarkError(f"{path}: the dataset is empty ({adata.n_obs} cells × {adata.n_vars} genes)")
    for names, kind in ((adata.obs_names, "cell name"), (adata.var_names, "gene name")):
        refuse_repeated(names, kind, str(path))
    validate_counts(adata.X, adata.obs_names, path)
    if not (sparse.issparse(adata.X) and adata.X.format == "csr"):
        raise BenchmarkError(f"{path}: X is not stored as a sparse matrix by rows (CSR)")
    if "perturbation" not in adata.obs:
        columns = ", ".join(map(str, adata.obs.columns)) or "none"
        raise BenchmarkError(f"{path}: obs['perturbation'] is missing (columns: {columns})")
    validate_labels(adata.obs["perturbation"], path)
    for column in ("batch", "guide", "target"):
        if column in adata.obs:
            validate_labels(adata.obs[column], path)


def validate_labels(labels: pd.Series, path: str | Path) -> None:
    """Check a column of ``obs``: one label per cell, which is a text and not empty; categorical."""
    place = f"{path}: obs['{labels.name}']"
    if labels.isna().any():
        raise BenchmarkError(f"{place} has cells without a label ({labels.isna().sum()} of {len(labels)})")
    if not isinstance(labels.dtype, pd.CategoricalDtype):
        raise BenchmarkError(f"{place} is not categorical")
    for label in labels.cat.categories:
        if not isinstance(label, str) or not label.strip():
            raise BenchmarkError(f"{place} has the label {label!r}; a label is a text that is not empty")
        if not label.isprintable():
            raise BenchmarkError(
                f"{place} has the label {label!r}; a label is one line of printable characters"
            )


def validate_counts(X: Any, cells: pd.Index, path: str | Path) -> None:
    """Check that `X` holds counts and no empty cell.

    Parameters
    ----------
    X
        Cells × genes; an array, or a sparse matrix or array of any format.
    cells
        Names of the cells.
    path
        Where `X` stands, for error messages.

    Raises
    ------
    BenchmarkError
        As :func:`validate_values`, and if a cell has no counts.
    """
    validate_values(X, path)
    empty = np.flatnonzero(_is_empty(X))
    if len(empty):
        raise BenchmarkError(f"{path}: cell '{cells[empty[0]]}' has no counts ({len(empty)} such cells)")


def validate_values(X: Any, path: str | Path) -> None:
    """Check that `X`, dense or sparse, holds counts.

    Raises
    ------
    BenchmarkError
        If a value is no number, missing, negative, a fraction or above :data:`LARGEST_COUNT`.
    """
    values = array_of_numbers(X.data if sparse.issparse(X) else X, f"{path}: X")
    may_be_fractions = values.dtype.kind == "f"
    if may_be_fractions and not np.isfinite(values).all():
        raise BenchmarkError(f"{path}: X holds NaN or infinite values; counts are needed")
    if values.min(initial=0) < 0:
        raise BenchmarkError(f"{path}: X holds negative values; counts are needed")
    if may_be_fractions and (values != np.floor(values)).any():
        raise BenchmarkError(f"{path}: X holds fractions; raw counts are needed (are they in a layer?)")
    if values.max(initial=0) > LARGEST_COUNT:
        raise BenchmarkError(f"{path}: X holds {values.max():g}, more than {LARGEST_COUNT:,}")


def _is_empty(X: Any) -> np.ndarray:
    """Say which rows hold zeros alone. Sums would need memory for all values once more, at 64 bits."""
    if sparse.issparse(X) and X.format == "csr" and X.data.all():
        return np.diff(X.indptr) == 0
    return np.asarray(X.sum(axis=1)).ravel() == 0
