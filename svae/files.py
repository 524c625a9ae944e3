"""Files that are either whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from svae.errors import BenchmarkError, sentence

if TYPE_CHECKING:
    import anndata as ad


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, delete it on failure."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffixes stay last, because writers choose a format (and compression) by them.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_anndata(path: str | Path) -> ad.AnnData:
    """Read an h5ad file; a missing, truncated or wrong-kind file is one sentence, not a traceback."""
    import anndata as ad  # here, because it takes a second that readers of tables need not pay

    refuse_no_file(path)
    try:
        return ad.read_h5ad(path)
    except Exception as error:
        raise BenchmarkError(f"{path}: not a readable h5ad file ({sentence(error)})") from error


def read_element(path: str | Path, key: str) -> Any:
    """Read one element of an h5ad file, such as ``uns/run``, and nothing else of it."""
    import h5py
    from anndata.io import read_elem

    try:
        with h5py.File(path) as file:
            return read_elem(file[key])
    except Exception as error:
        raise BenchmarkError(f"{path}: {key} cannot be read ({sentence(error)})") from error


def refuse_no_file(path: str | Path) -> None:
    """Raise if there is no file at `path`, or something that is none."""
    if Path(path).is_dir():
        raise BenchmarkError(f"{path}: this is a folder, not a file")
    if not Path(path).is_file():
        raise BenchmarkError(f"{path}: {'this is no ordinary' if Path(path).exists() else 'no such'} file")


def write_anndata(adata: ad.AnnData, path: str | Path) -> None:
    """Write an h5ad file in one piece, compressed."""
    with replacing(path) as temporary:
        adata.write_h5ad(temporary, compression="gzip")


def read_table(path: str | Path, **kwargs) -> pd.DataFrame:
    """Read a tab-separated table, gzipped or not; a file that is none is one sentence, not a traceback."""
    refuse_no_file(path)
    try:
        return pd.read_csv(path, sep="\t", **kwargs)
    except (ValueError, OSError, EOFError, zlib.error) as error:  # no table, no text, no gzip
        raise BenchmarkError(f"{path}: not a readable table ({sentence(error)})") from error


def write_table(table: pd.DataFrame, path: str | Path) -> None:
    """Write a tab-separated table in one piece, gzipped if its name says so.

    The gzip header holds neither time nor file name, so that equal tables are equal files.
    """
    text = table.to_csv(sep="\t", index=False).encode()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(text, mtime=0) if str(path).endswith(".gz") else text)


def checksum(path: str | Path, algorithm: str = "sha256") -> str:
    """Hex digest of a file, read in blocks."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, algorithm).hexdigest()
