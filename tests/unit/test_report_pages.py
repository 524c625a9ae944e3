"""The pages of the report: the first page, the leaderboard and the captions."""

import io
import random
import re
from base64 import b64encode
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from docutils.core import publish_string
from fake_tables import fake_tables

from svae.contracts.tables import WARNINGS_COLUMNS
from svae.errors import listed
from svae.report.first_page import NAMES_LENGTH, summary
from svae.report.leaderboard_page import leaderboard_html
from svae.report.leads import find_leads
from svae.report.numbers import weighted_change
from svae.report.standing import standings
from svae.words import Verdict
from svae.workflow.figures import question_of

CAPTIONS = Path(__file__).resolve().parents[2] / "reports" / "captions"
METRICS = ["mcc_pearson", "target_f1", "inll_clean"]
METHODS = ["svae_plus", "svae", "vae", "pca", "oracle"]


@pytest.fixture(scope="module")
def tables():
    """Replicate 1 of sVAE failed, UDR cannot choose for PCA, and VAE was not run on b."""
    return fake_tables(
        ["a_b", "b"],
        methods=METHODS,
        metrics=METRICS,
        replicates=3,
        failed=[("svae", 1)],
        not_run=[("b", "vae")],
    )


@pytest.fixture(scope="module")
def page(tables):
    return leaderboard_html(tables)


@cache
def duel(replicates, spread):
    """sVAE+ against VAE on the likelihood alone, where sVAE+ is better but for the spread."""
    return fake_tables(
        methods=["svae_plus", "vae"],
        metrics=["inll_clean"],
        replicates=replicates,
        spread=spread,
        grids={},
    )


def render(rst):
    """HTML of `rst`; fails on any warning of docutils."""
    warnings = io.StringIO()
    options = {"warning_stream": warnings, "report_level": 1, "output_encoding": "unicode"}
    html = publish_string(rst, writer="html", settings_overrides=options)
    assert warnings.getvalue() == ""
    return html


