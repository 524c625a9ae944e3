"""The leaderboard: the replicates of every method summed up, ranked, and compared with a reference."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from svae.contracts.tables import LEADERBOARD_COLUMNS, RUN_COLUMNS
from svae.errors import unknown
from svae.evaluation.metrics import METRICS
from svae.evaluation.selection import RULES
from svae.evaluation.statistics import compare, t_interval, verdict

FAMILY_COLUMNS = ["dataset", "split", "metric", "rule"]
"""Methods are ranked, and tested against the reference, among the rows that share these."""


def leaderboard(
    metrics: pd.DataFrame,
    selected: pd.DataFrame,
    methods: pd.DataFrame,
    reference: str,
) -> pd.DataFrame:
    """Sum up the replicates of every method, for the setting that each rule chose.

    Parameters
    ----------
    metrics
        ``dataset``, ``split``, ``replicate``, ``method``, ``setting``, ``metric``, ``value``; values of
        names that are no metrics are left out.
    selected
        As :func:`svae.evaluation.selection.select` gives it; one row per planned run and rule.
    methods
        Indexed by method, with the boolean column ``anchor``. Anchors bound the metrics: they are not
        ranked and not tested.
    reference
        The method that the others are compared with, see :func:`svae.evaluation.statistics.compare`; Holm's
        correction spans the methods of one (dataset, split, metric, rule).

    Returns
    -------
    One row per dataset, split, metric, method and rule: ``mean`` with its 95 % interval ``low`` to ``high``,
    over ``n`` of ``planned`` replicates, in ``fallbacks`` of which the rule made no choice and the fixed
    setting was taken, while ``failed`` of them ended without a fit; ``rank`` (1 is best, equals share the
    better rank; NaN for anchors, for rules that see the truth, and where there is no value).

    Beside it the ``difference`` to the reference with its interval ``difference_low`` to ``difference_high``,
    over so many ``pairs``; ``p``, ``p_adjusted``, and the ``verdict`` of
    :func:`svae.evaluation.statistics.verdict`. They are NaN for the reference itself and for anchors.

    Raises
    ------
    BenchmarkError
        If `reference` is no method at all. One that was not part of the run leaves the differences NaN.
    """
    known = list(dict.fromkeys([*methods.index, *selected["method"]]))
    if reference not in known:
        raise unknown("method", reference, known, "leaderboard: reference")
    anchors = set(methods.index[methods["anchor"]])
    families = [
        _summary(rows).assign(rank=_ranks(rows, anchors)).join(_differences(rows, anchors, reference))
        for _, rows in _chosen_values(metrics, selected).groupby(FAMILY_COLUMNS, sort=False)
    ]
    if not families:
        return pd.DataFrame(columns=list(LEADERBOARD_COLUMNS))
    table = pd.concat([family.rename_axis("method").reset_index() for family in families], ignore_index=True)
    return table[list(LEADERBOARD_COLUMNS)]


def _chosen_values(metrics: pd.DataFrame, selected: pd.DataFrame) -> pd.DataFrame:
    """One row per planned run, rule and metric; value NaN where nothing was chosen or computed."""
    computed = set(metrics["metric"])
    names = pd.DataFrame({"metric": [name for name in METRICS if name in computed]}, dtype=object)
    planned = selected.merge(names, how="cross")
    planned["setting"] = planned["setting"].astype(object)  # it is of numbers if no run has a choice
    keys = [*RUN_COLUMNS, "setting", "metric"]
    return planned.merge(metrics[[*keys, "value"]], on=keys, how="left", validate="many_to_one")


def _summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean, interval and counts of the methods of one family, indexed by method in the order of the run."""
    family = rows[FAMILY_COLUMNS].iloc[0]
    metric = METRICS[family["metric"]]
    summaries = {}
    for method, of_method in rows.groupby("method", sort=False):
        values = of_method["value"].astype(float)
        low, high = t_interval(values)
        summaries[method] = {
            **family,
            "mean": values.mean(),
            # No mean leaves the range of its metric, so cutting the interval to it costs no coverage.
            # A comparison with NaN is false: NaN stays, and a bound that there is not cuts nothing.
            "low": metric.low if low < metric.low else low,
            "high": metric.high if high > metric.high else high,
            "n": values.count(),
            "planned": len(of_method),
            "fallbacks": (of_method["outcome"] == "fallback").sum(),
            "failed": (of_method["outcome"] == "failed").sum(),
        }
    return pd.DataFrame.from_dict(summaries, orient="index")


def _differences(rows: pd.DataFrame, anchors: Collection[str], reference: str) -> pd.DataFrame:
    """Differences of the methods of one family to the reference, indexed by method."""
    margin = METRICS[rows["metric"].iloc[0]].margin
    table = compare(_competing(rows, anchors), reference)
    table["verdict"] = [
        verdict(row.low, row.high, margin, row.p_adjusted) if row.n else np.nan for row in table.itertuples()
    ]
    return table.rename(columns={"low": "difference_low", "high": "difference_high", "n": "pairs"})


def _competing(rows: pd.DataFrame, anchors: Collection[str]) -> pd.DataFrame:
    """Values of the methods of one family that are ranked and tested, replicate × method."""
    competing = rows[~rows["method"].isin(anchors)]
    values = competing.pivot(index="replicate", columns="method", values="value").astype(float)
    return values[competing["method"].unique()]  # in the order of the run, not of the alphabet


def _ranks(rows: pd.DataFrame, anchors: Collection[str]) -> pd.Series:
    """Ranks of the methods of one family by their means; empty for a rule that sees the truth."""
    metric, rule = rows["metric"].iloc[0], rows["rule"].iloc[0]
    if RULES[rule].sees_truth:
        return pd.Series(dtype=float)
    lower_is_better = METRICS[metric].direction == "lower"
    return _competing(rows, anchors).mean().rank(ascending=lower_is_better, method="min")
