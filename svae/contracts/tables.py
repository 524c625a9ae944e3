"""The tidy tables of a run: their columns, and how they are read and put together."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.contracts.job import Job
from svae.errors import BenchmarkError
from svae.files import read_table

RUN_COLUMNS = Job._fields


METRICS_COLUMNS = (*RUN_COLUMNS, "setting", "metric", "value")
HELD_OUT_COLUMNS = (*RUN_COLUMNS, "setting", "metric", "perturbation", "effect", "value")
SELECTED_COLUMNS = (*RUN_COLUMNS, "rule", "setting", "outcome")
STATUS_COLUMNS = (
    *(*RUN_COLUMNS, "setting", "status", "message", "seconds", "peak_memory_mb", "device", "seed"),
    *("validation_rise", "warnings"),  # what is doubtful about the fit, separated by semicolons
    "fit",  # the file
)
SETTINGS_COLUMNS = ("method", "setting", "parameter", "value")
WARNINGS_COLUMNS = ("dataset", "split", "method", "warning", "detail", "n", "planned")
HISTORY_COLUMNS = (*RUN_COLUMNS, "setting", "epoch", "train", "validation")
TARGETS_COLUMNS = (*RUN_COLUMNS, "setting", "perturbation", "part", "latent", "probability", "shift", "true")
PERTURBATIONS_COLUMNS = (
    *(*RUN_COLUMNS, "setting", "perturbation", "part", "cells", "effect", "own_change", "responding"),
    *("differential", "called", "agreed"),  # numbers of genes
)
LATENT_GENES_COLUMNS = (*RUN_COLUMNS, "setting", "latent", "gene", "probability", "log2_fold_change")
ENRICHMENT_COLUMNS = (
    *(*RUN_COLUMNS, "setting", "latent", "gene_set", "genes"),
    *("score", "p", "p_adjusted", "leading"),
)
PATHWAYS_COLUMNS = ("dataset", "perturbation", "gene_set")
PREDICTIVE_COLUMNS = (*RUN_COLUMNS, "setting", "statistic", "gene", "generated", "real")
EMBEDDING_COLUMNS = (
    *(*RUN_COLUMNS, "setting", "cell", "perturbation", "part"),
    *("batch", "x", "y", "batches_nearby"),
)

ENTRY_COLUMNS = ("dataset", "split", "metric", "method", "rule")
"""What a row of the leaderboard sums up the replicates of."""

SUMMARY_COLUMNS = ("mean", "low", "high", "n", "planned", "perturbations", "fallbacks", "failed", "rank")
"""What it says of them: the mean and its 95 % interval, of how many, and the place of the method. On real
data mean and interval are over held-out perturbations, and these are counted, too."""

DIFFERENCE_COLUMNS = (
    "difference",
    "difference_low",
    "difference_high",
    "pairs",
    "unit",
    "p",
    "p_adjusted",
    "verdict",
)
"""What it says of the difference to the reference method, over so many pairs of a unit: a replicate, or on
real data a held-out perturbation."""

WEIGHTED_COLUMNS = (
    "weighted_difference",
    "weighted_low",
    "weighted_high",
    "weighted_pairs",
    "weighted_p",
    "weighted_p_adjusted",
)
"""The same difference weighted by the effect sizes of held-out perturbations, and of how many pairs of equal
weight it is worth."""

LEADERBOARD_COLUMNS = (*ENTRY_COLUMNS, *SUMMARY_COLUMNS, *DIFFERENCE_COLUMNS, *WEIGHTED_COLUMNS)

TEXT_COLUMNS = (
    *(*ENTRY_COLUMNS, "setting", "outcome", "status", "message", "device", "unit", "verdict"),
    *("warnings", "warning", "detail", "perturbation", "gene", "gene_set", "leading"),
    *("statistic", "batch", "cell"),
)
"""Columns of names and sentences, which stay text where they look like numbers (the setting "10")."""


def read_tidy(path: str | Path, columns: Iterable[str]) -> pd.DataFrame:
    """Read a table with the given `columns`, in that order; an empty field is NaN.

    Raises
    ------
    BenchmarkError
        Naming the file and the column that it lacks.
    """
    return with_columns(_read(path), columns, path)


def read_status(path: str | Path) -> pd.DataFrame:
    """Read a table of statuses: :data:`STATUS_COLUMNS`, then the label-free scores that the fits carry.

    Raises
    ------
    BenchmarkError
        Naming the file and the column that it lacks.
    """
    table = _read(path)
    scores = sorted(set(table) - set(STATUS_COLUMNS))
    return with_columns(table, [*STATUS_COLUMNS, *scores], path)


def concatenate(paths: Iterable[str | Path], columns: Iterable[str]) -> pd.DataFrame:
    """Stack the tables at `paths`, all with the given `columns`, in the order of `paths`."""
    columns = list(columns)
    return stack((read_tidy(path, columns) for path in paths), columns)


def stack(tables: Iterable[pd.DataFrame], columns: Iterable[str]) -> pd.DataFrame:
    """Put `tables` below each other, and keep the given `columns`; there may be no table at all."""
    columns = list(columns)
    filled = [table for table in tables if len(table)]  # an empty one would spoil the columns' types
    return pd.concat(filled, ignore_index=True)[columns] if filled else pd.DataFrame(columns=columns)


def concatenate_status(paths: Iterable[str | Path]) -> pd.DataFrame:
    """Stack tables of statuses, whose label-free scores differ between methods, in the order of `paths`."""
    table = pd.concat([read_status(path) for path in paths], ignore_index=True)
    scores = sorted(set(table) - set(STATUS_COLUMNS))
    return table[[*STATUS_COLUMNS, *scores]]


def _read(path: str | Path) -> pd.DataFrame:
    """Read a table; only an empty field is NaN, since a setting may be called "none"."""
    return read_table(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False, na_values=[""])


def with_run(table: pd.DataFrame, **run: object) -> pd.DataFrame:
    """Put columns that name the run (``dataset="…", split="…", …``) in front of `table`."""
    return table.assign(**run)[[*run, *table.columns]]


def with_columns(table: pd.DataFrame, columns: Iterable[str], path: str | Path) -> pd.DataFrame:
    """Return the given `columns` of `table`, or raise naming `path` and the first that it lacks."""
    for column in columns:
        if column not in table:
            found = ", ".join(table.columns)
            raise BenchmarkError(f"{path}: column '{column}' is missing (columns: {found})")
    return table[list(columns)].copy()
