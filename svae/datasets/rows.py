"""The cells that a dataset keeps, out of a published file that is too large to be fetched as a whole.

The matrix of such a file is dense and lies in one piece, as that of Replogle et al. (2022) does: 1,989,578
cells by 8,248 genes, 66 GB. The counts of a cell are then a range of bytes, and a server sends it alone.
"""

import hashlib
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
from anndata.io import read_elem, write_elem
from fsspec.spec import AbstractBufferedFile
from tqdm import tqdm

from svae.contracts.dataset import validate_values
from svae.datasets.addresses import CONNECTIONS, PATIENCE, Address, AddressError, Patience, open_address
from svae.datasets.cells import choose_cells
from svae.datasets.content import check_tables
from svae.datasets.download import SECONDS_BETWEEN_LINES, download
from svae.datasets.gene_lists import read_gene_lists
from svae.datasets.labels import read_labels
from svae.datasets.left_out import LeftOut
from svae.datasets.part import Part, part_of
from svae.datasets.preparation import Preparation
from svae.datasets.published import PublishedTables
from svae.datasets.sources import Source
from svae.errors import BenchmarkError, sentence

logger = logging.getLogger(__name__)

ROWS_PER_BLOCK = 256
"""Cells that are fetched, checked and noted together: 8 MB of the widest file."""
BYTES_OF_TABLES_AT_ONCE = 1 << 17
"""Tables of cells and genes are scattered over a file; so much of it is asked for at once."""


def fetch_rows(
    source: Source,
    preparation: Preparation,
    path: str | Path,
    instead: Source | None = None,
    patience: Patience = PATIENCE,
) -> None:
    """Write the cells of `source` that `preparation` keeps to an h5ad file, with all genes.

    Preparing that file gives what preparing the published one would give. Blocks of cells that came before a
    process was killed are kept in ``<path>.part`` and not asked for again.

    Parameters
    ----------
    source
        A published file. Its addresses are tried in their order.
    preparation
        Which cells to keep; draws of cells are left to :func:`svae.datasets.prepare.prepare`.
    path
        Where the file shall be.
    instead
        What to download as a whole if no address serves rows.
    patience
        How long to try each address.

    Raises
    ------
    BenchmarkError
        If the cells cannot be had, the disk has no room for them, or they do not hold counts.
    """
    if preparation.gene_lists is not None:
        preparation = preparation.model_copy(update=read_gene_lists(preparation.gene_lists))
    troubles = []
    for url in source.urls:
        try:
            with part_of(path) as part:
                _fetch(open_address(url, source.bytes, patience), source, preparation, part)
                part.finish()
                return
        except AddressError as trouble:
            logger.warning("%s", trouble)
            troubles.append(str(trouble))
    if instead is None:
        raise BenchmarkError(f"cells of {source.file} cannot be fetched: {'; '.join(troubles)}")
    logger.warning(
        "%s: cells cannot be fetched alone; %s is downloaded as a whole", source.file, instead.name
    )
    download(instead, path, patience)


class _RemoteFile(AbstractBufferedFile):
    """A file at an address, for libraries that read files."""

    def __init__(self, address: Address, size: int):
        self.address = address
        super().__init__(
            fs=None,
            path=address.url,
            block_size=BYTES_OF_TABLES_AT_ONCE,
            cache_type="blockcache",
            size=size,
        )

    def _fetch_range(self, start: int, end: int) -> bytes:
        return self.address.read(start, min(end, self.size))


@dataclass(frozen=True)
class _Layout:
    """Where the counts of a file are: a matrix of some type in one piece, from the byte `offset` on."""

    offset: int
    width: int
    dtype: np.dtype

    @classmethod
    def of(cls, matrix: h5py.Dataset | h5py.Group, where: str) -> "_Layout":
        """Return the layout of a matrix; raise if it does not lie in one piece."""
        in_one_piece = isinstance(matrix, h5py.Dataset) and matrix.chunks is None and matrix.ndim == 2
        offset = matrix.id.get_offset() if in_one_piece else None
        if offset is None:
            raise AddressError(
                f"{where}: X is sparse, or stored in chunks; cells cannot be fetched one by one"
            )
        return cls(offset, matrix.shape[1], matrix.dtype)

    @property
    def bytes_of_row(self) -> int:
        return self.width * self.dtype.itemsize

    def place(self, row: int) -> int:
        """First byte of a row."""
        return self.offset + int(row) * self.bytes_of_row


