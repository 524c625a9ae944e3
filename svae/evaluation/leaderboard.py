"""The tables of a run: read, put together, and summed up as a leaderboard."""

import numpy as np
import pandas as pd

from svae.contracts.tables import LEADERBOARD_COLUMNS, RUN_COLUMNS
from svae.errors import unknown
from svae.evaluation.selection import HINDSIGHT
from svae.evaluation.statistics import bootstrap_interval, compare
from svae.seeds import seed_from

# Names stay text even where they look like numbers ("1e-3", "10") or like missing values ("none").


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
        Metrics, see :func:`svae.evaluation.metrics.read_metrics`; those that it lacks are left out.
    methods
        See :func:`read_methods`. Anchors bound the metrics: they are not ranked and not tested.
    reference
        The method that the others are tested against, see :func:`svae.evaluation.statistics.compare`; Holm's
        correction spans the methods of one (dataset, split, metric, rule).
    seed
        Of the bootstrap.

    Returns
    -------
    One row per dataset, split, metric, method and rule: ``mean`` with its 95 % interval ``low`` to ``high``,
    over ``n`` of ``planned`` replicates; ``rank`` (1 is best, equals share the better rank; NaN for
    anchors, for the rule ``hindsight``, and where there is no value); ``p_adjusted``.

    Raises
    ------
    BenchmarkError
        If `reference` is no method at all. One that was not part of the run leaves ``p_adjusted`` NaN.
    """
    known = list(dict.fromkeys([*methods.index, *selected["method"]]))
    if reference not in known:
        raise unknown("method", reference, known, "leaderboard: reference")
    chosen = _chosen_values(metrics, selected, registry)
    anchors = set(methods.index[methods["anchor"]])
    families = [
        _family(family, key, registry.loc[key[2], "direction"], anchors, reference, seed)
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
    anchors: set[str],
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
    competing = [method for method in values if method not in anchors]
    if key[3] != HINDSIGHT:
        table["rank"] = table.loc[competing, "mean"].rank(ascending=direction == "lower", method="min")
    else:
        table["rank"] = np.nan
    table["p_adjusted"] = compare(values[competing], reference, seed)["p_adjusted"]
    table[["dataset", "split", "metric", "rule"]] = key
    return table.rename_axis("method").reset_index()
