"""Which method leads on a metric, and whether its lead is a win."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from svae.evaluation.statistics import compare
from svae.report.numbers import SIGNIFICANCE
from svae.report.tables import Tables
from svae.report.values import FACET, chosen_values


@dataclass(frozen=True)
class Lead:
    """The method with the best mean of a metric on one dataset and split, under the main rule.

    Attributes
    ----------
    dataset, split, metric
        Where it leads.
    method
        The method that leads.
    row
        Its row of the leaderboard.
    runner_up
        The row of the next method; None if no other has a value.
    p_adjusted
        By method, the p of paired tests of all others against the leader, adjusted by Holm's method;
        NaN where there are fewer than two pairs.
    """

    dataset: str
    split: str
    metric: str
    method: str
    row: pd.Series
    runner_up: pd.Series | None
    p_adjusted: pd.Series

    @property
    def equals(self) -> list[str]:
        """The methods that the tests cannot tell from the leader."""
        distinguished = self.p_adjusted < SIGNIFICANCE  # never true of NaN
        return list(self.p_adjusted.index[~distinguished])

    @property
    def is_win(self) -> bool:
        """Whether the leader differs from every other method."""
        return len(self.p_adjusted) > 0 and not self.equals


def find_leads(tables: Tables) -> Iterator[Lead]:
    """Yield the leader of each dataset, split and headline metric for which methods are ranked."""
    headlines = tables.registry.index[tables.registry["headline"]]
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & board["metric"].isin(headlines)]
    values = chosen_values(tables, headlines)
    values = values[values["rule"] == tables.rule]
    for (dataset, split, metric), rows in board.groupby([*FACET, "metric"], sort=False):
        ranked = rows[rows["rank"].notna() & rows["mean"].notna()].sort_values("rank", kind="stable")
        if ranked.empty:
            continue
        family = values[(values[[*FACET, "metric"]] == (dataset, split, metric)).all(axis=1)]
        by_method = family.pivot(index="replicate", columns="method", values="value")
        leader = ranked.iloc[0]
        tests = compare(by_method[list(ranked["method"])], leader["method"])
        yield Lead(
            dataset=dataset,
            split=split,
            metric=metric,
            method=leader["method"],
            row=leader,
            runner_up=ranked.iloc[1] if len(ranked) > 1 else None,
            p_adjusted=tests["p_adjusted"].astype(float),
        )


def smallest_p(replicates: int) -> float:
    """Smallest p that a paired sign-flip test can reach with so many replicates; NaN for fewer than two."""
    return 2 / 2**replicates if replicates > 1 else np.nan
