"""The table of published files: where they are, how to tell that they arrived whole, and what they hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from svae.errors import BenchmarkError, unknown
from svae.files import read_table

COLUMNS = ("name", "file", "url", "bytes", "checksum", "citation", "licence")
OPTIONAL_COLUMNS = ("content", "access", "instead")
HEXADECIMAL_DIGITS = {"md5": 32, "sha256": 64}
Access = Literal["whole", "rows"]
"""How a file is fetched: as it is, or only the rows of the cells that a dataset keeps."""


@dataclass(frozen=True)
class Source:
    """One row of the table.

    Attributes
    ----------
    name
        What scopes call the file.
    file
        Its name where it was published.
    urls
        Addresses that serve the same bytes, in the order in which they are tried.
    bytes
        Its size.
    checksum
        ``md5:…`` or ``sha256:…``.
    citation, licence
        Who published it, and on which terms.
    content
        Numbers that it has to hold: ``cells``, ``genes``, the number of labels in a column of ``obs``
        (``gene``), or of cells with one of them (``gene:non-targeting``).
    access
        How it is fetched.
    instead
        Name of a source to download as a whole where rows cannot be fetched; empty if there is none.
    """

    name: str
    file: str
    urls: tuple[str, ...]
    bytes: int
    checksum: str
    citation: str
    licence: str
    content: Mapping[str, int] = field(default_factory=dict)
    access: Access = "whole"
    instead: str = ""


def read_sources(table: str | Path) -> dict[str, Source]:
    """Read and validate the table of sources; a :class:`BenchmarkError` names the row and what is wrong."""
    rows = read_table(table, dtype=str, keep_default_na=False)
    for column in COLUMNS:
        if column not in rows:
            raise BenchmarkError(
                f"{table}: column '{column}' is missing (columns: {', '.join(rows.columns)})"
            )
    # A row may end before the optional columns.
    rows = rows.reindex(columns=[*COLUMNS, *OPTIONAL_COLUMNS]).fillna("")
    sources: dict[str, Source] = {}
    for row in rows.to_dict("records"):
        where = f"{table}: dataset '{row['name']}'"
        if row["name"] in sources:
            raise BenchmarkError(f"{where} occurs more than once")
        sources[row["name"]] = _source(row, where)
    for name, row_of in sources.items():
        if row_of.instead and row_of.instead not in sources:
            raise unknown("dataset", row_of.instead, sources, f"{table}: dataset '{name}': instead")
    return sources


def source(name: str, table: str | Path) -> Source:
    """Look a source up by name; an unknown name is answered with the nearest one."""
    sources = read_sources(table)
    if name not in sources:
        raise unknown("dataset", name, sources, str(table))
    return sources[name]


def _source(row: Mapping[str, str], where: str) -> Source:
    """Validate one row; `where` is what messages call it."""
    empty = [column for column in COLUMNS if not row[column].strip()]
    if empty:
        raise BenchmarkError(f"{where}: {empty[0]} is empty")
    urls = tuple(row["url"].split())
    for url in urls:
        if not re.fullmatch(r"(https?|file)://\S+", url):
            raise BenchmarkError(f"{where}: url '{url}' does not begin with https://")
    _check_checksum(row["checksum"], where)
    access = row["access"] or "whole"
    if access not in get_args(Access):
        raise unknown("access", access, get_args(Access), where)
    known = {column: row[column] for column in ("name", "file", "checksum", "citation", "licence", "instead")}
    size, content = _positive(row["bytes"], f"{where}: bytes"), _content(row["content"], where)
    return Source(**known, urls=urls, bytes=size, content=content, access=access)  # type: ignore[arg-type]


def _check_checksum(checksum: str, where: str) -> None:
    algorithm, _, digest = checksum.partition(":")
    if algorithm not in HEXADECIMAL_DIGITS:
        raise unknown("checksum", algorithm, HEXADECIMAL_DIGITS, where)
    digits = HEXADECIMAL_DIGITS[algorithm]
    if not re.fullmatch(rf"[0-9a-f]{{{digits}}}", digest):
        raise BenchmarkError(f"{where}: {algorithm} must be {digits} hexadecimal digits, not '{digest}'")


def _content(text: str, where: str) -> dict[str, int]:
    """Read what a file holds, such as ``cells=1000 genes=300 gene:non-targeting=80``."""
    pairs = (word.partition("=") for word in text.split())
    return {name: _positive(number, f"{where}: content: {name}") for name, _, number in pairs}


def _positive(text: str, where: str) -> int:
    if not re.fullmatch(r"[1-9]\d*", text):
        raise BenchmarkError(f"{where} is '{text}', not a positive whole number")
    return int(text)
