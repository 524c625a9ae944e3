"""The metrics, one file per question: every function that is decorated in a file of this folder is one."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import get_args

import pandas as pd

from svae.errors import unknown
from svae.evaluation.metric import REGISTERED, Metric, Question

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")


def _in_order() -> Mapping[str, Metric]:
    """All metrics by name: question after question, in each as they stand in the files."""
    questions = get_args(Question)
    metrics = sorted(REGISTERED.values(), key=lambda metric: questions.index(metric.question))
    return {metric.name: metric for metric in metrics}


METRICS = _in_order()
"""All metrics by name, in the order of the tables."""


def choose_metrics(names: Iterable[str], where: str) -> list[Metric]:
    """Return the metrics called `names`; `where` is the file and key that asks for them.

    Raises
    ------
    BenchmarkError
        Naming the first name that is no metric, and the nearest metric.
    """
    names = list(names)
    for name in names:
        if name not in METRICS:
            raise unknown("metric", name, METRICS, where)
    return [METRICS[name] for name in names]


def within_range(table: pd.DataFrame) -> pd.DataFrame:
    """Cut intervals of means to the range of their metric, which costs no coverage.

    Parameters
    ----------
    table
        One row per mean: its ``metric``, and its interval ``low`` to ``high``, NaN where there is none.
    """
    metrics = [METRICS[name] for name in table["metric"]]
    lowest = pd.Series([metric.low for metric in metrics], table.index, dtype=float)  # NaN where unbounded
    highest = pd.Series([metric.high for metric in metrics], table.index, dtype=float)
    return table.assign(low=table["low"].clip(lower=lowest), high=table["high"].clip(upper=highest))


def metrics_table() -> pd.DataFrame:
    """Describe all metrics.

    Returns
    -------
    One row per metric, indexed by its name (``metric``): ``label``, ``question``, ``direction`` (``higher``
    or ``lower`` is better), ``low`` and ``high`` (range; NaN where unbounded), ``needs`` (joined by commas),
    ``original`` (True: as the released code of Lopez et al. 2023 does it), ``decimals``, ``headline``,
    ``margin`` (size below which a difference does not matter; NaN if none is stated), ``citation``.
    """
    rows = [
        {
            "metric": metric.name,
            "label": metric.label,
            "question": metric.question,
            "direction": metric.direction,
            "low": metric.low,
            "high": metric.high,
            "needs": ",".join(metric.needs),
            "original": metric.original,
            "decimals": metric.decimals,
            "headline": metric.headline,
            "margin": metric.margin,
            "citation": metric.citation,
        }
        for metric in METRICS.values()
    ]
    return pd.DataFrame(rows).set_index("metric")
