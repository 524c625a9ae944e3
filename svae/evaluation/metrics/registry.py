"""The table of metrics: what each one asks, which direction is better, what it needs."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.errors import BenchmarkError, unknown
from svae.evaluation.comparison import COMPUTE, NEEDS
from svae.files import read_table

METRICS_TABLE = Path(__file__).resolve().parents[3] / "config" / "metrics.tsv"
COLUMNS = ("metric", "label", "question", "direction", "low", "high", "needs", "original", "citation")
DIRECTIONS = ("higher", "lower")


def read_metrics(path: str | Path = METRICS_TABLE) -> pd.DataFrame:
    """Read and validate the table of metrics.

    Returns
    -------
    One row per metric, in the table's order, indexed by ``metric``: ``label``, ``question``,
    ``direction`` (``higher`` or ``lower`` is better), ``low`` and ``high`` (range; NaN where unbounded),
    ``needs`` (see :func:`needs_met`), ``original`` (True: a variant of the released code), ``citation``.

    Raises
    ------
    BenchmarkError
        Naming the file and the first column, metric, direction or need that is not known.
    """
    table = read_table(path, dtype=str, keep_default_na=False)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise BenchmarkError(
            f"{path}: column '{missing[0]}' is missing (columns: {', '.join(table.columns)})"
        )
    duplicated = table["metric"][table["metric"].duplicated()]
    if len(duplicated):
        raise BenchmarkError(f"{path}: metric '{duplicated.iloc[0]}' occurs more than once")
    for row in table.itertuples():
        _among("metric", row.metric, COMPUTE, str(path))
        _among("direction", row.direction, DIRECTIONS, f"{path}: {row.metric}")
        _among("value of column 'original'", row.original, ("yes", "no"), f"{path}: {row.metric}")
        for need in filter(None, row.needs.replace("|", ",").split(",")):
            _among("need", need, NEEDS, f"{path}: {row.metric}")
        for column, bound in (("low", row.low), ("high", row.high)):
            if pd.isna(pd.to_numeric(bound or 0, errors="coerce")):
                raise BenchmarkError(f"{path}: {row.metric}: '{bound}' in column '{column}' is not a number")
    table[["low", "high"]] = table[["low", "high"]].apply(pd.to_numeric)
    table["original"] = table["original"] == "yes"
    return table.set_index("metric")


def choose_metrics(registry: pd.DataFrame, names: Iterable[str], where: str) -> pd.DataFrame:
    """Rows of `registry` for the metrics in `names`; `where` is the file and key that asks for them."""
    names = list(names)
    for name in names:
        _among("metric", name, registry.index, where)
    return registry.loc[names]


def needs_met(needs: str, available: Iterable[str]) -> bool:
    """Whether everything in `needs` is available: a comma means and, a bar means or.

    >>> needs_met("truth,targets|shifts", {"truth", "shifts"})
    True
    """
    available = set(available)
    return all(available & set(choice.split("|")) for choice in needs.split(",") if choice)


def _among(kind: str, name: str, valid: Iterable[str], where: str) -> None:
    if name not in valid:
        raise unknown(kind, name, valid, where)
