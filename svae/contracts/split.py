"""The split file: which perturbations are held out, and what each cell is used for."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from svae.contracts.combinations import is_combination, parts_of
from svae.errors import BenchmarkError, unknown
from svae.files import read_table, write_table
from svae.words import CONTROL, Part

COLUMNS = ("cell", "perturbation", "part")

PARTS = get_args(Part)

SEEN_PARTS: tuple[Part, ...] = ("train", "validation")
"""Parts of the perturbations that a method is trained on."""

HELD_OUT_PARTS: tuple[Part, ...] = ("adapt", "test")
"""Parts of the other perturbations: cells that a method may adapt to, and cells that test it."""


def cells_of(split: pd.DataFrame, *parts: Part) -> pd.Series:
    """Perturbation of each cell of some parts, indexed by cell, in the order of the split."""
    rows = split[split["part"].isin(parts)]
    return pd.Series(rows["perturbation"].to_numpy(), pd.Index(rows["cell"].astype(str)), name="perturbation")


def seen_cells(split: pd.DataFrame) -> pd.Series:
    """Perturbation of each cell that is trained or validated on, indexed by cell."""
    return cells_of(split, *SEEN_PARTS)


def shown_cells(split: pd.DataFrame) -> pd.Series:
    """Perturbation of each cell that a method may look at: those seen in training, and of part ``adapt``."""
    return cells_of(split, *SEEN_PARTS, "adapt")


def held_out_cells(split: pd.DataFrame) -> pd.Series:
    """Perturbation of each cell of the held-out perturbations, indexed by cell."""
    return cells_of(split, *HELD_OUT_PARTS)


def trained_perturbations(split: pd.DataFrame) -> pd.Index:
    """Perturbations that are trained on, in the order of their first cells; control is none."""
    return pd.Index(trained_cells(split).unique())


def trained_cells(split: pd.DataFrame) -> pd.Series:
    """Perturbation of each cell that is trained or validated on, without the control, indexed by cell."""
    seen = seen_cells(split)
    return seen[seen != CONTROL]


def combinations_of_trained(split: pd.DataFrame) -> pd.Index:
    """Held-out combinations (``A+B``) all of whose parts are trained perturbations, sorted."""
    trained = set(trained_perturbations(split))
    held_out = sorted(held_out_cells(split).unique())
    return pd.Index(
        [p for p in held_out if is_combination(p) and trained.issuperset(parts_of(p))], dtype=object
    )


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
    (adapt, test), in which case it has cells in both halves; cells of any may be unused. With `labels`
    (perturbation of each cell of the dataset, indexed by cell), cells and perturbations are the dataset's, in
    its order.
    """
    for column in COLUMNS:
        if column not in table:
            found = ", ".join(map(str, table.columns))
            raise BenchmarkError(f"{path}: column '{column}' is missing (has {found})")
    for column in ("cell", "perturbation"):
        blank = table[column].isna() | (table[column].astype(str).str.strip() == "")
        if blank.any():
            raise BenchmarkError(f"{path}: row {blank.argmax() + 1} names no {column}")
    repeated = table["cell"][table["cell"].duplicated()]
    if len(repeated):
        raise BenchmarkError(f"{path}: cell '{repeated.iloc[0]}' occurs more than once")
    strange = table["part"][~table["part"].isin(PARTS)]
    if len(strange):
        raise unknown("part", strange.iloc[0], PARTS, str(path))
    present = pd.crosstab(table["perturbation"], table["part"]).reindex(columns=list(PARTS), fill_value=0) > 0
    halves = present[list(HELD_OUT_PARTS)]
    mixed = present.index[halves.any(axis=1) & present[list(SEEN_PARTS)].any(axis=1)]
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
