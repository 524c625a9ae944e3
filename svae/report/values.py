"""What figures and pages compute from the tables of a run."""

from collections.abc import Iterable, Iterator

import pandas as pd

from svae.contracts.tables import RUN_COLUMNS
from svae.evaluation.metrics import within_range
from svae.evaluation.selection import HINDSIGHT
from svae.evaluation.statistics import t_interval
from svae.report.tables import Tables

RUN = list(RUN_COLUMNS)
FACET = ["dataset", "split"]
"""What a run is split by in every figure and page: one facet per dataset and split."""
SPREAD = ["mean", "low", "high", "n", "planned"]
"""Mean over replicates, its 95 % interval, replicates with a value, replicates of dataset and split."""


def first_fits(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of the first split and replicate of each dataset, of a table about one method.

    Latents of different fits have nothing to do with each other, so that figures of them show one fit.
    """
    fits = []
    for _, rows in table.groupby("dataset", sort=False):
        first = rows.iloc[0]
        fits.append(rows[(rows["split"] == first["split"]) & (rows["replicate"] == first["replicate"])])
    return fits


def measured(tables: Tables, metrics: Iterable[str]) -> list[str]:
    """Those of `metrics` that have a value for any method under the main rule."""
    board = tables.leaderboard
    with_value = set(board.loc[(board["rule"] == tables.rule) & board["mean"].notna(), "metric"])
    return [metric for metric in metrics if metric in with_value]


def chosen_values(tables: Tables, metrics: Iterable[str]) -> pd.DataFrame:
    """Look up the values of the settings that the main rule and the hindsight rule chose.

    Returns
    -------
    One row per planned replicate, method, rule and metric: the facet, ``metric``, ``method``, ``rule``,
    ``replicate``, ``setting``, ``outcome``, ``value`` (NaN where there is none), and the columns of
    :data:`SPREAD`, which are equal for all replicates.
    """
    planned = tables.selected[tables.selected["rule"].isin([tables.rule, HINDSIGHT])]
    planned = planned.merge(pd.DataFrame({"metric": list(metrics)}), how="cross")
    table = planned.merge(tables.metrics, on=[*RUN, "setting", "metric"], how="left")
    keys = [*FACET, "metric", "method", "rule"]
    table = table.merge(tables.leaderboard[[*keys, *SPREAD]], on=keys, how="left")
    return table[[*keys, "replicate", "setting", "outcome", "value", *SPREAD]]


def summarise(values: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Summarise the column ``value`` over replicates, for each group of the columns `by`.

    `by` begins with :data:`FACET`. The other columns of the result are those of :data:`SPREAD`.
    """
    planned = values.groupby(FACET, sort=False)["replicate"].nunique()
    rows = []
    for key, group in values.groupby(by, sort=False, dropna=False):
        low, high = t_interval(group["value"])
        rows.append((*key, group["value"].mean(), low, high, group["value"].count(), planned[key[:2]]))
    return pd.DataFrame(rows, columns=[*by, *SPREAD])


def facets(table: pd.DataFrame, value: str = "value") -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Yield each dataset and split that has any number in the column `value`, with its rows."""
    for facet, group in table.groupby(FACET, sort=False):
        if group[value].notna().any():
            yield facet, group


def by_setting(
    tables: Tables, parameter: str, metrics: Iterable[str], methods: Iterable[str]
) -> pd.DataFrame:
    """Average metrics at each value of a parameter in which the settings of a method differ.

    Settings with the same value, such as restarts, are averaged within a replicate first. The result
    is what one gets on average from a single fit with that value.

    Parameters
    ----------
    tables
        Of the run.
    parameter
        Name of a numeric parameter, such as ``penalty``. Only positive values are kept, because they are
        drawn on a logarithmic axis.
    metrics, methods
        The metrics to average, and the methods to look at. Methods whose settings do not differ in
        `parameter` are left out.

    Returns
    -------
    Facet, ``method``, ``metric``, ``x`` (the value of the parameter), and the columns of :data:`SPREAD`.
    """
    settings = tables.settings[tables.settings["parameter"] == parameter]
    settings = settings.assign(x=pd.to_numeric(settings["value"], errors="coerce"))
    settings = settings[settings["method"].isin(list(methods)) & (settings["x"] > 0)]
    different_values = settings.groupby("method")["x"].transform("nunique")
    settings = settings.loc[different_values > 1, ["method", "setting", "x"]]
    values = tables.metrics[tables.metrics["metric"].isin(list(metrics))]
    values = values.merge(settings, on=["method", "setting"])
    keys = [*FACET, "method", "metric", "x"]
    runs = values.groupby([*keys, "replicate"], sort=False, as_index=False)["value"].mean()
    return within_range(summarise(runs, keys)).sort_values("x", kind="stable", ignore_index=True)
