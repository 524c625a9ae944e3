"""The tidy tables of a run: their columns, and how they are read and put together."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.contracts.job import Job
from svae.errors import BenchmarkError
from svae.files import read_table

RUN_COLUMNS = Job._fields


METRICS_COLUMNS = (*RUN_COLUMNS, "setting", "metric", "value")


SELECTED_COLUMNS = (*RUN_COLUMNS, "rule", "setting", "outcome")


STATUS_COLUMNS = (*RUN_COLUMNS, "setting", "status", "message", "seconds", "peak_memory_mb", "device", "seed")


HISTORY_COLUMNS = (*RUN_COLUMNS, "setting", "epoch", "train", "validation")


TARGETS_COLUMNS = (
    *(*RUN_COLUMNS, "setting", "perturbation", "part"),
    *("latent", "probability", "shift", "true"),
)


LEADERBOARD_COLUMNS = (
    *("dataset", "split", "metric", "method", "rule"),
    *("mean", "low", "high", "n", "planned", "fallbacks", "failed", "rank", "p_adjusted"),
)


_TEXT = ("dataset", "split", "method", "setting", "rule", "metric", "status", "message", "device", "outcome")


def read_tidy(path: str | Path, columns: Iterable[str]) -> pd.DataFrame:
    """Read a table with the given `columns`, in that order; an empty field is NaN.

    Raises
    ------
    BenchmarkError
        Naming the file and the column that it lacks.
    """
    return with_columns(_read(path), columns, path)


def _read(path: str | Path) -> pd.DataFrame:
    return read_table(path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values=[""])


def concatenate(paths: Iterable[str | Path], columns: Iterable[str]) -> pd.DataFrame:
    """Stack the tables at `paths`, all with the given `columns`, in the order of `paths`."""
    columns = list(columns)
    parts = [read_tidy(path, columns) for path in paths]
    filled = [part for part in parts if len(part)]  # an empty part would spoil the columns' types
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=columns)


def concatenate_status(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Stack status tables, whose label-free scores (further columns) differ between methods."""
    parts = [
        read_table(path, dtype=dict.fromkeys(_TEXT, str), keep_default_na=False, na_values=[""])
        for path in paths
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[[*STATUS_COLUMNS, *sorted(set(table) - set(STATUS_COLUMNS))]]


def with_run(table: pd.DataFrame, **run: object) -> pd.DataFrame:
    """Put columns that name the run (``dataset="…", split="…", …``) in front of `table`."""
    return pd.DataFrame({**{name: [value] * len(table) for name, value in run.items()}, **table})


def with_columns(table: pd.DataFrame, columns: Iterable[str], path: str | Path) -> pd.DataFrame:
    """Return the given `columns` of `table`, or raise naming `path` and the first that it lacks."""
    for column in columns:
        if column not in table:
            found = ", ".join(table.columns)
            raise BenchmarkError(f"{path}: column '{column}' is missing (columns: {found})")
    return table[list(columns)].copy()
