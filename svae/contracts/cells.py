"""Cells are found by their names: files may hold them in any order."""

import numpy as np
import pandas as pd

from svae.errors import BenchmarkError


def locate_cells(wanted: pd.Index, cells: pd.Index, owner: str) -> np.ndarray:
    """Return the places of the `wanted` cells among the `cells` of `owner`, integers.

    Raises
    ------
    BenchmarkError
        Naming the first cell that `owner` does not have.
    """
    rows = cells.get_indexer(wanted)
    if (rows < 0).any():
        raise BenchmarkError(f"cell '{wanted[rows < 0][0]}' is not a cell of {owner}")
    return rows
