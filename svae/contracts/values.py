"""Values in files that other programs may have written: each is what the contract says, or gets one sentence.

The `place` that every function takes is the file and the key, as the sentence begins.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from svae.errors import BenchmarkError, one_line

LARGEST = 1e15
"""Numbers of a larger size are refused: their squares, summed over cells, leave single precision (3e38)."""

WORDS = {"O": "text or other objects", "U": "text", "S": "text", "T": "text", "c": "complex numbers"}
"""What arrays hold that hold no real numbers, by the kind of their type."""


def array_of_numbers(values: Any, place: str) -> np.ndarray:
    """Return a dense array of real numbers; integers and booleans as they are, NaN and infinity included.

    Raises
    ------
    BenchmarkError
        If `values` is sparse, or holds text, objects or complex numbers.
    """
    from scipy.sparse import issparse  # here, because users of the names of columns need none of it

    if issparse(values):
        raise BenchmarkError(f"{place} is a sparse matrix; a dense array is needed")
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise BenchmarkError(f"{place} holds {WORDS.get(array.dtype.kind, array.dtype)}, not numbers")
    return array


def table_of_numbers(table: Any, place: str, rows_and_columns: str) -> pd.DataFrame:
    """Return a table of real numbers, NaN and infinity included, whose columns are named by texts.

    Booleans become 0 and 1, and missing values of pandas' own types NaN.

    Parameters
    ----------
    table
        What was found.
    place
        Where.
    rows_and_columns
        What the table should be of, for the sentence: "perturbation × latent".

    Raises
    ------
    BenchmarkError
        If it is no table, holds something other than numbers, or the name of a column is repeated.
    """
    if not isinstance(table, pd.DataFrame):
        raise BenchmarkError(f"{place} is not a table of {rows_and_columns}")
    names = table.columns.astype(str)
    refuse_repeated(names, "column", place)
    table = table.set_axis(names, axis=1)
    columns = {name: _column_of_numbers(table[name], place) for name in names}
    return pd.DataFrame(columns, index=table.index, columns=names)


def refuse_repeated(names: pd.Index, kind: str, place: str) -> None:
    """Raise if one of the `names`, which are those of a `kind`, occurs more than once."""
    if names.has_duplicates:
        repeated = one_line(str(names[names.duplicated()][0]))
        raise BenchmarkError(f"{place}: {kind} '{repeated}' occurs more than once")


def _column_of_numbers(column: pd.Series, place: str) -> np.ndarray:
    """Return the numbers of a column, of NumPy's types."""
    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_complex_dtype(column):
        kind = WORDS.get(column.dtype.kind, "something else")
        raise BenchmarkError(f"{place}, column '{one_line(str(column.name))}', holds {kind}, not numbers")
    if column.dtype.kind in "iuf" and isinstance(column.dtype, np.dtype):
        return column.to_numpy()
    return column.to_numpy(dtype=float, na_value=np.nan)


def refuse_unbounded(values: np.ndarray | pd.DataFrame, place: str) -> None:
    """Raise if one of the numbers is NaN or infinite, or larger than :data:`LARGEST`."""
    size = np.abs(np.asarray(values, dtype=float))
    if not np.isfinite(size).all():
        raise BenchmarkError(f"{place} holds NaN or infinite values")
    if size.max(initial=0) > LARGEST:
        raise BenchmarkError(
            f"{place} holds a value of size {size.max():.3g}; those above {LARGEST:g} are too large"
        )


def mapping(entry: Any, place: str) -> Mapping[str, Any]:
    """Return `entry` if it is a group of named values."""
    if not isinstance(entry, Mapping):
        raise BenchmarkError(f"{place} is not a group of named values")
    return entry


def text(entry: Any, place: str) -> str:
    """Return `entry` if it is a text, or an array of one, which is what R writes; as one line."""
    entry = _single(entry)
    if isinstance(entry, bytes):
        entry = entry.decode(errors="replace")
    if not isinstance(entry, str):
        raise BenchmarkError(f"{place} is {_shown(entry)}, not a text")
    return one_line(entry)


def number(entry: Any, place: str) -> float:
    """Return `entry` if it is a real number, or an array of one; NaN and infinity included."""
    entry = _single(entry)
    if isinstance(entry, bool | np.bool_) or not isinstance(entry, int | float | np.integer | np.floating):
        raise BenchmarkError(f"{place} is {_shown(entry)}, not a number")
    return float(entry)


def whole_number(entry: Any, place: str) -> int:
    """Return `entry` if it is an integer, or a number like 2.0."""
    value = number(entry, place)
    if not value.is_integer():
        raise BenchmarkError(f"{place} is {value:g}, not a whole number")
    return int(_single(entry))


def amount(entry: Any, place: str) -> float:
    """Return `entry` if it is a number of 0 or more; NaN where nothing was measured."""
    value = number(entry, place)
    if value < 0 or np.isinf(value):
        raise BenchmarkError(f"{place} is {value:g}, not a number of 0 or more")
    return value


def _single(entry: Any) -> Any:
    """Return the entry of an array of one; anything else as it is."""
    return entry.reshape(-1)[0] if isinstance(entry, np.ndarray) and entry.size == 1 else entry


def _shown(entry: Any) -> str:
    """What an entry looks like, briefly."""
    if isinstance(entry, np.ndarray):
        return f"an array of shape {entry.shape}"
    if isinstance(entry, str | bytes | int | float | np.generic):
        return one_line(repr(entry), 60)
    return f"a {type(entry).__name__}"
