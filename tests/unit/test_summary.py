import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from docutils.core import publish_string
from fake_tables import fake_tables

from svae.report.first_page import leaderboard_html, summary

CAPTIONS = Path(__file__).resolve().parents[2] / "reports" / "captions"
METRICS = ["mcc_pearson", "target_f1", "inll_clean"]
METHODS = ["svae_plus", "svae", "vae", "oracle"]


@pytest.fixture(scope="module")
def tables():
    return fake_tables(["a_b"], methods=METHODS, metrics=METRICS, replicates=3, failed=[("svae", 1)])


@pytest.fixture(scope="module")
def page(tables):
    return leaderboard_html(tables)


def render(rst):
    """HTML of `rst`; fails on any warning of docutils."""
    warnings = io.StringIO()
    options = {"warning_stream": warnings, "report_level": 1, "output_encoding": "unicode"}
    html = publish_string(rst, writer="html", settings_overrides=options)
    assert warnings.getvalue() == ""
    return html


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


def test_few_replicates_are_said_to_prove_nothing(tables):
    assert "2/2\\ :sup:`3` = 0.25" in summary(tables, "demo", {})
    assert "no difference can be significant at 0.05" in summary(tables, "demo", {})


def test_enough_replicates_are_not():
    many = fake_tables(methods=["svae_plus", "vae"], metrics=["inll_clean"], replicates=7)
    assert "2/2\\ :sup:`7` = 0.0156." in summary(many, "demo", {})


def test_one_replicate_and_no_failure():
    tables = fake_tables(methods=["svae_plus", "vae"], metrics=["inll_clean"], replicates=1, truth=False)
    text = summary(tables, "real", {})
    render(text)
    assert "fewer than two replicates" in text
    assert "Nothing failed (11 ok)." in text


def test_a_run_without_any_value_renders():
    lost = fake_tables(methods=["vae"], metrics=METRICS, replicates=2, failed=[("vae", 0), ("vae", 1)])
    text = summary(lost, "demo", {})
    render(text)
    assert "nothing won" in text
    leaderboard_html(lost)


def test_a_reference_that_was_not_run_is_said(tables):
    board = tables.leaderboard.assign(p_adjusted=float("nan"))
    text = summary(replace(tables, leaderboard=board, reference="pca"), "demo", {})
    assert "nothing was tested" in text


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


def test_the_leaderboard_shows_the_winner_in_bold_anchors_in_grey_and_the_main_rule_first(page, tables):
    rows = re.findall(r'<tr class="(\w*)">.*?</i>(.*?)</td>(.*?)</tr>', page)
    assert rows[0][:2] == ("winner", "sVAE+")
    assert ("anchor", "Oracle") in {row[:2] for row in rows}
    assert page.index("</table>") < page.index("<details>")
    assert 'table class="hindsight"' in page[page.index("<details>") :]
    svae = tables.leaderboard.query("rule == 'udr' and metric == 'mcc_pearson' and method == 'svae'").iloc[0]
    assert next(rest for _, label, rest in rows if label == "sVAE").count(f"{svae['mean']:.3f} [") == 1
    assert "2 of 3" in page


def test_what_does_not_apply_is_a_dash(page):
    targets = page[page.index("<h3>Target F1") :]
    assert re.search(r"VAE</td><td class=\"number\">—</td><td class=\"number\">0 of 3", targets)


@pytest.mark.parametrize("path", sorted(CAPTIONS.glob("*.rst")), ids=lambda path: path.stem)
def test_captions_render(path):
    render(path.read_text())
