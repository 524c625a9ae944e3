"""What a scope has to fetch before it can run: which files, how large, and whether the disk has room.

python -m svae.workflow.data config/paper.yaml
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

from svae.datasets.gene_lists import read_gene_lists
from svae.datasets.preparation import JOINT_OF_COLUMNS, listed
from svae.datasets.sources import Source
from svae.errors import BenchmarkError
from svae.workflow.check import check_file
from svae.workflow.names import Repository
from svae.workflow.scope import Scope
from svae.workflow.sections import RealDataset

FOLDER = "resources"
WHOLE = f"{FOLDER}/{{source}}.h5ad"
ROWS = f"{FOLDER}/rows/{{scope}}/{{dataset}}.h5ad"
"""Cells that one dataset keeps; another scope may keep others of the same study."""


@dataclass(frozen=True)
class Needed:
    """A file that a scope needs.

    Attributes
    ----------
    source
        Where it comes from.
    bytes
        Its size; of cells out of a larger file, an estimate.
    is_estimate
        Whether it is one.
    """

    source: Source
    bytes: int
    is_estimate: bool = False


def place_of(scope: Scope, dataset: str, sources: Mapping[str, Source]) -> str:
    """Return the path of the file that a real dataset is prepared from: a local one, or one to fetch."""
    entry = scope.real[dataset]
    if entry.path is not None:
        return entry.path
    if sources[str(entry.source)].access == "rows":
        return ROWS.format(scope=scope.name, dataset=dataset)
    return WHOLE.format(source=entry.source)


def needed_files(scope: Scope, sources: Mapping[str, Source]) -> dict[str, Needed]:
    """Return the files that a scope has to fetch, by path.

    Parameters
    ----------
    scope
        The scope.
    sources
        The table of sources.
    """
    return {
        place_of(scope, name, sources): _needed(entry, sources[str(entry.source)])
        for name, entry in scope.real.items()
        if entry.path is None
    }


def _needed(entry: RealDataset, source: Source) -> Needed:
    """Estimate how large a file will be: perturbations that are kept have as many cells as others.

    Control cells are kept, too; the table of sources says how many they are.
    """
    if source.access == "whole":
        return Needed(source, source.bytes)
    column = JOINT_OF_COLUMNS.join(listed(entry.label))
    labels = source.content.get(column)
    kept = entry.perturbations
    if entry.gene_lists is not None:
        kept = read_gene_lists(entry.gene_lists).get("perturbations")
    controls = sum(source.content.get(f"{column}:{label}", 0) for label in listed(entry.control))
    of_control = controls / source.content["cells"] if controls else 0.0
    of_others = min(1.0, len(kept) / labels) if kept and labels else 1.0
    share = of_control + (1 - of_control) * of_others
    return Needed(source, round(source.bytes * share), is_estimate=True)


def tell(needed: Mapping[str, Needed], where: str) -> str:
    """Say what is to be fetched.

    Parameters
    ----------
    needed
        What :func:`needed_files` returns.
    where
        Name of the config file.

    Raises
    ------
    BenchmarkError
        If the disk has no room for it.
    """
    if not needed:
        return f"{where}: there is nothing to fetch"
    lines = [_line(path, file) for path, file in needed.items()]
    missing = {path: file for path, file in needed.items() if not Path(path).is_file()}
    to_come = sum(file.bytes - _there(path, file) for path, file in missing.items())
    free = shutil.disk_usage(Path(FOLDER) if Path(FOLDER).is_dir() else Path()).free
    about = "about " if any(file.is_estimate for file in missing.values()) else ""
    total = f"{len(missing)} of {len(needed)} files, {about}{_gigabytes(to_come)}"
    if to_come > free:
        raise BenchmarkError(f"{where}: {total}, are to be fetched, but the disk has {_gigabytes(free)} free")
    table = tabulate(lines, headers=["file", "size", "", "published as"], disable_numparse=True)
    return f"{table}\n{total}, are to be fetched; the disk has {_gigabytes(free)} free"


def _line(path: str, file: Needed) -> tuple[str, str, str, str]:
    """Tell path, size, what is there of it, and where it comes from."""
    size = f"{'about ' if file.is_estimate else ''}{_gigabytes(file.bytes)}"
    state = "is there" if Path(path).is_file() else "begun" if _part(path).is_file() else "missing"
    published = f"{file.source.file} ({_gigabytes(file.source.bytes)}), {file.source.citation}"
    return path, size, state, published


def _there(path: str, file: Needed) -> int:
    """Bytes that an earlier try left; a part with cells has its full size from the beginning."""
    part = _part(path)
    return part.stat().st_size if part.is_file() and not file.is_estimate else 0


def _part(path: str) -> Path:
    return Path(f"{path}.part")


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m svae.workflow.data", description=__doc__)
    parser.add_argument("config", help="config file of the scope")
    config = parser.parse_args(arguments).config
    print(tell(needed_files(check_file(config), Repository(".").sources), config))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
