"""How fits were made: a table beside the fits of a job, and the checksum by which a damaged fit is found.

A method in any language writes its fits alone. What runs the method writes down the rest: ``made.tsv`` in
the folder of the fits has a row per fit, with its checksum, the machine, the time and the cost. Whoever uses
a fit compares the checksum first.
"""

import csv
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from svae.errors import BenchmarkError
from svae.files import checksum, replacing

TABLE = "made.tsv"


@dataclass(frozen=True)
class Making:
    """Where and when a fit was made, and what it cost; what is not known is empty, as all of it may be.

    Attributes
    ----------
    host, processor
        Name of the machine, and model of its processor.
    threads
        What the linear algebra of the job may use.
    gpu, driver
        Models of the GPUs that the job could see, and the version of their driver.
    versions
        Of the libraries that compute (:func:`svae.contracts.run.library_versions`).
    started, ended
        Of the job; UTC, as in ``2025-01-31T12:00:00Z``.
    cpu_seconds
        Processor time of the job, shared equally among the fits that it made.
    """

    host: str = ""
    processor: str = ""
    threads: str = ""
    gpu: str = ""
    driver: str = ""
    versions: str = ""
    started: str = ""
    ended: str = ""
    cpu_seconds: str = ""


COLUMNS = ("fit", "sha256", *(field.name for field in fields(Making)))


def write_down(paths: Iterable[str | Path], making: Making) -> None:
    """Write down how the fits at `paths` were made, and their checksums as they are now."""
    for folder, files in _by_folder(paths):
        known = _rows(folder)
        for file in files:
            known[file.name] = {"fit": file.name, "sha256": checksum(file)} | asdict(making)
        _write(folder, known)


def forget_missing(paths: Iterable[str | Path]) -> None:
    """Strike out the rows of fits that are gone; a damaged one stays known, since it may be put back."""
    for folder, _ in _by_folder(paths):
        known = _rows(folder)
        if known:
            _write(folder, known)


def makings_of(paths: Iterable[str | Path]) -> list[Making]:
    """Return what is known of how the fits at `paths` were made; each table is read once."""
    files = list(map(Path, paths))
    tables = {folder: _rows(folder) for folder in dict.fromkeys(file.parent for file in files)}
    rows = [tables[file.parent].get(file.name, {}) for file in files]
    return [Making(**{field.name: row.get(field.name, "") for field in fields(Making)}) for row in rows]


def refuse_changed(path: str | Path) -> None:
    """Raise a :class:`BenchmarkError` if the fit at `path` is not the file that was written down.

    A fit that nobody wrote down, such as one that was computed elsewhere, is not compared.
    """
    expected = _rows(Path(path).parent).get(Path(path).name, {}).get("sha256")
    if expected and Path(path).is_file() and checksum(path) != expected:
        raise BenchmarkError(
            f"{path}: it was changed or damaged after it was made, since {TABLE} has another sha256 of it"
        )


def _by_folder(paths: Iterable[str | Path]) -> list[tuple[Path, list[Path]]]:
    """Group the files of some fits by their folders."""
    files = list(map(Path, paths))
    folders = dict.fromkeys(file.parent for file in files)
    return [(folder, [file for file in files if file.parent == folder]) for folder in folders]


def _rows(folder: Path) -> dict[str, dict[str, str]]:
    """Rows of the table in a folder by name of the fit; none if there is no table."""
    path = folder / TABLE
    if not path.is_file():
        return {}
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return {row["fit"]: row for row in rows if row.get("fit") and row.get("sha256")}


def _write(folder: Path, rows: dict[str, dict[str, str]]) -> None:
    """Write the rows of those fits that are still there."""
    with replacing(folder / TABLE) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows[name] for name in sorted(rows) if (folder / name).is_file())
