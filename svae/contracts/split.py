"""The split file: which perturbations are held out, and what each cell is used for."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from svae.errors import BenchmarkError, unknown
from svae.files import read_table, write_table
from svae.words import Part

COLUMNS = ("cell", "perturbation", "part")


PARTS = get_args(Part)


HELD_OUT_PARTS = ("adapt", "test")


def read_split(path: str | Path, labels: pd.Series | None = None) -> pd.DataFrame:
    """Read and validate the split at `path`; `labels`, where given, are those of its dataset."""
    # A cell or a perturbation may be called NA.
    table = read_table(path, dtype=str, keep_default_na=False)
    validate_split(table, path, labels)
    return table


def write_split(table: pd.DataFrame, path: str | Path, labels: pd.Series | None = None) -> None:
    """Validate `table` and write it to `path` in one piece."""
    validate_split(table, path, labels)
    write_table(table[list(COLUMNS)], path)


def validate_split(table: pd.DataFrame, path: str | Path, labels: pd.Series | None = None) -> None:
    """Raise a :class:`BenchmarkError` that names `path` and the first broken rule of a split.

    Every cell has one known part; a perturbation is either trained on (train, validation) or held out
    (adapt, test), in which case it has cells in both halves. With `labels` (perturbation of each cell of the
    dataset, indexed by cell), cells and perturbations are the dataset's, in its order.
    """
    for column in COLUMNS:
        if column not in table:
            raise BenchmarkError(f"{path}: column '{column}' is missing (has {', '.join(table.columns)})")
    repeated = table["cell"][table["cell"].duplicated()]
    if len(repeated):
        raise BenchmarkError(f"{path}: cell '{repeated.iloc[0]}' occurs more than once")
    strange = table["part"][~table["part"].isin(PARTS)]
    if len(strange):
        raise unknown("part", strange.iloc[0], PARTS, str(path))
    present = pd.crosstab(table["perturbation"], table["part"]).reindex(columns=list(PARTS), fill_value=0) > 0
    halves = present[list(HELD_OUT_PARTS)]
    mixed = present.index[halves.any(axis=1) & present[["train", "validation"]].any(axis=1)]
    if len(mixed):
        raise BenchmarkError(f"{path}: perturbation '{mixed[0]}' is both trained on and held out")
    halved = present.index[halves.any(axis=1) & ~halves.all(axis=1)]
    if len(halved):
        raise BenchmarkError(
            f"{path}: held-out perturbation '{halved[0]}' lacks cells to adapt on or to test"
        )
    if not present["train"].any():
        raise BenchmarkError(f"{path}: no cell has the part 'train'")
    if labels is None:
        return
    if not pd.Index(table["cell"]).equals(pd.Index(labels.index.astype(str))):
        raise BenchmarkError(f"{path}: the cells are not those of the dataset, in its order")
    other = np.flatnonzero(table["perturbation"].to_numpy() != labels.astype(str).to_numpy())
    if len(other):
        row = table.iloc[other[0]]
        raise BenchmarkError(
            f"{path}: cell '{row['cell']}' is labelled '{row['perturbation']}', "
            f"but '{labels.iloc[other[0]]}' in the dataset"
        )
