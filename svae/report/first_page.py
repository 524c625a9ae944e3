"""The first page of the report, for somebody who has never seen the project."""

from base64 import encodebytes
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd
from tabulate import tabulate

from svae.errors import listed
from svae.evaluation.selection import RULES
from svae.evaluation.statistics import ENOUGH
from svae.evaluation.warning import CLOSED, EDGE, NO_EVIDENCE, OPEN, OVERFITS, UNMOVED
from svae.report.leads import Lead, find_leads
from svae.report.numbers import DASH, change, count, estimate, number, sample_size, weighted_change
from svae.report.outcomes import (
    NOT_APPLICABLE,
    NOT_RUN,
    count_fallbacks,
    has_fit,
    outcomes_of,
    why_missing,
)
from svae.report.standing import standings
from svae.report.tables import Tables
from svae.report.templates import plain, render
from svae.report.values import FACET
from svae.words import ENDED_WELL

LISTED = 20
"""Failures and warnings that are listed; the rest is only counted."""

NAMES_LENGTH = 60
"""Characters of the methods that a verdict names; the rest is only counted."""

FACTS_OF_REAL_DATA = {
    "Control": "control",
    "Cells per perturbation": "perturbation_sizes",
    "Batches": "batches",
    "Genes": "gene_choice",
    "Left out": "left_out",
}
"""What is told of each real dataset, and its name in the table of datasets."""

MEANINGS = {
    OVERFITS: "it overfits, as validation ends above its best epoch while the training loss falls on",
    OPEN: "all its masks are open, so every perturbation has every target",
    CLOSED: "all its masks are closed, so no perturbation has a target",
    UNMOVED: "its masks hardly moved from their start, so its targets mean nothing",
    EDGE: "its setting is at the edge of the grid",
}
"""How a warning goes on behind the name of the method."""


def summary(
    tables: Tables,
    scope: str,
    provenance: Mapping[str, object],
    parts: Mapping[str, str] | None = None,
    picture: bytes = b"",
) -> str:
    """Write the first page of the report.

    Parameters
    ----------
    tables
        Of the run.
    scope
        Name of the configuration that was run.
    provenance
        What else identifies the run, shown as it is: version, date, machine, …
    parts
        What each figure and page of the report is about, in reStructuredText, by its name; none by default.
    picture
        A figure to show, as PNG; none by default.

    Returns
    -------
    reStructuredText.
    """
    baselines = tables.without_varied()
    leads, failures = list(find_leads(baselines)), list(_failures(tables))
    warnings = _warnings(tables)
    pairs = [int(lead.runner_up["n"]) for lead in leads if lead.runner_up is not None]
    return render(
        "first_page.rst",
        title=f"Sparse mechanism shift models: scope {plain(scope)}",
        facts=_what_was_run(tables) | dict(provenance),
        rule=RULES[tables.rule].sentence,
        leads=_table_of_leads(tables, leads),
        standings=_standings(baselines),
        picture=encodebytes(picture).decode().splitlines(),  # docutils refuses lines of 10,000 characters
        margins=_margins(tables, leads),
        weighted=_is_weighted(leads),
        pairs=min((n for n in pairs if n >= 2), default=0),  # of the leads that have an interval
        enough=ENOUGH,
        warnings=warnings[:LISTED],
        unlisted_warnings=max(0, len(warnings) - LISTED),
        fits=len(tables.status),
        statuses=_statuses(tables),
        failures=failures[:LISTED],
        unlisted=max(0, len(failures) - LISTED),
        not_chosen=_not_chosen(baselines),
        not_run=_without_any_fit(tables, NOT_RUN),
        not_applicable=_without_any_fit(tables, NOT_APPLICABLE),
        parts={name.replace("_", " ").capitalize(): about for name, about in (parts or {}).items()},
    )


