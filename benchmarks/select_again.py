"""Choose settings and rank methods anew from the tables of a run, without its fits.

When a selection rule changes, committed results can so follow. The program reads the tables `metrics`,
`status` and `held_out` of a folder, compressed or not, and writes its tables `selected` and `leaderboard`.
"""

import argparse
from pathlib import Path

import pandas as pd

from svae.contracts.tables import HELD_OUT_COLUMNS, METRICS_COLUMNS, read_status, read_tidy
from svae.errors import BenchmarkError
from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.selection import select
from svae.files import write_table
from svae.report.bundle import table_in
from svae.report.methods_table import read_methods
from svae.workflow.scope import Scope

CONFIG = Path(__file__).resolve().parents[1] / "config"


def choose_and_rank(folder: Path, scope: Scope) -> pd.DataFrame:
    """Write the tables `selected` and `leaderboard` anew; return the first.

    Parameters
    ----------
    folder
        With the tables of a run.
    scope
        Of that run.
    """
    metrics = read_tidy(required(folder, "metrics"), METRICS_COLUMNS)
    held_out = table_in(folder, "held_out")  # older results have none
    selected = select(
        read_status(required(folder, "status")),
        metrics,
        fixed=scope.selection.fixed,
        hindsight_metric=scope.selection.hindsight_metric,
    )
    board = leaderboard(
        metrics,
        selected,
        read_methods(CONFIG / "methods.tsv", selected["method"]),
        scope.reference,
        read_tidy(held_out, HELD_OUT_COLUMNS) if held_out else None,
    )
    write_table(selected, table_in(folder, "selected") or folder / "selected.tsv")
    write_table(board, table_in(folder, "leaderboard") or folder / "leaderboard.tsv")
    return selected


def required(folder: Path, name: str) -> Path:
    """Return the table of a run that is called `name`; a :class:`BenchmarkError` says that there is none."""
    path = table_in(folder, name)
    if path is None:
        raise BenchmarkError(f"{folder}: no table '{name}'")
    return path


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with the tables of the run")
    parser.add_argument("scope", type=Path, help="config file of the run")
    arguments = parser.parse_args()
    choose_and_rank(arguments.folder, Scope.read(arguments.scope))


if __name__ == "__main__":
    main()