def shown(rst):
    """What a reader sees of `rst`, on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", render(rst)).split())


def test_the_first_page_renders_and_says_what_happened(tables):
    text = summary(tables, "demo_one", {"version": "1.0 |dev| *`x`_", "a:b": "c_"})
    html = render(text)
    assert "demo_one" in html
    assert "1.0 |dev| *`x`_" in html
    assert "killed: 16 GB | limit `8 GB`" in html
    assert f"{len(tables.status)}, which took" in html
    assert "<strong>out of memory</strong>, sVAE on a_b (6 fits, replicate 1)" in html
    best = tables.leaderboard.query("rule == 'udr' and metric == 'mcc_pearson' and rank == 1").iloc[0]
    assert f"{best['mean']:.3f} [{best['low']:.3f}, {best['high']:.3f}]" in html


def test_the_first_page_shows_a_figure(tables):
    picture = random.Random(0).randbytes(50_000)  # as large as figures are, though no PNG
    html = render(summary(tables, "demo", {}, picture=picture))
    assert f"data:image/png;base64,{b64encode(picture).decode()}" in html
    assert "How to read the rest" in html
    assert "<img" not in render(summary(tables, "demo", {}))


def test_few_replicates_are_said_to_be_few(tables):
    assert "With n = 2 pairs the intervals are wide" in summary(tables, "demo", {})
    assert "the intervals are wide" not in summary(duel(5, 0.05), "demo", {})


def test_a_winner_differs_from_every_other_method():
    text = shown(summary(duel(7, 0.05), "demo", {}))
    assert "winner: every other method differs" in text
    [lead] = find_leads(duel(7, 0.05))
    assert lead.is_win
    row = lead.runner_up
    written = f"+{row['difference']:.2f} [+{row['low']:.2f}, +{row['high']:.2f}]"
    assert text.count(written) == 1


def test_a_lead_that_the_interval_does_not_tell_from_chance_is_no_win():
    text = shown(summary(duel(7, 5.0), "demo", {}))
    [lead] = find_leads(duel(7, 5.0))
    assert not lead.is_win
    assert lead.runner_up["low"] < 0 < lead.runner_up["high"]
    assert "not decided: VAE" in text
    assert "winner" not in text


def test_a_verdict_on_many_methods_names_the_next_ones_and_counts_the_others():
    many = [*METHODS[:4], "ivae", "ivae_rotated", "beta_vae", "gsfa", "perturbvi", "ica", "scvi", "scanvi"]
    tables = fake_tables(methods=many, metrics=["inll_clean"], replicates=3, grids={}, spread=1000)
    [lead] = find_leads(tables)
    text = shown(summary(tables, "demo", {}))
    for word, methods in lead.by_verdict().items():
        assert f"{word}: {listed([tables.label(method) for method in methods], NAMES_LENGTH)}" in text
    assert re.search(r"… \d more", text)


def test_methods_that_share_their_values_are_equal_within_the_margin():
    tables = duel(7, 0.05)
    copy = tables.metrics[tables.metrics["method"] == "svae_plus"].assign(method="vae")
    copy["value"] += np.tile([0.1, -0.1, 0, 0], len(copy))[: len(copy)]
    kept = tables.metrics[tables.metrics["method"] == "svae_plus"]
    text = shown(summary(replace(tables, metrics=kept._append(copy, ignore_index=True)), "demo", {}))
    assert "equal within the margin: VAE" in text
    assert "Margins: 1 for I-NLL, clean protocol (nats/cell)." in text


def test_a_difference_that_a_correction_takes_back_is_no_win():
    [lead] = find_leads(duel(7, 0.05))
    for word in get_args(Verdict):
        assert replace(lead, others=lead.others.assign(verdict=word)).is_win == (word == "differs")


def test_the_leader_is_tested_against_all_others_not_only_the_reference():
    """The leader may differ from the reference and yet be the equal of a third method."""
    tables = fake_tables(
        methods=["svae_plus", "svae", "vae"],
        metrics=["inll_clean"],
        replicates=8,
        grids={},
        spread=0.01,
    )
    copy = tables.metrics[tables.metrics["method"] == "svae_plus"].assign(method="svae")
    copy["value"] += np.tile([0.1, -0.1], len(copy) // 2)
    others = tables.metrics[tables.metrics["method"] != "svae"]
    tables = replace(tables, metrics=others._append(copy, ignore_index=True), reference="vae")
    [lead] = find_leads(tables)
    assert lead.by_verdict() in (
        {"differs": ["vae"], "equal within the margin": [other]} for other in ("svae", "svae_plus")
    )
    assert "winner" not in summary(tables, "demo", {})


def test_one_replicate_and_no_failure():
    tables = fake_tables(methods=["svae_plus", "vae"], metrics=["inll_clean"], replicates=1, truth=False)
    text = summary(tables, "real", {})
    render(text)
    assert "fewer than two pairs" in text
    assert "Nothing failed (11 ok)." in text


def test_a_run_without_any_value_renders():
    lost = fake_tables(methods=["vae"], metrics=METRICS, replicates=2, failed=[("vae", 0), ("vae", 1)])
    text = summary(lost, "demo", {})
    render(text)
    assert "nothing leads" in text
    leaderboard_html(lost)


def test_a_reference_that_was_not_run_is_said(tables):
    board = tables.leaderboard.assign(pairs=float("nan"), difference=float("nan"))
    assert "nothing is compared" in re.sub(
        r"\s+", " ", leaderboard_html(replace(tables, leaderboard=board, reference="ivae"))
    )


def test_the_first_page_tells_the_four_words_apart(tables):
    text = summary(tables, "demo", {})
    render(text)
    assert "**out of memory**, sVAE on b (6 fits, replicate 1)" in text
    assert re.search(r"\*\*Not chosen\*\* \(†\).*PCA on a\\_b \(3 of 3 replicates\)", text, re.DOTALL)
    assert "**Not run**, because the scope leaves it out: VAE on b." in text
    assert "**Not applicable**" not in text
    selected = tables.selected.copy()
    selected.loc[selected["method"] == "vae", ["setting", "outcome"]] = [np.nan, "not_applicable"]
    text = summary(replace(tables, selected=selected), "demo", {})
    assert "**Not applicable**: VAE on a\\_b." in text


def test_a_leader_that_the_rule_did_not_choose_is_marked(tables):
    board = tables.leaderboard.copy()
    board.loc[board["method"] == "svae_plus", "fallbacks"] = 3
    assert "sVAE+ †" in summary(replace(tables, leaderboard=board), "demo", {})


def test_what_is_doubtful_is_a_sentence_on_the_first_page(tables):
    found = [
        ("a_b", "paper", "svae", "overfits", np.nan, 2, 3),
        ("b", "paper", "svae_plus", "edge of the grid", "penalty = 1000, the highest of 5", 3, 3),
        ("b", "paper", "oracle", "masks all closed", np.nan, 3, 3),
        ("b", "paper", np.nan, "no evidence", "Reach, adapted", 3, 3),
        ("b", "paper", np.nan, "no evidence", "Weighted R², adapted", 3, 3),
    ]
    warned = replace(tables, warnings=pd.DataFrame(found, columns=WARNINGS_COLUMNS))
    doubts = shown(summary(warned, "demo", {})).partition("What to doubt")[2].partition("What failed")[0]
    edge = "its setting is at the edge of the grid (penalty = 1000, the highest of 5) in 3 of 3 replicates."
    rise = "validation ends above its best epoch while the training loss falls on in 2 of 3 replicates."
    assert doubts.index(f"sVAE+ on b: {edge}") < doubts.index(f"sVAE on a_b: it overfits, as {rise}")
    assert "Oracle" not in doubts, "anchors are what they are"
    assert (
        "No evidence on b from Reach, adapted; Weighted R², adapted, as the mean response is not told from a "
        "technical duplicate, in 3 of 3 replicates." in doubts
    )
    silent = replace(tables, warnings=pd.DataFrame(found[3:4] * 15, columns=WARNINGS_COLUMNS))
    assert "Reach, adapted; … 3 more, as the mean response" in shown(summary(silent, "demo", {}))
    many = replace(tables, warnings=pd.DataFrame(found[:1] * 25, columns=WARNINGS_COLUMNS))
    assert "… and 5 more, in the table of warnings." in shown(summary(many, "demo", {}))
    none = replace(tables, warnings=pd.DataFrame(columns=WARNINGS_COLUMNS))
    assert "There is no warning about a chosen fit." in shown(summary(none, "demo", {}))


def test_text_of_a_run_is_no_template_for_snakemake(tables):
    """Snakemake fills the first page in as a jinja2 template once more."""
    text = summary(tables, "demo", {"note": "{{ 1/0 }} {% for %}"})
    assert "{{" not in text
    assert "{%" not in text
    assert "{{ 1/0 }} {% for %}" in render(text)


def test_the_leaderboard_needs_no_network(page):
    assert not re.search(r"<script|<link|https?://|src=|@import|url\(", page)


def test_the_leaderboard_is_well_formed(page):
    class Checker(HTMLParser):
        open: list[str]

        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                self.open.append(tag)

        def handle_endtag(self, tag):
            assert self.open.pop() == tag

    checker = Checker()
    checker.open = []
    checker.feed(page)
    assert checker.open == []


def rows_of(page, heading):
    """Cells by method and column in the first table under a heading."""
    table = page[page.index(f"<h3>{heading}") :]
    table = table[: table.index("</table>")]
    columns = re.findall(r"<th.*?>(.*?)</th>", table)
    cells = [re.findall(r"<td.*?>(.*?)</td>", row, re.DOTALL) for row in table.split("<tr")[2:]]
    return {row[1].split("</i>")[1]: dict(zip(columns, row, strict=True)) for row in cells}


DIFFERENCE, MEAN, NOTE = "Difference [95 % interval]", "Mean [95 % interval]", ""


def test_the_leaderboard_shows_the_differences_to_the_reference_first(page, tables):
    shown = rows_of(page, "MCC")
    assert shown["sVAE+"][DIFFERENCE] == "reference"
    row = tables.leaderboard.query("rule == 'udr' and metric == 'mcc_pearson' and method == 'vae'").iloc[0]
    expected = f"{row['difference']:+.3f} [{row['difference_low']:+.3f}, {row['difference_high']:+.3f}]"
    assert shown["VAE"][DIFFERENCE] == expected.replace("-", "−")
    assert shown["VAE"]["Verdict"] == row["verdict"]
    assert rows_of(page, "MCC")["Oracle"][DIFFERENCE] == "—", "anchors are not compared"
    assert "higher is better; margin 0.02" in page


def test_the_leaderboard_shows_the_first_in_bold_anchors_in_grey_and_the_main_rule_first(page, tables):
    rows = re.findall(r'<tr(?: class="(\w*)")?>\s<td>.*?</i>(.*?)</td>(.*?)</tr>', page, re.DOTALL)
    assert rows[0][:2] == ("first", "sVAE+")
    assert ("anchor", "Oracle") in {row[:2] for row in rows}
    assert page.index("</table>") < page.index("<details>")
    assert 'table class="truth"' in page[page.index("<details>") :]
    svae = tables.leaderboard.query("rule == 'udr' and metric == 'mcc_pearson' and method == 'svae'").iloc[0]
    assert next(rest for _, label, rest in rows if label == "sVAE").count(f"{svae['mean']:.3f} [") == 1
    assert "2 of 3" in page


def test_a_rule_that_sees_the_truth_lists_the_best_mean_first(page, tables):
    board = tables.leaderboard.query("rule == 'hindsight' and dataset == 'a_b'").set_index("method")
    for metric, lowest_first in (("mcc_pearson", False), ("inll_clean", True)):
        means = board.loc[(board["metric"] == metric) & board.index.isin(tables.order), "mean"].dropna()
        expected = [tables.label(method) for method in means.sort_values(ascending=lowest_first).index]
        part = page[page.index(f"<h3>{tables.registry.loc[metric, 'label']}") :]
        part = part[part.index('table class="truth"') :]
        rows = re.findall(r"</i>(.*?)</td>", part[: part.index("</table>")])
        assert [label for label in rows if label in expected] == expected, metric


def test_metrics_of_the_first_page_lead_the_leaderboard():
    metrics = ["smi_best", "mcc_pearson", "r2", "inll_clean"]
    tables = fake_tables(methods=["svae_plus", "vae"], metrics=metrics, replicates=2, grids={})
    headings = re.findall(r"<h3>(.*?) <", leaderboard_html(tables))
    shown = ["mcc_pearson", "inll_clean", "smi_best", "r2"]
    assert headings == [tables.registry.loc[metric, "label"] for metric in shown]


def test_verdicts_are_explained_if_any_lead_has_an_interval(tables):
    """On b all methods but one failed twice in three replicates here."""
    one_pair = tables.metrics.query("not (dataset == 'b' and method != 'svae_plus' and replicate > 0)")
    text = summary(replace(tables, metrics=one_pair), "demo", {})
    assert "The verdict follows from the interval" in text


def test_the_leaderboard_tells_how_many_fits_were_tried(page):
    fits = {method: row["Fits"] for method, row in rows_of(page, "MCC").items()}
    assert fits == {"sVAE+": "10", "sVAE": "6", "PCA": "2", "VAE": "1", "Oracle": "1"}


def test_pairs_of_held_out_perturbations_are_told():
    methods, metrics = ["svae_plus", "vae"], ["inll_clean"]
    real = fake_tables(methods=methods, metrics=metrics, replicates=2, truth=False, grids={}, held_out=3)
    board = rows_of(leaderboard_html(real), "I-NLL")
    assert "(n = 6 perturbations)" in board["VAE"][DIFFERENCE]
    weighted = real.leaderboard.query("method == 'vae' and rule == 'udr'").iloc[0]
    assert board["VAE"]["Weighted by effect"] == weighted_change(weighted, 1)
    text = shown(summary(real, "demo", {}))
    assert "Weighted by effect" in text
    assert weighted_change(weighted, 1) in text
    assert "(n = 6 perturbations)" in text
    assert "the intervals are wide" not in text, "six pairs are enough, though there are two replicates"


def test_without_effect_sizes_nothing_is_weighted(page, tables):
    assert "Weighted" not in page
    assert "Weighted" not in summary(tables, "demo", {})


def test_numbers_have_the_decimals_of_their_metric(page, tables):
    decimals = tables.registry.loc["inll_clean", "decimals"]
    assert re.match(rf"\d+\.\d{{{decimals}}} \[", rows_of(page, "I-NLL, clean")["sVAE+"][MEAN])


def test_what_is_missing_is_said_in_four_words(page):
    targets = rows_of(page, "Target F1")
    assert (targets["VAE"][MEAN], targets["VAE"]["n"]) == ("not applicable", "0 of 3")
    assert rows_of(page, "MCC")["PCA"][NOTE] == "not chosen in 3 replicates, fixed setting"
    assert rows_of(page, "MCC")["sVAE"][NOTE] == "1 replicate failed"
    second = page[page.index("<h2>b</h2>") :]
    absent = rows_of(second, "MCC")["VAE"]
    assert (absent["Rank"], absent[MEAN], absent[DIFFERENCE], absent["n"]) == ("—", "not run", "—", "—")
    lost = fake_tables(methods=["svae_plus", "vae"], metrics=METRICS, replicates=1, failed=[("vae", 0)])
    assert rows_of(leaderboard_html(lost), "MCC")["VAE"][MEAN] == "failed"


@pytest.mark.parametrize("path", sorted(CAPTIONS.glob("*.rst")), ids=lambda path: path.stem)
def test_captions_render(path):
    render(path.read_text())


def test_the_first_page_says_where_each_method_stands_between_no_skill_and_the_ceiling():
    metrics = ["mcc_pearson", "inll_clean", "pearson_delta_adapted_calibrated"]
    tables = fake_tables(methods=["svae_plus", "vae", "oracle", "random"], metrics=metrics, replicates=3)
    [(_, heads, rows)] = standings(tables)
    labels = tables.registry.loc[metrics, "label"]
    assert heads == ["Method", labels["mcc_pearson"], labels["pearson_delta_adapted_calibrated"]]
    assert [row[0] for row in rows] == ["sVAE+", "VAE"], "anchors are the ends of the scale"
    board = tables.leaderboard.query("rule == 'udr'").set_index(["metric", "method"])
    mcc = board.loc["mcc_pearson", "mean"]
    expected = (mcc["svae_plus"] - mcc["random"]) / (mcc["oracle"] - mcc["random"])
    assert rows[0][1].startswith(f"{expected:.2f} [")
    calibrated = board.loc[("pearson_delta_adapted_calibrated", "vae"), "mean"]
    assert rows[1][2].startswith(f"{calibrated:.2f} ["), "it has a scale already"
    assert "Where each method stands" in shown(summary(tables, "demo", {}))


def test_on_a_scale_on_which_lower_is_better_intervals_are_not_turned_round():
    tables = fake_tables(
        methods=["svae_plus", "vae", "oracle", "random"], metrics=["mcc_pearson"], replicates=3
    )
    board = tables.leaderboard.copy()
    ends = board["method"].map({"oracle": 0.0, "random": 1.0})
    board["mean"] = ends.fillna(board["mean"])
    [(_, _, rows)] = standings(replace(tables, leaderboard=board))
    low, high = map(float, re.search(r"\[(.*), (.*)\]", rows[0][1]).groups())
    assert low <= float(rows[0][1].split()[0]) <= high


def test_the_auroc_of_sibling_guides_has_ends_of_its_own():
    tables = fake_tables(methods=["svae_plus", "vae"], metrics=["sibling_auroc"], replicates=3)
    [(_, _, rows)] = standings(tables)
    auroc = tables.leaderboard.query("rule == 'udr' and method == 'vae'")["mean"].iloc[0]
    assert rows[1][1].startswith(f"{2 * auroc - 1:.2f} [")


def test_the_first_page_lists_the_figures_of_the_report_with_the_first_sentence_of_each_caption(tables):
    figures = {path.stem: question_of(path) for path in sorted(CAPTIONS.glob("*.rst"))}
    text = shown(summary(tables, "demo", {}, figures))
    assert "Latent genes : What is a latent?" in text
    assert "Sweep : How do the main metrics depend on what was varied?" in text
    assert "Latent genes" not in shown(summary(tables, "demo", {}))


def test_without_the_ends_of_a_scale_nobody_stands_anywhere():
    tables = fake_tables(methods=["svae_plus", "vae", "oracle"], metrics=["mcc_pearson"], replicates=3)
    assert list(standings(tables)) == []
    assert "Where each method stands" not in summary(tables, "demo", {})
