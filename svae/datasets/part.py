"""A file that is not whole yet: it lies beside its place, with a note that says what it is a part of."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from svae.errors import BenchmarkError
from svae.files import replacing


class Part:
    """What there is of a file; it outlives a process that is killed. Made by :func:`part_of`.

    Parameters
    ----------
    target
        Place of the whole file.
    path
        Place of the part.
    file
        The bytes of the part, open for reading and writing.
    """

    def __init__(self, target: Path, path: Path, file: BinaryIO):
        self.target, self.path, self.file = target, path, file
        self._note = path.with_name(f"{path.name}.json")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return os.fstat(self.file.fileno()).st_size

    @property
    def note(self) -> dict[str, Any]:
        """What the bytes are a part of; empty if nobody knows."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}

    def write_note(self, note: Mapping[str, Any]) -> None:
        """Note what the bytes are a part of."""
        with replacing(self._note) as temporary:
            temporary.write_text(json.dumps(note), encoding="utf-8")

    def cut(self, size: int) -> None:
        """Forget all bytes after the first `size`."""
        self.file.truncate(size)

    def read(self, place: int, size: int) -> bytes:
        """Return some bytes, the first of them at `place`."""
        self.file.seek(place)
        return self.file.read(size)

    def write(self, block: bytes, place: int) -> None:
        """Write some bytes, the first of them at `place`."""
        self.file.seek(place)
        self.file.write(block)
        self.file.flush()

    def refuse_full_disk(self, needed: int, name: str) -> None:
        """Raise if the disk has not `needed` bytes left for the rest of the file called `name`."""
        folder = self.path.parent
        free = shutil.disk_usage(folder).free
        if needed > free:
            room = f"{needed / 1e9:,.1f} GB are needed in '{folder}', but its disk has {free / 1e9:,.1f} GB"
            raise BenchmarkError(f"{name}: {room}")

    def finish(self) -> None:
        """Give the file its name."""
        os.replace(self.path, self.target)
        self._note.unlink(missing_ok=True)

    def remove_if_empty(self) -> None:
        """Leave nothing behind where nothing is of use."""
        if self.path.exists() and self.size == 0:
            self.path.unlink()
            self._note.unlink(missing_ok=True)


@contextmanager
def part_of(target: str | Path) -> Iterator[Part]:
    """Open what there is of the file at `target`; no other process can at the same time.

    Raises
    ------
    BenchmarkError
        If another process has it open, or the disk cannot be written.
    """
    target = Path(target)
    path = target.with_name(f"{target.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with open(path, "r+b") as file:
            _lock(file, target)
            part = Part(target, path, file)
            try:
                yield part
            finally:
                part.remove_if_empty()
    except OSError as error:
        raise BenchmarkError(f"{path}: the file cannot be written ({error.strerror or error})") from error


def _lock(file: Any, target: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BenchmarkError(f"{target}: another process is writing this file") from None