def _what_was_run(tables: Tables) -> dict[str, str]:
    """Datasets, splits, replicates, methods and compute, by name of the fact."""
    status = tables.status
    datasets, baselines = status["dataset"].unique(), tables.without_varied().status["dataset"].unique()
    replicates = status.groupby(FACET)["replicate"].nunique()
    least, most = replicates.min(), replicates.max()
    anchors = f"; anchors: {tables.labels(tables.anchors)}" if tables.anchors else ""
    told = {name: _told_of_datasets(tables, fact) for name, fact in FACTS_OF_REAL_DATA.items()}
    held_out = _what_was_held_out(tables)
    return {
        "Datasets": ", ".join(_described(tables, dataset) for dataset in baselines),
        **({"Varied, one at a time": _what_was_varied(tables)} if len(baselines) < len(datasets) else {}),
        **{name: facts for name, facts in told.items() if facts},
        "Splits": ", ".join(status["split"].unique()),
        **({"Held out": held_out} if held_out else {}),
        "Replicates": f"{least}" if least == most else f"{least} to {most}",
        "Methods": tables.labels(tables.order) + anchors,
        "Fits": f"{len(status)}, which took {_duration(status['seconds'].sum())} of compute",
        "Setting shown": f"the one chosen by {RULES[tables.rule].sentence}",
    }


def _told_of_datasets(tables: Tables, fact: str) -> str:
    """Tell a fact of each dataset that has it."""
    rows = tables.datasets[tables.datasets["parameter"] == fact]
    return "; ".join(f"{row.dataset}, {row.value}" for row in rows.itertuples())


def _what_was_held_out(tables: Tables) -> str:
    """Name the perturbations that each split of a real dataset held out in any replicate."""
    # Metrics of guides are means over the genes that these aim at, and say nothing of a split.
    of_splits = tables.registry.index[tables.registry["question"].isin(["likelihood", "prediction"])]
    values = tables.held_out[tables.held_out["metric"].isin(of_splits)]
    splits = [
        f"{tables.title(dataset, split)}: {listed(sorted(rows['perturbation'].unique()))}"
        for (dataset, split), rows in values.groupby(FACET, sort=False)
    ]
    return "; ".join(splits)


def _what_was_varied(tables: Tables) -> str:
    """Name the parameters in which datasets differ from their baselines, with the number of values."""
    axes = tables.datasets.loc[tables.datasets["parameter"] == "axis", "value"].value_counts(sort=False)
    return ", ".join(f"{axis.replace('_', ' ')} ({count(n, 'value')})" for axis, n in axes.items())


