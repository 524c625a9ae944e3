"""The words of the report: its first page, and the leaderboard as a page of its own."""

import re
from collections.abc import Iterable, Mapping
from html import escape

import numpy as np
import pandas as pd

from svae.evaluation.selection import HINDSIGHT
from svae.report.figures.plots import FACET, RULES, Tables

HEADLINES = ("mcc_pearson", "target_f1", "inll_zero_shot", "inll_clean")
LEVEL = 0.05
LISTED = 20  # failures, before the rest is only counted

ABOUT = """\
A perturbation screen switches genes of single cells off or on, one or a few at a time, and counts the
transcripts of each cell. The models compared here explain those counts by a few hidden variables per cell,
the *latents*, and assume that a perturbation shifts only some of them, its *targets*: a sparse mechanism
shift (Lopez et al. 2023). The benchmark asks three things of each method: does it recover the latents, does
it name the targets, and how well does it predict cells under perturbations that it was not trained on?"""

READING = (
    ("Latent recovery, target identification", "the first two questions, where a simulator knows the truth"),
    ("Likelihood", "the third question; it needs no truth, so real screens have it too"),
    (
        "Targets against penalty, selection rules",
        "what the hyper-parameter does, and what choosing it blind costs",
    ),
    ("Target matrix, shared targets", "what the sparse models say about each perturbation"),
    ("Training curves, cost", "whether training had ended, and what it took"),
    ("Leaderboard", "every metric of every method under every selection rule, with intervals and tests"),
)

STYLE = """\
body { font: 15px/1.45 system-ui, sans-serif; color: #262626; max-width: 56rem; margin: 2rem auto }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 2px solid #262626 }
h3 { font-size: 1rem; margin: 1.4rem 0 .2rem } h3 small { font-weight: normal; color: #6b6b6b }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { text-align: left; font-weight: 600; font-size: .85rem; border-bottom: 1px solid #8c8c8c }
td { border-bottom: 1px solid #e4e4e4 } th, td { padding: .2rem .6rem .2rem 0 }
td.number, th.number { text-align: right } tr.winner { font-weight: 700 }
tr.anchor td, table.hindsight td { color: #8c8c8c } table.hindsight tr { font-weight: normal }
i.swatch { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em }
details { margin: .3rem 0 } summary { cursor: pointer; color: #6b6b6b; font-size: .85rem }"""


def summary(tables: Tables, scope: str, provenance: Mapping[str, object]) -> str:
    """Write the first page of the report, for somebody who has never seen the project.

    Parameters
    ----------
    scope
        Name of the configuration that was run.
    provenance
        What else identifies the run, shown as it is: version, date, machine, …

    Returns
    -------
    reStructuredText.
    """
    title = f"Sparse mechanism shift models: scope {_plain(scope)}"
    sections = [
        f"{title}\n{'=' * len(title)}",
        ABOUT,
        _section("What was run", _what_was_run(tables), _fields(provenance)),
        _section("What won", _what_won(tables), _significance(tables)),
        _section("What failed", *_what_failed(tables)),
        _section("How to read the rest", _how_to_read()),
    ]
    return "\n\n".join(sections) + "\n"


def leaderboard_html(tables: Tables) -> str:
    """Write the leaderboard as an HTML page that needs no other file and no network."""
    board = tables.leaderboard
    rules = [tables.rule, *(rule for rule in RULES if rule in set(board["rule"]) - {tables.rule})]
    body = []
    for facet, of_facet in board.groupby(FACET, sort=False):
        body.append(f"<h2>{escape(tables.title(*facet))}</h2>")
        for metric, rows in of_facet.groupby("metric", sort=False):
            if rows["mean"].isna().all():
                continue
            better = f"{tables.registry.loc[metric, 'direction']} is better"
            body.append(f"<h3>{escape(tables.registry.loc[metric, 'label'])} <small>{better}</small></h3>")
            for rule in rules:
                table = _html_table(tables, metric, rows[rows["rule"] == rule], rule)
                shown = f"<details><summary>{_rule_name(rule)}</summary>\n{table}\n</details>"
                body.append(table if rule == tables.rule else shown)
    reference = escape(tables.label(tables.reference)) if tables.reference in tables.methods.index else ""
    note = (
        f"Mean over replicates with its 95&nbsp;% bootstrap interval, for the setting chosen by "
        f"{_rule_name(tables.rule)}; other rules fold out. p: paired sign-flip test against {reference}, "
        f"adjusted by Holm's method within each table. Anchors, in grey, bound the metric and are not "
        f"ranked; the hindsight rule, also grey, looks at the truth. A dash: not applicable, or no fit."
    )
    page = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        "<title>Leaderboard</title>",
    ]
    page += [f"<style>\n{STYLE}\n</style>", "</head>", "<body>", "<h1>Leaderboard</h1>", f"<p>{note}</p>"]
    return "\n".join([*page, *body, "</body>", "</html>"]) + "\n"


