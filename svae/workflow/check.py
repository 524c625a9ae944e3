"""Everything that can be known of a config file before the first job.

``python -m svae.workflow.check config/mine.yaml`` says in one sentence what is wrong with a file, or nothing.
"""

import argparse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from svae.errors import BenchmarkError
from svae.workflow.config_file import read_config
from svae.workflow.feasible import check_feasible
from svae.workflow.included import files_at_fault, included_files
from svae.workflow.names import check_names
from svae.workflow.scope import Scope


def check_config(config: Mapping[str, Any], files: Iterable[str | Path], root: str | Path) -> Scope:
    """Return the scope that a config asks for.

    Parameters
    ----------
    config
        What the files hold, later ones laid over earlier ones, and what the command line adds.
    files
        The config files; each is read again, since Snakemake passes over keys that stand twice. So is what
        they include.
    root
        Folder of the repository, with `config/` and `rules/`.

    Raises
    ------
    BenchmarkError
        With one sentence that says what is wrong, and in which of the files.
    """
    named = {str(file): read_config(file) for file in files}
    where = ", ".join(named) or "config"
    made_of = included_files(config, where) | named
    try:
        return checked_scope(config, root, where)
    except BenchmarkError as error:
        mistake = str(error).removeprefix(f"{where}: ")
        at_fault = files_at_fault(mistake, made_of) or [where]
        raise BenchmarkError(f"{', '.join(at_fault)}: {mistake}") from None


def checked_scope(config: Mapping[str, Any], root: str | Path, where: str) -> Scope:
    """Return the scope that a config asks for; `where` is what messages call it."""
    scope = Scope.check(config, where)
    check_names(scope, root, where)
    check_feasible(scope, where)
    return scope


def check_file(path: str | Path, root: str | Path = ".") -> Scope:
    """Return the scope that the config file at `path` asks for; `root` is the folder of the repository."""
    return check_config(read_config(path), [path], root)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("config", help="config file to check")
    try:
        check_file(arguments.parse_args().config)
    except BenchmarkError as error:
        raise SystemExit(f"error: {error}") from None
