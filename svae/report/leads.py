"""Which method leads on a metric, and how far the others are behind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import get_args

import pandas as pd

from svae.evaluation.leaderboard import by_unit, effects_by_unit, weighted_differences
from svae.evaluation.statistics import compare, verdict
from svae.report.tables import Tables
from svae.report.values import FACET, chosen_values
from svae.words import Verdict


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
    others
        The other methods that are ranked, the next one first, as :func:`svae.evaluation.statistics.compare`
        gives them with the leader as the reference, over replicates or, on real data, held-out perturbations;
        beside it ``unit``, ``mean``, ``fallbacks``, ``verdict``, and the same weighted by effect sizes, as
        :func:`svae.evaluation.leaderboard.weighted_differences` gives it.
    """

    dataset: str
    split: str
    metric: str
    method: str
    row: pd.Series
    others: pd.DataFrame

    @property
    def runner_up(self) -> pd.Series | None:
        """The row of the next method; None if no other has a value."""
        return None if self.others.empty else self.others.iloc[0]

    @property
    def is_win(self) -> bool:
        """Whether the leader differs from every other method, by more than the margin may hide."""
        return len(self.others) > 0 and bool((self.others["verdict"] == "differs").all())

    def by_verdict(self) -> dict[Verdict, list[str]]:
        """Return the other methods by what their interval allows to say, the clearest verdict first."""
        verdicts = self.others["verdict"]
        return {
            word: list(verdicts.index[verdicts == word])
            for word in get_args(Verdict)
            if (verdicts == word).any()
        }


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
        by_method = by_unit(family, tables.held_out)
        leader = ranked.iloc[0]
        yield Lead(
            dataset=dataset,
            split=split,
            metric=metric,
            method=leader["method"],
            row=leader,
            others=_others(
                by_method,
                effects_by_unit(family, tables.held_out),
                ranked,
                tables.registry.loc[metric, "margin"],
            ),
        )


def _others(
    values: pd.DataFrame, effects: pd.Series | None, ranked: pd.DataFrame, margin: float
) -> pd.DataFrame:
    """Compare all but the first of the `ranked` methods with the first; `values` are unit × method."""
    methods = ranked.set_index("method")
    values, first = values.reindex(columns=methods.index), methods.index[0]
    table = compare(values, first)
    table["verdict"] = [verdict(row.low, row.high, margin, row.p_adjusted) for row in table.itertuples()]
    table = table.assign(unit=values.index.name).join(methods[["mean", "fallbacks"]])
    return table.join(weighted_differences(values, first, effects))
