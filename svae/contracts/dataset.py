"""What a dataset file is, checked whenever one is read or written."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from svae.errors import BenchmarkError
from svae.files import read_anndata, write_anndata


def read_dataset(path: str | Path) -> ad.AnnData:
    """Read a dataset: raw counts in ``X`` (CSR), one label per cell in ``obs["perturbation"]``."""
    adata = read_anndata(path)
    validate_dataset(adata, path)
    return adata


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
    for names, kind in ((adata.obs_names, "cell"), (adata.var_names, "gene")):
        duplicated = names[names.duplicated()]
        if len(duplicated):
            raise BenchmarkError(f"{path}: {kind} name '{duplicated[0]}' occurs more than once")
    validate_counts(adata.X, adata.obs_names, path)
    if "perturbation" not in adata.obs:
        columns = ", ".join(map(str, adata.obs.columns)) or "none"
        raise BenchmarkError(f"{path}: obs['perturbation'] is missing (columns: {columns})")
    if adata.obs["perturbation"].isna().any():
        raise BenchmarkError(f"{path}: obs['perturbation'] has cells without a label")
    if not isinstance(adata.obs["perturbation"].dtype, pd.CategoricalDtype):
        raise BenchmarkError(f"{path}: obs['perturbation'] is not categorical")


def validate_counts(X: np.ndarray | sparse.spmatrix, cells: pd.Index, path: str | Path) -> None:
    """Check that `X` (cells × genes) holds non-negative integers and no empty cell."""
    values = np.asarray(X.data if sparse.issparse(X) else X)
    if not np.isfinite(values).all():
        raise BenchmarkError(f"{path}: X holds NaN or infinite values; counts are needed")
    if (values < 0).any():
        raise BenchmarkError(f"{path}: X holds negative values; counts are needed")
    if not np.issubdtype(values.dtype, np.integer) and (values != np.floor(values)).any():
        raise BenchmarkError(f"{path}: X holds fractions; raw counts are needed (are they in a layer?)")
    empty = np.flatnonzero(np.asarray(X.sum(axis=1)).ravel() == 0)
    if len(empty):
        raise BenchmarkError(f"{path}: cell '{cells[empty[0]]}' has no counts ({len(empty)} such cells)")
