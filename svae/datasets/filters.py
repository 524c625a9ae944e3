"""Which cells pass the filters of a preparation."""

import numpy as np
import pandas as pd

from svae.datasets.preparation import Bounds, Scalar
from svae.errors import BenchmarkError, unknown


def passes(column: pd.Series, rule: Scalar | list[Scalar] | Bounds, where: str) -> np.ndarray:
    """Say which entries of a column pass a filter.

    Parameters
    ----------
    column
        A column of ``obs``.
    rule
        A value, several of them, or bounds. A missing entry passes none.
    where
        Name of file and filter, for error messages.

    Returns
    -------
    One boolean per cell.

    Raises
    ------
    BenchmarkError
        If no entry has the value, or bounds are asked of a column that is not numeric.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if isinstance(rule, Bounds):
        return _within(column, rule, where)
    passing = np.zeros(len(column), dtype=bool)
    for value in rule if isinstance(rule, list) else [rule]:
        equal = _equals(column, value)
        if not equal.any():
            raise unknown("value", value, column.astype(str).unique(), where)
        passing |= equal
    return passing


def _within(column: pd.Series, bounds: Bounds, where: str) -> np.ndarray:
    if not pd.api.types.is_numeric_dtype(column):
        raise BenchmarkError(f"{where}: obs['{column.name}'] is not numeric, so it takes values, not bounds")
    numbers = column.to_numpy(dtype=float, na_value=np.nan)
    lowest = -np.inf if bounds.min is None else bounds.min
    highest = np.inf if bounds.max is None else bounds.max
    return (numbers >= lowest) & (numbers <= highest)


def _equals(column: pd.Series, value: Scalar) -> np.ndarray:
    """Say which entries are `value`: as they are written, or else as truth values or numbers.

    What a file holds and what YAML reads of a config may be written in several ways: 1, 1.0 and "1"; or true,
    True and "TRUE". A text in the config that is in the column as it stands means no other.
    """
    texts, text = column.astype(str), str(value)
    if isinstance(value, bool):
        texts, text = texts.str.casefold(), text.casefold()
    as_written = (texts == text).to_numpy() & column.notna().to_numpy()
    if as_written.any() and isinstance(value, str):
        return as_written
    numbers = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    return as_written | (numbers == pd.to_numeric(value, errors="coerce"))
