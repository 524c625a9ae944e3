"""The leaderboard: the replicates of every method summed up, ranked, and compared with a reference."""

from collections.abc import Collection

import numpy as np
import pandas as pd

from svae.contracts.tables import LEADERBOARD_COLUMNS, RUN_COLUMNS, WEIGHTED_COLUMNS
from svae.errors import unknown
from svae.evaluation.metrics import METRICS, within_range
from svae.evaluation.selection import RULES
from svae.evaluation.statistics import adjusted_means, compare, t_interval, verdict

FAMILY_COLUMNS = ["dataset", "split", "metric", "rule"]
"""Methods are ranked, and tested against the reference, among the rows that share these."""


def leaderboard(
    metrics: pd.DataFrame,
    selected: pd.DataFrame,
    methods: pd.DataFrame,
    reference: str,
    held_out: pd.DataFrame | None = None,
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
    held_out
        Values of real data for each held-out ``perturbation``, with the other columns of `metrics`; none by
        default.

    Returns
    -------
    One row per dataset, split, metric, method and rule: ``mean`` with its 95 % interval ``low`` to ``high``
    over the units that :func:`by_unit` finds; ``n`` replicates with a value, of the ``planned`` ones of the
    dataset and split, and the number of held-out ``perturbations`` if these are the units (else NaN); in
    ``fallbacks`` of the replicates the rule made no choice and the fixed setting was taken, and ``failed`` of
    them ended without a fit; ``rank`` by :func:`svae.evaluation.statistics.adjusted_means`, so that no method
    gains by lacking a hard unit (1 is best, equals share the better rank; NaN for anchors, for rules that see
    the truth, and where there is no value).

    Beside it the ``difference`` to the reference with its interval ``difference_low`` to ``difference_high``,
    over so many ``pairs`` of the ``unit`` that :func:`by_unit` finds; ``p``, ``p_adjusted``, and the
    ``verdict`` of :func:`svae.evaluation.statistics.verdict`. They are NaN for the reference itself and for
    anchors. The columns ``weighted_…`` say the same with held-out perturbations weighted by their effect
    sizes; they are NaN where these are not known, as in simulations.

    Raises
    ------
    BenchmarkError
        If `reference` is no method at all. One that was not part of the run leaves the differences NaN.
    """
    known = list(dict.fromkeys([*methods.index, *selected["method"]]))
    if reference not in known:
        raise unknown("method", reference, known, "leaderboard: reference")
    anchors = set(methods.index[methods["anchor"]])
    # Metric by metric, since every family looks through all of these values.
    held_out_of = {} if held_out is None else dict(iter(held_out.groupby("metric")))
    families: list[pd.DataFrame] = []
    silent: dict[tuple[str, str, str], pd.DataFrame] = {}
    for key, rows in _chosen_values(metrics, selected).groupby(FAMILY_COLUMNS, sort=False):
        dataset, split, metric, rule = key
        # Families without any value differ in nothing but the metric, and most metrics may have none.
        is_silent = rows["value"].isna().all()
        if is_silent and (dataset, split, rule) in silent:
            families.append(silent[dataset, split, rule].assign(metric=metric))
            continue
        values = by_unit(rows, held_out_of.get(metric))
        differences = _differences(_competing(rows, anchors), held_out_of.get(metric), reference)
        family = _summary(rows, values).assign(rank=_ranks(rows, values, anchors)).join(differences)
        families.append(family)
        if is_silent:
            silent[dataset, split, rule] = family
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


def _summary(rows: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Mean, interval and counts of the methods of one family, indexed by method in the order of the run.

    `rows` has one row per run; `values` are unit × method.
    """
    once, is_of_perturbations = values.groupby(level=0).mean(), values.index.name == "perturbation"
    low, high = t_interval(once.to_numpy().T)
    table = pd.DataFrame(
        {
            **rows[FAMILY_COLUMNS].iloc[0],
            "mean": once.mean(),
            "low": low,
            "high": high,
            "n": rows.groupby("method")["value"].count(),
            "planned": rows["replicate"].nunique(),
            "perturbations": once.count() if is_of_perturbations else np.nan,
            "fallbacks": (rows["outcome"] == "fallback").groupby(rows["method"]).sum(),
            "failed": (rows["outcome"] == "failed").groupby(rows["method"]).sum(),
        },
        values.columns,
    )
    return within_range(table)


def _differences(rows: pd.DataFrame, held_out: pd.DataFrame | None, reference: str) -> pd.DataFrame:
    """Differences of the competing methods of one family to the reference, indexed by method."""
    margin = METRICS[rows["metric"].iloc[0]].margin if len(rows) else np.nan
    values = by_unit(rows, held_out)
    table = compare(values, reference).assign(unit=values.index.name)
    table["verdict"] = [
        verdict(row.low, row.high, margin, row.p_adjusted) if row.n else np.nan for row in table.itertuples()
    ]
    table = table.rename(columns={"low": "difference_low", "high": "difference_high", "n": "pairs"})
    return table.join(weighted_differences(values, reference, effects_by_unit(rows, held_out)))


def weighted_differences(values: pd.DataFrame, reference: str, effects: pd.Series | None) -> pd.DataFrame:
    """Compare methods with the units weighted by their effect sizes.

    Parameters
    ----------
    values
        Unit × method, as :func:`by_unit` gives them.
    reference
        The method that the others are compared with.
    effects
        Effect size of each unit, as :func:`effects_by_unit` gives them.

    Returns
    -------
    Indexed by the other methods, the columns :data:`svae.contracts.tables.WEIGHTED_COLUMNS`; NaN if no
    effect size is known.
    """
    if effects is None:
        return pd.DataFrame(np.nan, values.columns.drop(reference, errors="ignore"), list(WEIGHTED_COLUMNS))
    table = compare(values, reference, effects).rename(columns={"n": "pairs"})
    return table.add_prefix("weighted_")


def by_unit(rows: pd.DataFrame, held_out: pd.DataFrame | None) -> pd.DataFrame:
    """Arrange the values of one metric by what they are replicates of.

    Parameters
    ----------
    rows
        One row per run, with the ``setting`` that a rule chose, ``metric`` and ``value``.
    held_out
        Values for each held-out ``perturbation`` of real data; None if there are none.

    Returns
    -------
    Unit × method. On real data, whose replicates share their cells, the unit is a held-out ``perturbation``,
    which has a row for each replicate that held it out; else it is a ``replicate``.
    """
    methods = rows["method"].unique()  # in the order of the run, not of the alphabet
    keys = [*RUN_COLUMNS, "setting", "metric"]
    values = rows.pivot(index="replicate", columns="method", values="value")
    if held_out is not None and len(held_out):
        of_perturbations = rows[keys].merge(held_out, on=keys)
        if len(of_perturbations):
            both = ["replicate", "perturbation"]
            values = of_perturbations.pivot(index=both, columns="method", values="value")
            values = values.droplevel("replicate")
    return values.reindex(columns=methods).astype(float)


def effects_by_unit(rows: pd.DataFrame, held_out: pd.DataFrame | None) -> pd.Series | None:
    """Return the effect size of each unit of :func:`by_unit`, whose parameters these are; None if unknown.

    Indexed by perturbation, once for each replicate and method that held it out.
    """
    if held_out is None or not len(held_out):
        return None
    keys = [*RUN_COLUMNS, "setting", "metric"]
    effects = rows[keys].merge(held_out, on=keys).set_index("perturbation")["effect"].astype(float)
    return effects if effects.gt(0).any() else None


def _competing(rows: pd.DataFrame, anchors: Collection[str]) -> pd.DataFrame:
    """Rows of the methods of one family that are ranked and compared."""
    return rows[~rows["method"].isin(anchors)]


def _ranks(rows: pd.DataFrame, values: pd.DataFrame, anchors: Collection[str]) -> pd.Series:
    """Rank the methods of one family; NaN for anchors, and for a rule that sees the truth."""
    metric, rule = rows["metric"].iloc[0], rows["rule"].iloc[0]
    means = adjusted_means(values.drop(columns=list(anchors), errors="ignore"))
    if RULES[rule].sees_truth:
        means[:] = np.nan
    lower_is_better = METRICS[metric].direction == "lower"
    return means.rank(ascending=lower_is_better, method="min").reindex(values.columns)
