"""Draw the figures of committed results anew: redraw.py FOLDER SCOPE.

A figure whose tables are not committed, such as the learning curves, is left as it is.
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from svae.files import write_table
from svae.report.bundle import table_in
from svae.report.figures import FIGURES, draw, save
from svae.report.tables import COLUMNS, Tables
from svae.workflow.scope import Scope

METHODS = Path(__file__).parents[1] / "config" / "methods.tsv"


def empty_table(name: str, folder: Path) -> Path:
    """Write a table of a run without rows, and return its path."""
    write_table(pd.DataFrame(columns=list(COLUMNS[name])), folder / f"{name}.tsv")
    return folder / f"{name}.tsv"


def redraw(folder: Path, scope: Scope) -> None:
    """Replace the PNG and the numbers of every figure that can be drawn."""
    with TemporaryDirectory() as temporary:
        paths = {name: table_in(folder, name) or empty_table(name, Path(temporary)) for name in COLUMNS}
        tables = Tables.read(paths | {"methods": METHODS}, scope.selection.rule, scope.reference)
        for name in FIGURES:
            drawn = draw(name, tables)
            if "note" in drawn.table:
                continue
            save(drawn, Path(temporary) / name)
            for suffix in ("png", "tsv"):
                made = Path(temporary) / f"{name}.{suffix}"
                (folder / "figures" / made.name).write_bytes(made.read_bytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("scope", type=Path)
    arguments = parser.parse_args()
    redraw(arguments.folder, Scope.read(arguments.scope))
