"""Why a method has no value, in one of four words; figures and pages use no others.

============== ==========================================================================================
not run        the scope does not run the method on this dataset and split
failed         no fit of the method ended well
not applicable the fit has no such value, as PCA has no likelihood
not chosen     there is a value, but the selection rule made no choice: it is that of the fixed setting
============== ==========================================================================================
"""

from collections.abc import Iterable

import pandas as pd

from svae.report.tables import Tables
from svae.report.values import FACET

NOT_RUN = "not run"
FAILED = "failed"
NOT_APPLICABLE = "not applicable"
NOT_CHOSEN = "not chosen"
FALLBACK = "fallback"
"""Outcome of a replicate whose rule made no choice, so that the fixed setting was taken."""


def why_missing(outcomes: Iterable[str]) -> str:
    """Say why a method has no value at all.

    Parameters
    ----------
    outcomes
        The column ``outcome`` of the method's replicates under one rule; empty if it was not run.
    """
    outcomes = set(outcomes)
    if not outcomes:
        return NOT_RUN
    return FAILED if "failed" in outcomes and not has_fit(outcomes) else NOT_APPLICABLE


def has_fit(outcomes: Iterable[str]) -> bool:
    """Whether there is a fit to show in any of the replicates with these outcomes."""
    return not {"chosen", FALLBACK}.isdisjoint(outcomes)


def outcomes_of(tables: Tables, facet: tuple[str, str], method: str, rule: str | None = None) -> pd.Series:
    """Outcomes of the replicates of a method on one dataset and split, under the main rule or `rule`."""
    selected = tables.selected
    dataset, split = facet
    rows = (selected["dataset"] == dataset) & (selected["split"] == split) & (selected["method"] == method)
    return selected.loc[rows & (selected["rule"] == (rule or tables.rule)), "outcome"]


def missing_note(tables: Tables, facet: tuple[str, str], shown: Iterable[str]) -> str:
    """Say which methods of the run are not among those `shown` of a facet, and why; empty if all are.

    Anchors are left out: figures that need this note never show them.
    """
    reasons: dict[str, list[str]] = {}
    for method in tables.order:
        if method not in set(shown):
            reasons.setdefault(why_missing(outcomes_of(tables, facet, method)), []).append(method)
    return "; ".join(f"{reason}: {tables.labels(methods)}" for reason, methods in reasons.items())


def count_fallbacks(tables: Tables) -> pd.DataFrame:
    """Count where the main rule made no choice: facet, ``method``, ``fallbacks``, ``planned`` replicates."""
    selected = tables.selected[tables.selected["rule"] == tables.rule]
    marked = selected.assign(fallback=selected["outcome"] == FALLBACK)
    replicates = marked.groupby([*FACET, "method"], sort=False)["fallback"]
    counts = replicates.agg(fallbacks="sum", planned="size").reset_index()
    return counts[counts["fallbacks"] > 0]