def _html_table(tables: Tables, metric: str, rows: pd.DataFrame, rule: str) -> str:
    heads = (
        ("", "Rank"),
        ("", "Method"),
        ("number", "Mean [95 % interval]"),
        ("number", "n"),
        ("number", "p"),
    )
    lines = [f'<table class="{"hindsight" if rule == HINDSIGHT else "rule"}">']
    lines.append("<tr>" + "".join(f'<th class="{kind}">{head}</th>' for kind, head in heads) + "</tr>")
    anchors = rows["method"].isin(tables.anchors)
    for row in rows.assign(anchor=anchors).sort_values(["anchor", "rank"], kind="stable").itertuples():
        kind = "anchor" if row.anchor else "winner" if row.rank == 1 else ""
        swatch = f'<i class="swatch" style="background: {tables.colour(row.method)}"></i>'
        cells = (
            ("", "—" if np.isnan(row.rank) else f"{row.rank:.0f}"),
            ("", swatch + escape(tables.label(row.method))),
            ("number", _estimate(tables, metric, row.mean, row.low, row.high)),
            ("number", f"{row.n:.0f} of {row.planned:.0f}"),
            ("number", _p(row.p_adjusted)),
        )
        lines.append(
            f'<tr class="{kind}">' + "".join(f'<td class="{k}">{c}</td>' for k, c in cells) + "</tr>"
        )
    return "\n".join([*lines, "</table>"])


def _what_was_run(tables: Tables) -> str:
    status = tables.status
    replicates = status.groupby(FACET)["replicate"].nunique()
    least, most = replicates.min(), replicates.max()
    labels = ", ".join(tables.label(method) for method in tables.order)
    anchors = ", ".join(tables.label(method) for method in tables.anchors)
    minutes = status["seconds"].sum() / 60
    compute = f"{minutes:.0f} minutes" if minutes < 90 else f"{minutes / 60:.1f} hours"
    facts = {
        "Datasets": ", ".join(_plain(_described(tables, dataset)) for dataset in status["dataset"].unique()),
        "Splits": ", ".join(_plain(split) for split in status["split"].unique()),
        "Replicates": f"{least}" if least == most else f"{least} to {most}",
        "Methods": _plain(labels) + (f"; anchors: {_plain(anchors)}" if anchors else ""),
        "Fits": f"{len(status)}, which took {compute} of compute",
        "Setting shown": f"the one chosen by {_rule_name(tables.rule)}",
    }
    return "\n".join(f":{name}: {value}" for name, value in facts.items())


def _described(tables: Tables, dataset: str) -> str:
    """Name of a dataset with its kind and size, as far as they are known."""
    facts = tables.datasets[tables.datasets["dataset"] == dataset].set_index("parameter")["value"]
    sizes = [
        f"{float(facts[name]):,.0f} {name}" for name in ("cells", "genes", "perturbations") if name in facts
    ]
    known = ([str(facts["kind"])] if "kind" in facts else []) + sizes
    return f"{dataset} ({', '.join(known)})" if known else dataset


def _what_won(tables: Tables) -> str:
    rows = []
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & board["metric"].isin(HEADLINES)]
    for (dataset, split, metric), family in board.groupby([*FACET, "metric"], sort=False):
        ranked = family[family["rank"].notna() & family["mean"].notna()].sort_values("rank", kind="stable")
        if len(ranked):
            best = ranked[ranked["rank"] == 1]
            rest = ranked[ranked["rank"] > 1].head(1)
            rows.append(
                (
                    tables.title(dataset, split),
                    tables.registry.loc[metric, "label"],
                    " and ".join(f"{tables.label(row.method)}" for row in best.itertuples()),
                    _estimate(tables, metric, *best[["mean", "low", "high"]].iloc[0]),
                    f"{best['n'].iloc[0]:.0f} of {best['planned'].iloc[0]:.0f}",
                    *(
                        f"{tables.label(r.method)} {_number(tables, metric, r.mean)}"
                        for r in rest.itertuples()
                    ),
                    *["—"] * (1 - len(rest)),
                    _p(_decisive_p(tables, best, rest)),
                )
            )
    if not rows:
        return "No method has a value for any of the main metrics, so nothing won."
    heads = ("Dataset", "Metric", "Winner", "Mean [95 % interval]", "n", "Runner-up", "p, adjusted")
    return _grid(heads, rows)


def _decisive_p(tables: Tables, best: pd.DataFrame, rest: pd.DataFrame) -> float:
    """Return p of the winner against the reference; if the winner is the reference, that of the runner-up."""
    others = rest if tables.reference in set(best["method"]) else best
    return others["p_adjusted"].iloc[0] if len(others) else np.nan


