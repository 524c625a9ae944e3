"""The tables of a run: read, put together, and summed up as a leaderboard."""

import re
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from svae.errors import BenchmarkError, unknown
from svae.files import read_table
from svae.seeds import seed_from
from svae.selection import ORACLE
from svae.statistics import bootstrap_interval, compare

RUN_COLUMNS = ("dataset", "split", "replicate", "method")
METRICS_COLUMNS = (*RUN_COLUMNS, "setting", "metric", "value")
SELECTED_COLUMNS = (*RUN_COLUMNS, "rule", "setting")
STATUS_COLUMNS = (*RUN_COLUMNS, "setting", "status", "message", "seconds", "peak_memory_mb", "device", "seed")
HISTORY_COLUMNS = (*RUN_COLUMNS, "setting", "epoch", "train", "validation")
TARGETS_COLUMNS = (
    *(*RUN_COLUMNS, "setting", "perturbation", "part"),
    *("latent", "probability", "shift", "true"),
)
LEADERBOARD_COLUMNS = (
    *("dataset", "split", "metric", "method", "rule"),
    *("mean", "low", "high", "n", "planned", "rank", "p_adjusted"),
)

METHODS_COLUMNS = ("method", "label", "colour", "control", "citation")
FALLBACK_COLOURS = ("#17807e", "#d16ba5", "#3f4fa3", "#9c4f2f", "#6f8f1f", "#c9a400", "#00a0c6", "#7a2048")

# Names stay text even where they look like numbers ("1e-3", "10") or like missing values ("none").
_TEXT = ("dataset", "split", "method", "setting", "rule", "metric", "status", "message", "device")


def read_tidy(path: str | Path, columns: Iterable[str]) -> pd.DataFrame:
    """Read a table with the given `columns`, in that order; an empty field is NaN.

    Raises
    ------
    BenchmarkError
        Naming the file and the column that it lacks.
    """
    return _with_columns(_read(path), columns, path)


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


def read_methods(path: str | Path, methods: Iterable[str] = ()) -> pd.DataFrame:
    """Read and validate the table of methods.

    Parameters
    ----------
    path
        ``config/methods.tsv``: ``method``, ``label``, ``colour`` (#rrggbb), ``control`` (yes or no),
        ``citation``.
    methods
        Methods of the run. One that the table lacks is labelled with its name and coloured from a
        fixed palette, so that adding a method takes no other file.

    Returns
    -------
    Indexed by ``method``, in the table's order, then in that of `methods`; ``control`` is boolean.

    Raises
    ------
    BenchmarkError
        Naming the file and the first method, column or value at fault.
    """
    table = read_table(path, dtype=str, keep_default_na=False)
    table = _with_columns(table, METHODS_COLUMNS, path)
    duplicated = table["method"][table["method"].duplicated()]
    if len(duplicated):
        raise BenchmarkError(f"{path}: method '{duplicated.iloc[0]}' occurs more than once")
    for row in table.itertuples():
        if row.control not in ("yes", "no"):
            raise unknown("value of column 'control'", row.control, ("yes", "no"), f"{path}: {row.method}")
        if not re.fullmatch("#[0-9a-fA-F]{6}", row.colour):
            raise BenchmarkError(f"{path}: {row.method}: colour '{row.colour}' is not of the form #rrggbb")
    table["control"] = table["control"] == "yes"
    table = table.set_index("method")
    missing = dict.fromkeys(method for method in methods if method not in table.index)
    for place, method in enumerate(missing):
        colour = FALLBACK_COLOURS[place % len(FALLBACK_COLOURS)]
        table.loc[method] = {"label": method, "colour": colour, "control": False, "citation": ""}
    return table


