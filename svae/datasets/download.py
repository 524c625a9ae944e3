"""Where the studies come from: the table ``config/datasets.tsv``, and a download that checks what it got."""

import hashlib
import http.client
import re
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from svae.errors import BenchmarkError, unknown
from svae.files import read_table, replacing

TABLE = Path(__file__).resolve().parents[2] / "config" / "datasets.tsv"
"""The table that comes with the benchmark."""

COLUMNS = ("name", "file", "url", "bytes", "checksum", "citation", "licence")

_DIGITS = {"md5": 32, "sha256": 64}
_BLOCK = 1 << 20
_SECONDS_BETWEEN_LINES = 10.0
_TIMEOUT = 60.0


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


def read_sources(table: str | Path = TABLE) -> dict[str, Source]:
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
        if algorithm not in _DIGITS:
            raise unknown("checksum", algorithm, _DIGITS, where)
        if not re.fullmatch(rf"[0-9a-f]{{{_DIGITS[algorithm]}}}", digest):
            raise BenchmarkError(
                f"{where}: {algorithm} must be {_DIGITS[algorithm]} hexadecimal digits, not '{digest}'"
            )
        sources[row["name"]] = Source(**{**row, "bytes": int(row["bytes"])})
    return sources


def source(name: str, table: str | Path = TABLE) -> Source:
    """Look a source up by name; an unknown name is answered with the nearest one."""
    sources = read_sources(table)
    if name not in sources:
        raise unknown("dataset", name, sources, str(table))
    return sources[name]


def download(source: Source, path: str | Path) -> None:
    """Download `source` to `path`, telling how far it is on standard error.

    The file appears at `path` only when its size and its checksum are right; otherwise nothing is left.

    Raises
    ------
    BenchmarkError
        If the server cannot be reached, or sends too little, too much or something else.
    """
    algorithm, _, expected = source.checksum.partition(":")
    digest, received = hashlib.new(algorithm, usedforsecurity=False), 0
    with replacing(path) as temporary:
        try:
            with (
                urllib.request.urlopen(source.url, timeout=_TIMEOUT) as answer,
                open(temporary, "wb") as file,
            ):
                told = time.monotonic()
                # One block more than expected is enough to know that the file is the wrong one.
                while received <= source.bytes and (block := answer.read(_BLOCK)):
                    file.write(block)
                    digest.update(block)
                    received += len(block)
                    if time.monotonic() - told > _SECONDS_BETWEEN_LINES:
                        told = time.monotonic()
                        _tell(source, received)
        except (OSError, http.client.HTTPException) as error:
            raise BenchmarkError(f"{source.url}: download of {source.file} failed ({error})") from error
        if received != source.bytes:
            size = f"more than {source.bytes:,}" if received > source.bytes else f"{received:,}"
            raise BenchmarkError(f"{source.url}: got {size} bytes, but {source.file} has {source.bytes:,}")
        if digest.hexdigest() != expected:
            raise BenchmarkError(
                f"{source.url}: {algorithm} of {source.file} is {digest.hexdigest()}, but must be {expected}"
            )
    _tell(source, received)


def _tell(source: Source, received: int) -> None:
    share = 100 * received / source.bytes
    print(
        f"{source.file}: {received / 1e6:,.1f} of {source.bytes / 1e6:,.1f} MB ({share:.0f} %)",
        file=sys.stderr,
    )
