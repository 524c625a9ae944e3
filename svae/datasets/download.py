"""The download of a published file: from the first address that serves it, going on where it was cut off."""

import logging
from contextlib import suppress
from pathlib import Path

from tqdm import tqdm

from svae.datasets.addresses import PATIENCE, Address, AddressError, InterruptionError, Patience, open_address
from svae.datasets.content import check_content
from svae.datasets.part import Part, part_of
from svae.datasets.sources import Source
from svae.errors import BenchmarkError
from svae.files import checksum

logger = logging.getLogger(__name__)

SECONDS_BETWEEN_LINES = 10.0


def download(source: Source, path: str | Path, patience: Patience = PATIENCE) -> None:
    """Download `source` to `path`, with a line of progress on standard error now and then.

    The file appears at `path` once its size, its checksum and what it holds are right. Until then its bytes
    are in ``<path>.part``, and a later call goes on from there. If the right file is there already, it stays.

    Parameters
    ----------
    source
        What to download. Its addresses are tried in their order.
    path
        Where the file shall be.
    patience
        How long to try each address.

    Raises
    ------
    BenchmarkError
        If no address serves the file, the disk has no room for it, or it holds something else than the table
        of sources says. What was at `path` before is untouched then.
    """
    if _is_right(source, Path(path)):
        with suppress(PermissionError):  # a shared file of somebody else is only verified
            Path(path).touch()  # so that it is newer than this code, and not verified again
        logger.info("%s: is there already, and its checksum is right", path)
        return
    with part_of(path) as part:
        if any(part.note.get(key) != value for key, value in _facts(source).items()):
            part.cut(0)
        part.refuse_full_disk(source.bytes - part.size, source.file)
        _from_first_address(source, part, patience)
        check_content(source, part.path)
        part.finish()
    megabytes = f"{source.bytes / 1e6:,.1f}"
    logger.info("%s: %s of %s MB (100 %%)", source.file, megabytes, megabytes)


def _is_right(source: Source, path: Path) -> bool:
    """Whether the published file is at `path`; its size tells faster than its checksum that it is not."""
    has_size = path.is_file() and path.stat().st_size == source.bytes
    return has_size and _checksum(source, path) == source.checksum


def _checksum(source: Source, path: Path) -> str:
    """Return the checksum of the file at `path`, written as that of the published one."""
    algorithm, _, _ = source.checksum.partition(":")
    return f"{algorithm}:{checksum(path, algorithm)}"


def _facts(source: Source) -> dict[str, str | int]:
    """What tells bytes of this file from bytes of another one."""
    return {"bytes": source.bytes, "checksum": source.checksum}


def _from_first_address(source: Source, part: Part, patience: Patience) -> None:
    """Make the part whole from the first address that can."""
    troubles = []
    for url in source.urls:
        try:
            _fetch(url, source, part, patience)
            return
        except AddressError as trouble:
            logger.warning("%s", trouble)
            troubles.append(str(trouble))
    raise BenchmarkError(f"download of {source.file} failed: {'; '.join(troubles)}")


def _fetch(url: str, source: Source, part: Part, patience: Patience) -> None:
    """Make the part whole from one address; start over once if what was there before did not fit."""
    earlier = part.size
    address = open_address(url, source.bytes, patience)
    if part.note.get("url") == url:
        address.version = part.note.get("version")
    _fill(part, source, address, patience)
    found = _checksum(source, part.path)
    if found == source.checksum:
        return
    part.cut(0)
    problem = f"{url}: the checksum of {source.file} is {found}, but must be {source.checksum}"
    if earlier == 0:
        raise AddressError(problem)
    logger.warning("%s; starting over without the %s bytes that were there before", problem, f"{earlier:,}")
    _fetch(url, source, part, patience)


def _fill(part: Part, source: Source, address: Address, patience: Patience) -> None:
    """Ask for the bytes that are missing, until none is."""
    failures, most = 0, part.size
    while part.size < source.bytes:
        try:
            _append(part, source, address)
        except InterruptionError as trouble:
            failures = 1 if part.size > most else failures + 1
            most = max(most, part.size)
            problem = f"{address.url}: {trouble}, after {part.size:,} of {source.bytes:,} bytes"
            logger.info("%s", problem)
            patience.wait(failures, InterruptionError(problem))


def _append(part: Part, source: Source, address: Address) -> None:
    """Write what one answer of a server brings."""
    start, blocks = address.stream(part.size)
    part.cut(start)
    part.write_note({**_facts(source), "url": address.url, "version": address.version})
    with tqdm(
        desc=source.file,
        initial=start,
        total=source.bytes,
        unit="B",
        unit_scale=True,
        mininterval=SECONDS_BETWEEN_LINES,
    ) as progress:
        for block in blocks:
            part.write(block, part.size)
            progress.update(len(block))
            if part.size > source.bytes:
                part.cut(0)
                raise AddressError(f"{address.url}: got more than {source.bytes:,} bytes of {source.file}")
    if part.size < source.bytes:
        raise InterruptionError("the connection was closed")