def _duration(seconds: float) -> str:
    """Write a time in the unit in which it is easiest to read."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 90 * 60 else f"{seconds / 3600:.1f} hours"


def _described(tables: Tables, dataset: str) -> str:
    """Name of a dataset with its kind and size, as far as they are known."""
    facts = tables.datasets[tables.datasets["dataset"] == dataset].set_index("parameter")["value"]
    known = [str(facts["kind"])] if "kind" in facts else []
    for size in ("cells", "genes", "perturbations"):
        if size in facts:
            known.append(f"{float(facts[size]):,.0f} {size}")
    return f"{dataset} ({', '.join(known)})" if known else dataset


def _table_of_leads(tables: Tables, leads: Sequence[Lead]) -> str:
    """Tabulate who leads on the headline metrics, and how far the others are behind; empty if nobody does."""
    heads = ["Dataset", "Metric", "First", "Mean [95 % interval]", "n", "Next", "Next − first", "Verdict"]
    if _is_weighted(leads):
        heads.insert(-1, "Weighted by effect")
    rows = []
    for lead in leads:
        facts = tables.registry.loc[lead.metric]
        row, decimals = lead.row, int(facts["decimals"])
        cells = [
            tables.title(lead.dataset, lead.split),
            facts["label"],
            tables.label(lead.method) + (" †" if row["fallbacks"] else ""),
            estimate(row["mean"], row["low"], row["high"], decimals),
            sample_size(row),
            *_runner_up(tables, lead, decimals),
            _verdict(tables, lead),
        ]
        if _is_weighted(leads):
            runner_up = lead.runner_up
            cells.insert(-1, DASH if runner_up is None else weighted_change(runner_up, decimals))
        rows.append([plain(cell) for cell in cells])
    return tabulate(rows, heads, tablefmt="grid", disable_numparse=True) if rows else ""


def _is_weighted(leads: Sequence[Lead]) -> bool:
    """Whether any difference is weighted by effect sizes, too."""
    return any(lead.others["weighted_difference"].notna().any() for lead in leads)


def _standings(tables: Tables) -> list[dict[str, str]]:
    """Tabulate where each method stands between no skill and the ceiling, for each dataset and split."""
    return [
        {
            "title": title,
            "table": tabulate(
                [[plain(cell) for cell in row] for row in rows],
                [plain(head) for head in heads],
                tablefmt="grid",
                disable_numparse=True,
            ),
        }
        for title, heads, rows in standings(tables)
    ]


def _runner_up(tables: Tables, lead: Lead, decimals: int) -> tuple[str, str]:
    """Name the next method with its mean, and write its paired difference to the first."""
    row = lead.runner_up
    if row is None:
        return DASH, DASH
    mark = " †" if row["fallbacks"] else ""
    name = f"{tables.label(str(row.name))}{mark} {number(row['mean'], decimals)}"
    difference = change(row["difference"], row["low"], row["high"], decimals)
    return name, f"{difference} (n = {count(row['n'], row['unit'])})"


def _verdict(tables: Tables, lead: Lead) -> str:
    """Say of every other method what the interval of its difference to the first allows."""
    if lead.runner_up is None:
        return "the only method with a value"
    if lead.is_win:
        return "winner: every other method differs"
    return "; ".join(
        f"{word}: {listed([tables.label(method) for method in methods], NAMES_LENGTH)}"
        for word, methods in lead.by_verdict().items()
    )


def _margins(tables: Tables, leads: Sequence[Lead]) -> list[str]:
    """Say which size of a difference does not matter, for the metrics that have a leader."""
    shown = tables.registry.loc[list(dict.fromkeys(lead.metric for lead in leads))]
    return [f"{row.margin:g} for {row.label}" for row in shown.itertuples() if row.margin > 0]


def _warnings(tables: Tables) -> list[str]:
    """Write a sentence about each warning; those about most replicates come first."""
    found = tables.warnings[tables.warnings["method"].isin(tables.order)]
    share = (found["n"] / found["planned"]).sort_values(ascending=False, kind="stable")
    return [*_scores_without_evidence(tables)] + [
        f"{tables.label(row.method)} on {tables.title(row.dataset, row.split)}: {MEANINGS[row.warning]}"
        f"{'' if pd.isna(row.detail) else f' ({row.detail})'} in {row.n} of {count(row.planned, 'replicate')}"
        for row in found.loc[share.index].itertuples()
    ]


def _scores_without_evidence(tables: Tables) -> Iterator[str]:
    """Write a sentence about the scores of predictions that say nothing on a dataset and split."""
    found = tables.warnings[tables.warnings["warning"] == NO_EVIDENCE]
    for (dataset, split, n, planned), rows in found.groupby([*FACET, "n", "planned"], sort=False):
        scores = listed(list(rows["detail"]), between="; ")
        yield (
            f"No evidence on {tables.title(dataset, split)} from {scores}, as the mean response is not told "
            f"from a technical duplicate, in {n} of {count(planned, 'replicate')}"
        )


def _statuses(tables: Tables) -> str:
    counts = tables.status["status"].value_counts()
    return ", ".join(f"{many} {name.replace('_', ' ')}" for name, many in counts.items())


def _failures(tables: Tables) -> Iterator[dict[str, str]]:
    """Yield what failed, where, how often and with which message."""
    failed = tables.status[~tables.status["status"].isin(ENDED_WELL)].fillna({"message": ""})
    groups = failed.groupby([*FACET, "method", "status", "message"], sort=False)
    for (dataset, split, method, status, message), fits in groups:
        replicates = ", ".join(str(replicate) for replicate in fits["replicate"].unique())
        yield {
            "status": status.replace("_", " "),
            "where": f"{tables.label(method)} on {tables.title(dataset, split)}",
            "size": f"{count(len(fits), 'fit')}, replicate {replicates}",
            "message": str(message).strip(),
        }


def _not_chosen(tables: Tables) -> list[str]:
    """Methods for which the main rule made no choice, with the number of replicates."""
    return [
        f"{tables.label(row.method)} on {tables.title(row.dataset, row.split)} "
        f"({row.fallbacks} of {count(row.planned, 'replicate')})"
        for row in count_fallbacks(tables).itertuples()
    ]


def _without_any_fit(tables: Tables, reason: str) -> list[str]:
    """Methods that have no fit on a dataset and split, for the given reason."""
    lines = []
    for facet, _ in tables.selected.groupby(FACET, sort=False):
        methods = [
            method
            for method in (*tables.order, *tables.anchors)
            if why_missing(outcomes_of(tables, facet, method)) == reason
            and not has_fit(outcomes_of(tables, facet, method))
        ]
        if methods:
            lines.append(f"{tables.labels(methods)} on {tables.title(*facet)}")
    return lines
