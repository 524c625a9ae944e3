"""Choose settings and rank methods anew from the tables of a run, without its fits.

When a selection rule changes, committed results can so follow. The program reads ``metrics.tsv.gz`` and
``status.tsv`` of a folder, and writes its ``selected.tsv`` and ``leaderboard.tsv``.
"""

import argparse
from pathlib import Path

from svae.contracts.tables import HELD_OUT_COLUMNS, METRICS_COLUMNS, read_status, read_tidy
from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.selection import select
from svae.files import write_table
from svae.report.methods_table import read_methods
from svae.workflow.scope import Scope

CONFIG = Path(__file__).resolve().parents[1] / "config"


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder with the tables of the run")
    parser.add_argument("scope", type=Path, help="config file of the run")
    arguments = parser.parse_args()
    scope = Scope.read(arguments.scope)
    metrics = read_tidy(arguments.folder / "metrics.tsv.gz", METRICS_COLUMNS)
    cells = arguments.folder / "held_out.tsv.gz"  # older results have none
    held_out = read_tidy(cells, HELD_OUT_COLUMNS) if cells.exists() else None
    selected = select(
        read_status(arguments.folder / "status.tsv"),
        metrics,
        fixed=scope.selection.fixed,
        hindsight_metric=scope.selection.hindsight_metric,
    )
    methods = read_methods(CONFIG / "methods.tsv", selected["method"])
    board = leaderboard(metrics, selected, methods, scope.reference, held_out)
    write_table(selected, arguments.folder / "selected.tsv")
    write_table(board, arguments.folder / "leaderboard.tsv")


if __name__ == "__main__":
    main()
