"""Whether the files that a scope names are there, before the first job asks for them."""

from difflib import get_close_matches
from pathlib import Path

from svae.errors import BenchmarkError
from svae.methods.options import FILE_OPTIONS
from svae.workflow.scope import Scope

HDF5 = b"\x89HDF\r\n\x1a\n"
"""How HDF5 files begin (the format's specification, section II.A)."""


def check_paths(scope: Scope, where: str = "config") -> None:
    """Raise a :class:`BenchmarkError` for the first path in `scope` that no job could read.

    Parameters
    ----------
    scope
        The scope to check; its paths are relative to the working directory.
    where
        Name of the config file, for the error message.
    """
    for name, entry in scope.real.items():
        _check_file(entry.path, f"{where}: datasets: {name}: path")
        _check_format(entry.path, f"{where}: datasets: {name}: path")
        _check_file(entry.gene_lists, f"{where}: datasets: {name}: gene_lists")
        _check_file(entry.guide_table, f"{where}: datasets: {name}: guide_table")
        _check_file(entry.gene_sets, f"{where}: datasets: {name}: gene_sets")
    for name, plan in scope.splits.items():
        _check_file(plan.pathways, f"{where}: splits: {name}: pathways")
    for method, option in FILE_OPTIONS.items():
        for path in scope.values_of(method, option):
            _check_file(path, f"{where}: methods: {method}: {option}")


def _check_file(path: str | None, where: str) -> None:
    """Raise if `path` is no file, or one that Snakemake cannot name; None is no path."""
    if path is None:
        return
    if path.startswith("~"):
        raise BenchmarkError(f"{where}: '{path}' begins with ~, which nobody expands; write the folder out")
    if "://" in path:
        raise BenchmarkError(f"{where}: '{path}' is an address; download the file, and name it here")
    if any(sign in path for sign in "{}*\n"):
        raise BenchmarkError(
            f"{where}: {path!r} has a brace, an asterisk or a line break; Snakemake takes these for patterns"
        )
    found = Path(path)
    if found.is_dir():
        kind = "a zarr store" if found.suffix == ".zarr" else "a folder"
        raise BenchmarkError(f"{where}: '{path}' is {kind}; name one file")
    if not found.is_file():
        raise BenchmarkError(f"{where}: there is no file '{path}'{_nearest(found)}")


def _check_format(path: str | None, where: str) -> None:
    """Raise if `path` does not begin as HDF5 files do, which h5ad files are."""
    if path is None:
        return
    with open(path, "rb") as file:
        begins = file.read(len(HDF5))
    if begins != HDF5:
        raise BenchmarkError(f"{where}: '{path}' is no h5ad file, since it does not begin as HDF5 files do")


def _nearest(path: Path) -> str:
    """Say what is there instead of a missing file: the nearest name in its folder, or the folder at fault."""
    if not path.parent.is_dir():
        return f" (nor a folder '{path.parent}' in '{Path.cwd()}')"
    near = get_close_matches(path.name, [file.name for file in path.parent.iterdir()], n=1, cutoff=0.5)
    return f", did you mean '{path.parent / near[0]}'?" if near else ""