def leaderboard(
    metrics: pd.DataFrame,
    selected: pd.DataFrame,
    registry: pd.DataFrame,
    methods: pd.DataFrame,
    reference: str,
    seed: int = 0,
) -> pd.DataFrame:
    """Sum up the replicates of every method, for the setting that each rule chose.

    Parameters
    ----------
    metrics
        ``dataset``, ``split``, ``replicate``, ``method``, ``setting``, ``metric``, ``value``.
    selected
        ``dataset``, ``split``, ``replicate``, ``method``, ``rule``, ``setting``; one row per planned run.
    registry
        Metrics, see :func:`svae.metrics.read_metrics`; those that it lacks are left out.
    methods
        See :func:`read_methods`. Controls bound the metrics: they are not ranked and not tested.
    reference
        The method that the others are tested against, see :func:`svae.statistics.compare`; Holm's
        correction spans the methods of one (dataset, split, metric, rule).
    seed
        Of the bootstrap.

    Returns
    -------
    One row per dataset, split, metric, method and rule: ``mean`` with its 95 % interval ``low`` to ``high``,
    over ``n`` of ``planned`` replicates; ``rank`` (1 is best, equals share the better rank; NaN for
    controls, for the rule ``oracle``, and where there is no value); ``p_adjusted``.

    Raises
    ------
    BenchmarkError
        If `reference` is no method at all. One that was not part of the run leaves ``p_adjusted`` NaN.
    """
    known = list(dict.fromkeys([*methods.index, *selected["method"]]))
    if reference not in known:
        raise unknown("method", reference, known, "leaderboard: reference")
    chosen = _chosen_values(metrics, selected, registry)
    controls = set(methods.index[methods["control"]])
    families = [
        _family(family, key, registry.loc[key[2], "direction"], controls, reference, seed)
        for key, family in chosen.groupby(["dataset", "split", "metric", "rule"], sort=False)
    ]
    if not families:
        return pd.DataFrame(columns=list(LEADERBOARD_COLUMNS))
    return pd.concat(families, ignore_index=True)[list(LEADERBOARD_COLUMNS)]


def _chosen_values(metrics: pd.DataFrame, selected: pd.DataFrame, registry: pd.DataFrame) -> pd.DataFrame:
    """One row per planned run, rule and metric; value NaN where nothing was chosen or computed."""
    names = [metric for metric in registry.index if metric in set(metrics["metric"])]
    planned = selected.merge(pd.DataFrame({"metric": names}, dtype=object), how="cross")
    planned["setting"] = planned["setting"].astype(object)  # it is of numbers if no run has a choice
    keys = [*RUN_COLUMNS, "setting", "metric"]
    return planned.merge(metrics[[*keys, "value"]], on=keys, how="left", validate="many_to_one")


def _family(
    family: pd.DataFrame,
    key: tuple[str, str, str, str],
    direction: str,
    controls: set[str],
    reference: str,
    seed: int,
) -> pd.DataFrame:
    """Rows of the leaderboard for one (dataset, split, metric, rule)."""
    values = family.pivot(index="replicate", columns="method", values="value").astype(float)
    values = values[family["method"].unique()]  # in the order of the run, not of the alphabet
    table = pd.DataFrame({"mean": values.mean(), "n": values.count()})
    table["planned"] = family.groupby("method").size()
    intervals = [bootstrap_interval(values[m], seed=seed_from(seed, *key, m)) for m in values]
    table["low"], table["high"] = np.array(intervals).T
    competing = [method for method in values if method not in controls]
    if key[3] != ORACLE:
        table["rank"] = table.loc[competing, "mean"].rank(ascending=direction == "lower", method="min")
    else:
        table["rank"] = np.nan
    table["p_adjusted"] = compare(values[competing], reference, seed)["p_adjusted"]
    table[["dataset", "split", "metric", "rule"]] = key
    return table.rename_axis("method").reset_index()


def _with_columns(table: pd.DataFrame, columns: Iterable[str], path: str | Path) -> pd.DataFrame:
    for column in columns:
        if column not in table:
            found = ", ".join(table.columns)
            raise BenchmarkError(f"{path}: column '{column}' is missing (columns: {found})")
    return table[list(columns)].copy()
