"""Whether a published file holds what the table of sources says, so that a wrong row is noticed at once."""

from pathlib import Path

import h5py
import pandas as pd
from anndata.io import read_elem

from svae.datasets.sources import Source
from svae.errors import BenchmarkError, sentence, unknown


def check_content(source: Source, path: str | Path) -> None:
    """Raise a :class:`BenchmarkError` if the h5ad file at `path` does not hold what `source` says."""
    if not source.content:
        return
    try:
        with h5py.File(path, "r", locking=False) as file:
            obs, var = read_elem(file["obs"]), read_elem(file["var"])
    except (OSError, KeyError) as error:
        raise BenchmarkError(f"{source.file}: not a readable h5ad file ({sentence(error)})") from error
    check_tables(source, obs, var)


def check_tables(source: Source, obs: pd.DataFrame, var: pd.DataFrame) -> None:
    """Raise a :class:`BenchmarkError` if these tables of cells and genes are not those of `source`."""
    for what, expected in source.content.items():
        found = _number_of(what, obs, var, source.file)
        if found != expected:
            raise BenchmarkError(
                f"{source.file}: {what} is {found:,} in the file, but {expected:,} in the table of sources"
            )


def _number_of(what: str, obs: pd.DataFrame, var: pd.DataFrame, where: str) -> int:
    """Count what the name `what` stands for (:class:`~svae.datasets.sources.Source`)."""
    if what in ("cells", "genes"):
        return len(obs if what == "cells" else var)
    column, colon, label = what.partition(":")
    if column not in obs:
        raise unknown("column of obs", column, obs.columns, where)
    return int((obs[column].astype(str) == label).sum()) if colon else obs[column].nunique()
