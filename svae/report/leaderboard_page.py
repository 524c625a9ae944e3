"""The leaderboard as an HTML page of its own."""

from collections.abc import Iterator

import pandas as pd

from svae.evaluation.selection import RULES
from svae.report.numbers import DASH, change, count, estimate, p_value, sample_size, weighted_change
from svae.report.outcomes import NOT_CHOSEN, NOT_RUN, outcomes_of, why_missing
from svae.report.tables import Tables
from svae.report.templates import render
from svae.report.values import FACET


def leaderboard_html(tables: Tables) -> str:
    """Write the leaderboard as an HTML page that needs no other file and no network."""
    known = tables.reference in tables.methods.index
    return render(
        "leaderboard.html",
        facets=list(_facets(tables)),
        rule=RULES[tables.rule].sentence,
        reference=tables.label(tables.reference) if known else tables.reference,
        compared=bool((tables.leaderboard["pairs"] > 0).any()),
        weighted=bool(tables.leaderboard["weighted_difference"].notna().any()),
    )


def _facets(tables: Tables) -> Iterator[dict]:
    """Yield title and metrics of each dataset and split."""
    for facet, board in tables.leaderboard.groupby(FACET, sort=False):
        yield {"title": tables.title(*facet), "metrics": list(_metrics(tables, facet, board))}


def _metrics(tables: Tables, facet: tuple[str, str], board: pd.DataFrame) -> Iterator[dict]:
    """Yield label, direction and tables of each metric that has any value, those of the first page first.

    The main rule comes first in each.
    """
    others = [rule for rule in RULES if rule in set(board["rule"]) and rule != tables.rule]
    is_headline = tables.registry.loc[board["metric"].unique(), "headline"]
    for metric in [*is_headline.index[is_headline], *is_headline.index[~is_headline]]:
        rows = board[board["metric"] == metric]
        if rows["mean"].notna().any():
            facts = tables.registry.loc[metric]
            yield {
                "label": facts["label"],
                "direction": facts["direction"],
                "margin": "" if pd.isna(facts["margin"]) else f"{facts['margin']:g}",
                "rules": [
                    _ranking(tables, facet, rule, rows[rows["rule"] == rule], facts)
                    for rule in (tables.rule, *others)
                ],
            }


def _ranking(tables: Tables, facet: tuple[str, str], rule: str, rows: pd.DataFrame, facts: pd.Series) -> dict:
    """Rows of one metric under one rule: methods by rank, those without a value, then anchors.

    A rule that sees the truth gives no ranks; there methods are in the order of their means, the best first.
    """
    by_method = rows.set_index("method")
    lowest_first = facts["direction"] == "lower"
    ranked = list(by_method["rank"].sort_values(kind="stable").dropna().index)
    rest = [method for method in tables.order if method not in ranked]
    if RULES[rule].sees_truth:
        means = by_method.loc[by_method.index.isin(rest), "mean"]
        by_mean = means.sort_values(ascending=lowest_first, kind="stable")
        rest = [*by_mean.index, *(method for method in rest if method not in by_mean.index)]
    return {
        "sentence": RULES[rule].sentence,
        "main": rule == tables.rule,
        "sees_truth": RULES[rule].sees_truth,
        "rows": [
            _row(tables, facet, rule, method, by_method, int(facts["decimals"]))
            for method in [*ranked, *rest, *tables.anchors]
        ],
    }


def _row(
    tables: Tables, facet: tuple[str, str], rule: str, method: str, by_method: pd.DataFrame, decimals: int
) -> dict:
    """Cells of one method; one that was not run on this dataset and split has a row, too."""
    shown = {
        "label": tables.label(method),
        "colour": tables.colour(method),
        "anchor": method in tables.anchors,
        "first": False,
        "rank": DASH,
        "estimate": NOT_RUN,
        "n": DASH,
        "fits": DASH,
        "difference": DASH,
        "weighted": DASH,
        "p": DASH,
        "verdict": "",
        "note": "",
    }
    if method not in by_method.index:
        return shown
    row = by_method.loc[method]
    if pd.isna(row["mean"]):
        value = why_missing(outcomes_of(tables, facet, method, rule))
    else:
        value = estimate(row["mean"], row["low"], row["high"], decimals)
    return shown | {
        "first": row["rank"] == 1,
        "rank": DASH if pd.isna(row["rank"]) else f"{row['rank']:.0f}",
        "estimate": value,
        "n": sample_size(row),
        "fits": _fits_tried(tables, facet, method),
        "difference": _difference(tables, row, method, decimals),
        "weighted": weighted_change(row, decimals),
        "p": p_value(row["p_adjusted"]),
        "verdict": row["verdict"] if row["pairs"] > 0 else "",
        "note": _note(row),
    }


def _fits_tried(tables: Tables, facet: tuple[str, str], method: str) -> str:
    """Count the fits of a method per replicate, among which a rule chooses: settings times restarts."""
    status = tables.status
    dataset, split = facet
    rows = (status["dataset"] == dataset) & (status["split"] == split) & (status["method"] == method)
    return f"{status[rows].groupby('replicate').size().max():.0f}"


def _difference(tables: Tables, row: pd.Series, method: str, decimals: int) -> str:
    """Write the difference to the reference, with the number of pairs where it is not that of the values."""
    if method == tables.reference:
        return "reference"
    written = change(row["difference"], row["difference_low"], row["difference_high"], decimals)
    if not row["pairs"] > 0:
        return written
    if row["unit"] != "replicate":
        return f"{written} (n = {count(int(row['pairs']), row['unit'])})"
    return written if row["pairs"] == row["n"] else f"{written} (n = {row['pairs']:.0f})"


def _note(row: pd.Series) -> str:
    """Say in how many replicates the rule made no choice, and how many failed."""
    notes = []
    if row["fallbacks"]:
        notes.append(f"{NOT_CHOSEN} in {count(int(row['fallbacks']), 'replicate')}, fixed setting")
    if row["failed"]:
        notes.append(count(int(row["failed"]), "replicate") + " failed")
    return "; ".join(notes)