def _fetch(address: Address, source: Source, preparation: Preparation, part: Part) -> None:
    """Make the part whole from one address."""
    try:
        with h5py.File(_RemoteFile(address, source.bytes), "r") as file:
            obs, var = read_elem(file["obs"]), read_elem(file["var"])
            layout = _Layout.of(file["X"], address.url)
    except (OSError, KeyError) as error:
        raise AddressError(f"{address.url}: not a readable h5ad file ({sentence(error)})") from error
    check_tables(source, obs, var)
    tables = PublishedTables(Path(source.file), obs, var, LeftOut(source.file))
    rows = np.flatnonzero(_kept(tables, preparation))
    size = len(rows) * layout.bytes_of_row
    logger.info(
        "%s: %s of %s cells are kept; %s of %s MB are fetched",
        source.file,
        *(f"{number:,}" for number in (len(rows), len(obs), size // 10**6, source.bytes // 10**6)),
    )
    facts = {"url": address.url, "version": address.version, "bytes": source.bytes}
    facts["rows"] = _digest(rows.tobytes())
    if any(part.note.get(key) != value for key, value in facts.items()):
        part.refuse_full_disk(size, source.file)
        _write_without_counts(part.path, tables, rows, layout)
        part.write_note({**facts, "blocks": []})
    with h5py.File(part.path, "r", locking=False) as file:
        mine = _Layout.of(file["X"], str(part.path))
    _fill(part, address, layout, mine, rows)


def _kept(tables: PublishedTables, preparation: Preparation) -> np.ndarray:
    """Which cells to fetch: draws, and cells without a batch, are left to the preparation of these."""
    of_all = preparation.model_copy(update={"max_cells": None, "max_control_cells": None})
    return choose_cells(tables, read_labels(tables, of_all), batches=None, preparation=of_all, seed=0)


def _write_without_counts(path: Path, tables: PublishedTables, rows: np.ndarray, layout: _Layout) -> None:
    """Write an h5ad file of some cells whose counts are still to be filled in, in the published layout."""
    uns = {"dataset": {"left_out": tables.left_out.table()}}
    cells = ad.AnnData(obs=tables.obs.iloc[rows], var=tables.var, uns=uns)
    in_one_piece = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    in_one_piece.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    in_one_piece.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w", locking=False) as file:  # the part has a lock already
        write_elem(file, "/", cells)
        counts = file.create_dataset("X", (len(rows), layout.width), layout.dtype, dcpl=in_one_piece)
        counts.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def _fill(part: Part, address: Address, layout: _Layout, mine: _Layout, rows: np.ndarray) -> None:
    """Fill in the counts, block by block, but for those blocks that are there and right."""
    note = part.note
    digests = note["blocks"]
    progress = tqdm(
        desc=part.target.name,
        total=len(rows) * layout.bytes_of_row,
        unit="B",
        unit_scale=True,
        mininterval=SECONDS_BETWEEN_LINES,
    )
    with ThreadPoolExecutor(CONNECTIONS) as pool, progress:
        for number, first in enumerate(range(0, len(rows), ROWS_PER_BLOCK)):
            block = rows[first : first + ROWS_PER_BLOCK]
            place, size = mine.place(first), len(block) * layout.bytes_of_row
            progress.update(size)
            if digests[number : number + 1] == [_digest(part.read(place, size))]:
                continue
            starts, stops = zip(*_ranges(block, layout), strict=True)
            found = b"".join(pool.map(address.read, starts, stops))
            counts = np.frombuffer(found, layout.dtype).reshape(len(block), layout.width)
            validate_values(counts, address.url)
            part.write(found, place)
            digests[number : number + 1] = [_digest(found)]
            part.write_note(note)


def _digest(block: bytes) -> str:
    return hashlib.sha256(block).hexdigest()


def _ranges(rows: np.ndarray, layout: _Layout) -> Iterator[tuple[int, int]]:
    """Yield the bytes of some rows: the first byte, and the one after the last, of neighbours together."""
    for neighbours in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
        yield layout.place(neighbours[0]), layout.place(neighbours[-1] + 1)