def _significance(tables: Tables) -> str:
    """Say what the p of the table compare, and whether they could have been small at all."""
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & board["metric"].isin(HEADLINES)]
    n = int(board["n"].max()) if len(board) else 0
    if n < 2:
        return "With fewer than two replicates there are neither intervals nor tests: a lead may be chance."
    families = board[board["p_adjusted"].notna()].groupby([*FACET, "metric"])["method"].nunique()
    if families.empty:
        return "The reference of the tests has no value here, so nothing was tested."
    label = _plain(tables.label(tables.reference))
    smallest = 2 / 2**n
    text = (
        f"p: paired sign-flip test of the winner against {label}, or of the runner-up where {label} won, "
        f"adjusted by Holm's method for the methods compared. With n = {n} replicates the smallest "
        f"attainable p is 2/2\\ :sup:`{n}` = {smallest:.3g}"
    )
    least, most = (min(1, smallest * count) for count in (families.min(), families.max()))
    attainable = f"{least:.2g}" if least == most else f"{least:.2g} to {most:.2g} depending on the metric"
    if most > smallest:
        text += f", which the adjustment raises to {attainable}"
    if least > LEVEL:
        return f"{text}: **no difference can be significant at {LEVEL}**, so read the intervals."
    if most > LEVEL:
        return f"{text}: for some metrics no difference can be significant at {LEVEL}, so read the intervals."
    return f"{text}."


def _what_failed(tables: Tables) -> list[str]:
    status = tables.status
    counts = status["status"].value_counts()
    told = ", ".join(f"{count} {_plain(name.replace('_', ' '))}" for name, count in counts.items())
    failed = status[~status["status"].isin(("ok", "not_applicable"))].fillna({"message": ""})
    if failed.empty:
        return [f"Nothing failed ({told})."]
    groups = failed.groupby([*FACET, "method", "status", "message"], sort=False)
    lines = []
    for (dataset, split, method, kind, message), fits in list(groups)[:LISTED]:
        where = f"{tables.label(method)} on {tables.title(dataset, split)}"
        replicates = ", ".join(str(replicate) for replicate in fits["replicate"].unique())
        size = f"{len(fits)} fit{'s' if len(fits) > 1 else ''}, replicate {replicates}"
        said = f": {_plain(message)}" if str(message).strip() else ""
        lines.append(f"- **{_plain(kind.replace('_', ' '))}**, {_plain(where)} ({size}){said}")
    if len(groups) > LISTED:
        lines.append(f"- … and {len(groups) - LISTED} more, in the table of statuses.")
    return [
        f"Of {len(status)} fits: {told}. The failed ones count as missing, never as zero.",
        "\n".join(lines),
    ]


def _how_to_read() -> str:
    points = (
        "Dots are replicates, bars 95 % bootstrap intervals of their mean; *n = 4 of 5* means that one fit "
        "is missing, and a dash that the metric does not apply to the method. Anchors are grey: *oracle* is "
        "the truth itself, *random* is noise. What the hindsight rule would have chosen is greyed out too, "
        "because nobody can choose so without the truth."
    )
    listed = "\n".join(f"- **{name}**: {text}." for name, text in READING)
    return f"{points}\n\n{listed}"


def _section(title: str, *parts: str) -> str:
    return "\n\n".join([f"{title}\n{'-' * len(title)}", *(part for part in parts if part)])


def _fields(values: Mapping[str, object]) -> str:
    return "\n".join(f":{_plain(name)}: {_plain(value)}" for name, value in values.items())


def _grid(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Write a table whose cells may hold any text."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (heads, *rows):
        lines += [f"   {'* -' if place == 0 else '  -'} {_plain(cell)}" for place, cell in enumerate(row)]
    return "\n".join(lines)


def _plain(text: object) -> str:
    """Text on one line that reStructuredText shows as it stands."""
    return re.sub(r"([\\*`|_:])", r"\\\1", " ".join(str(text).split()))


def _estimate(tables: Tables, metric: str, mean: float, low: float, high: float) -> str:
    """Mean with its interval; a dash where there is none."""
    if np.isnan(mean):
        return "—"
    interval = "" if np.isnan(low) else f" [{_number(tables, metric, low)}, {_number(tables, metric, high)}]"
    return _number(tables, metric, mean) + interval


def _number(tables: Tables, metric: str, value: float) -> str:
    """Three decimals for scores up to 1, one for nats and counts."""
    if np.isnan(value):
        return "—"
    return f"{value:.3f}" if tables.registry.loc[metric, "high"] == 1 else f"{value:.1f}"


def _p(p: float) -> str:
    return "—" if np.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _rule_name(rule: str) -> str:
    names = {"fixed": "the fixed choice of the scope", HINDSIGHT: "the hindsight rule (the truth)"}
    names |= {
        "validation_likelihood": "the likelihood of validation cells",
        "udr": "the agreement of restarts (UDR)",
    }
    return names.get(rule, rule)
