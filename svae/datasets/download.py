"""Published files: a table that says where they are, and a download that checks what it got."""

import logging
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pooch
from requests import RequestException
from tqdm import tqdm

from svae.errors import BenchmarkError, unknown
from svae.files import checksum, read_table, replacing

logger = logging.getLogger(__name__)

COLUMNS = ("name", "file", "url", "bytes", "checksum", "citation", "licence")
HEXADECIMAL_DIGITS = {"md5": 32, "sha256": 64}
BYTES_AT_ONCE = 1 << 20
SECONDS_BETWEEN_LINES = 10.0
SECONDS_TO_WAIT = 60.0


@dataclass(frozen=True)
class Source:
    """One row of the table: a published file and how to tell that it arrived whole.

    ``bytes`` is its size, ``checksum`` reads ``md5:…`` or ``sha256:…``.
    """

    name: str
    file: str
    url: str
    bytes: int
    checksum: str
    citation: str
    licence: str


def read_sources(table: str | Path) -> dict[str, Source]:
    """Read and validate the table of sources; a :class:`BenchmarkError` names the row and what is wrong."""
    rows = read_table(table, dtype=str, keep_default_na=False)
    for column in COLUMNS:
        if column not in rows:
            raise BenchmarkError(
                f"{table}: column '{column}' is missing (columns: {', '.join(rows.columns)})"
            )
    sources: dict[str, Source] = {}
    for row in rows[list(COLUMNS)].to_dict("records"):
        where = f"{table}: dataset '{row['name']}'"
        empty = [column for column in COLUMNS if not row[column].strip()]
        if empty:
            raise BenchmarkError(f"{where}: {empty[0]} is empty")
        if row["name"] in sources:
            raise BenchmarkError(f"{where} occurs more than once")
        if not re.fullmatch(r"(https?|file)://\S+", row["url"]):
            raise BenchmarkError(f"{where}: url '{row['url']}' does not begin with https://")
        if not re.fullmatch(r"[1-9]\d*", row["bytes"]):
            raise BenchmarkError(f"{where}: bytes is '{row['bytes']}', not a positive whole number")
        algorithm, _, digest = row["checksum"].partition(":")
        if algorithm not in HEXADECIMAL_DIGITS:
            raise unknown("checksum", algorithm, HEXADECIMAL_DIGITS, where)
        digits = HEXADECIMAL_DIGITS[algorithm]
        if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", digest):
            raise BenchmarkError(f"{where}: {algorithm} must be {digits} hexadecimal digits, not '{digest}'")
        sources[row["name"]] = Source(**{**row, "bytes": int(row["bytes"])})
    return sources


def source(name: str, table: str | Path) -> Source:
    """Look a source up by name; an unknown name is answered with the nearest one."""
    sources = read_sources(table)
    if name not in sources:
        raise unknown("dataset", name, sources, str(table))
    return sources[name]


def download(source: Source, path: str | Path) -> None:
    """Download `source` to `path`, with a line of progress on standard error now and then.

    The file appears at `path` only when its size and its checksum are right; otherwise nothing is left.

    Raises
    ------
    BenchmarkError
        If the server cannot be reached, or sends too little, too much or something else.
    """
    with replacing(path) as temporary:
        try:
            _fetcher(source, temporary)(source.url, temporary, None)
        except (OSError, RequestException) as error:
            raise BenchmarkError(f"{source.url}: download of {source.file} failed ({error})") from error
        _refuse_size(source, temporary.stat().st_size)
        algorithm, _, expected = source.checksum.partition(":")
        found = checksum(temporary, algorithm)
        if found != expected:
            raise BenchmarkError(
                f"{source.url}: {algorithm} of {source.file} is {found}, but must be {expected}"
            )
    megabytes = f"{source.bytes / 1e6:,.1f}"
    logger.info("%s: %s of %s MB (100 %%)", source.file, megabytes, megabytes)


def _fetcher(source: Source, path: Path) -> Callable[[str, Path, None], None]:
    """Return what fetches an address to a path, in the form that pooch gives to downloaders."""
    if urlsplit(source.url).scheme == "file":
        return _copy
    return pooch.HTTPDownloader(
        progressbar=_Progress(source, path), chunk_size=BYTES_AT_ONCE, timeout=SECONDS_TO_WAIT
    )


def _copy(url: str, path: Path, _pooch: None) -> None:
    """Copy a file of this machine, which pooch has no downloader for."""
    shutil.copyfile(url2pathname(urlsplit(url).path), path)


class _Progress(tqdm):
    """Tells how far a download is, and ends one that sends more than was published."""

    def __init__(self, source: Source, path: Path):
        self.source, self.path = source, path
        super().__init__(
            desc=source.file, total=source.bytes, unit="B", unit_scale=True, mininterval=SECONDS_BETWEEN_LINES
        )

    def __bool__(self) -> bool:
        """Be true even where the server does not say how much it will send: pooch asks before updating."""
        return True

    def update(self, n: float | None = 1) -> bool | None:
        """Count the bytes of a block that was written."""
        size = self.path.stat().st_size
        if size > self.source.bytes:
            _refuse_size(self.source, size)
        return super().update(n)


def _refuse_size(source: Source, received: int) -> None:
    """Raise if a file has another size than what was published."""
    if received != source.bytes:
        size = f"more than {source.bytes:,}" if received > source.bytes else f"{received:,}"
        raise BenchmarkError(f"{source.url}: got {size} bytes, but {source.file} has {source.bytes:,}")
