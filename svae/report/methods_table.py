"""The table of methods: what each is called and how it is coloured."""

import re
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.contracts.tables import with_columns
from svae.errors import BenchmarkError, unknown
from svae.files import read_table

METHODS_COLUMNS = ("method", "label", "colour", "anchor", "citation")


FALLBACK_COLOURS = ("#17807e", "#d16ba5", "#3f4fa3", "#9c4f2f", "#6f8f1f", "#c9a400", "#00a0c6", "#7a2048")


def read_methods(path: str | Path, methods: Iterable[str] = ()) -> pd.DataFrame:
    """Read and validate the table of methods.

    Parameters
    ----------
    path
        ``config/methods.tsv``: ``method``, ``label``, ``colour`` (#rrggbb), ``anchor`` (yes or no),
        ``citation``.
    methods
        Methods of the run. One that the table lacks is labelled with its name and coloured from a
        fixed palette, so that adding a method takes no other file.

    Returns
    -------
    Indexed by ``method``, in the table's order, then in that of `methods`; ``anchor`` is boolean.

    Raises
    ------
    BenchmarkError
        Naming the file and the first method, column or value at fault.
    """
    table = read_table(path, dtype=str, keep_default_na=False)
    table = with_columns(table, METHODS_COLUMNS, path)
    duplicated = table["method"][table["method"].duplicated()]
    if len(duplicated):
        raise BenchmarkError(f"{path}: method '{duplicated.iloc[0]}' occurs more than once")
    for row in table.itertuples():
        if row.anchor not in ("yes", "no"):
            raise unknown("value of column 'anchor'", row.anchor, ("yes", "no"), f"{path}: {row.method}")
        if not re.fullmatch("#[0-9a-fA-F]{6}", row.colour):
            raise BenchmarkError(f"{path}: {row.method}: colour '{row.colour}' is not of the form #rrggbb")
    table["anchor"] = table["anchor"] == "yes"
    table = table.set_index("method")
    missing = dict.fromkeys(method for method in methods if method not in table.index)
    for place, method in enumerate(missing):
        colour = FALLBACK_COLOURS[place % len(FALLBACK_COLOURS)]
        table.loc[method] = {"label": method, "colour": colour, "anchor": False, "citation": ""}
    return table
