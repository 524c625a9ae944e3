"""A bundle: the report, tables, figures and provenance of a run in one zip file, as a paper's supplement.

``python -m svae.report.bundle reports/demo.zip figures`` draws all figures of a bundle anew, into a folder.
"""

import argparse
import json
import logging
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from svae.errors import BenchmarkError, sentence
from svae.files import replacing
from svae.report.figures import FIGURES, draw, save
from svae.report.tables import COLUMNS, Tables

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
METHODS = "methods.tsv"
REPORT = "report.html"
README = """\
The results of one run of the benchmark: its tables (*.tsv, *.tsv.gz), figures with the numbers that they
show (figures/), the config that was run (config.yaml), the versions of all packages (requirements.lock), and
where all of it comes from (manifest.json; manifest.html shows the same).

{report}

With the same version of the benchmark installed, this draws all figures anew, without any fit:

    python -m svae.report.bundle {name} figures
"""
WITH_REPORT = f"The report of the run, {REPORT}, is one file that a browser opens without a network."
WITHOUT_REPORT = (
    "The report of the run is missing: none was written after these results. `make bundle` writes it."
)
UNDATED = (1980, 1, 1, 0, 0, 0)
"""Time of all files in a bundle, so that equal results are equal bundles."""


def pack(files: Mapping[str, str | Path], texts: Mapping[str, str], path: str | Path) -> None:
    """Write a bundle to `path` in one piece; what is equal makes equal bytes.

    Parameters
    ----------
    files
        Files by their names in the bundle. To draw figures it takes all tables of
        :data:`svae.report.tables.COLUMNS`, the table of methods and the manifest. A bundle without
        ``report.html`` says so.
    texts
        What else to put in, by name.
    path
        Of the zip file.
    """
    contents = {name: Path(file).read_bytes() for name, file in files.items()}
    contents |= {name: text.encode() for name, text in texts.items()}
    if REPORT not in contents:
        logger.warning("%s: %s", path, WITHOUT_REPORT)
    report = WITH_REPORT if REPORT in contents else WITHOUT_REPORT
    contents["README.txt"] = README.format(name=Path(path).name, report=report).encode()
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as bundle:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, UNDATED)
            bundle.writestr(entry, contents[name], zipfile.ZIP_DEFLATED)


def is_newer(path: str | Path, others: Iterable[str | Path]) -> bool:
    """Whether a file was written after all others, so that a report shows the results that there are now."""
    return Path(path).stat().st_mtime >= max(Path(other).stat().st_mtime for other in others)


def redraw(path: str | Path, folder: str | Path) -> list[str]:
    """Draw the figures of the bundle at `path` into a `folder`, and return their names.

    Raises
    ------
    BenchmarkError
        If the file is no bundle, or lacks a table.
    """
    with _unpacked(path) as content:
        view = json.loads(_member(content, MANIFEST, path).read_text(encoding="utf-8"))["view"]
        paths = {name: table_in(content, name) or _member(content, f"{name}.tsv", path) for name in COLUMNS}
        tables = Tables.read(paths | {"methods": _member(content, METHODS, path)}, **view)
        drawn = [name for name in FIGURES if (content / "figures" / f"{name}.svg").is_file()]
        for name in drawn:
            save(draw(name, tables), Path(folder, name))
    return drawn


def table_in(folder: Path, name: str) -> Path | None:
    """Return the path of a table of a run in a folder; None if it is not there."""
    paths = (folder / f"{name}.tsv", folder / f"{name}.tsv.gz")
    return next((path for path in paths if path.exists()), None)


@contextmanager
def _unpacked(path: str | Path) -> Iterator[Path]:
    """Unpack a zip file for a while; nothing in it can leave its folder (:meth:`zipfile.ZipFile.extract`)."""
    with TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as bundle:
                bundle.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise BenchmarkError(f"{path}: not a readable zip file ({sentence(error)})") from error
        yield Path(folder)


def _member(folder: Path, name: str, bundle: str | Path) -> Path:
    if not (folder / name).is_file():
        raise BenchmarkError(f"{bundle}: there is no {name} in it, so it is no bundle of a run")
    return folder / name


def main() -> None:
    """Draw the figures of a bundle."""
    parser = argparse.ArgumentParser(description="Draw the figures of a bundle anew, without any fit.")
    parser.add_argument("bundle", help="zip file that `snakemake reports/<scope>.zip` wrote")
    parser.add_argument("folder", help="where the figures go")
    arguments = parser.parse_args()
    try:
        names = redraw(arguments.bundle, arguments.folder)
    except BenchmarkError as error:
        parser.error(str(error))
    print(f"{arguments.folder}: {len(names)} figures")


if __name__ == "__main__":
    main()
