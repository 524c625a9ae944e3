"""README.md and docs/ say what the code and the committed results say."""

import re
from pathlib import Path

import pandas as pd
import pytest
from checkout import ROOT

from docs.generate import WRITERS
from docs.generate.comparisons import DEVELOPMENT, Chosen, distance_to_the_limits, draws
from docs.generate.pages import BLOCK, filled, names_in, pages
from docs.generate.results import SIMULATION, Leaderboard
from svae.errors import BenchmarkError
from svae.evaluation.metrics import METRICS
from svae.evaluation.statistics import t_interval
from svae.workflow.figures import figures_of
from svae.workflow.scope import Scope

REFERENCE = ROOT / "reports" / "reference"
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose_of(page: Path) -> str:
    """The text of a page without code and without what is generated."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]+`", "", BLOCK.sub("", text))


def section(text: str, heading: str) -> str:
    """What follows a heading, up to the next heading of any level."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_what_is_generated_is_in_step(page):
    assert page.read_text(encoding="utf-8") == filled(page, WRITERS), "run `make docs`"


def test_every_writer_writes_for_a_page():
    assert {name for page in pages() for name in names_in(page)} == set(WRITERS)


def test_every_metric_is_on_the_page_of_metrics():
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    ending = re.compile(r"_(zero_shot|adapted|combination)(_calibrated)?$")
    names = {
        ending.sub("", metric.name) if metric.question == "prediction" else metric.name
        for metric in METRICS.values()
        if not metric.original
    }
    assert {name for name in names if f"\n| `{name}` " not in page} == set()


def test_a_block_that_nobody_writes_is_an_error(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- generated: romms -->\n<!-- end -->\n")
    with pytest.raises(BenchmarkError, match="did you mean 'rooms'"):
        filled(page, WRITERS)


def test_only_the_blocks_of_a_page_are_rewritten(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- generated: a -->\nold\n<!-- end -->\nafter\n")
    assert filled(page, {"a": str}) == "before\n<!-- generated: a -->\n\n\n\n<!-- end -->\nafter\n"


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page):
    for link in LINK.finditer(prose_of(page)):
        target = page.parent / link["path"] if link["path"] else page
        assert target.exists(), link[0]
        if link["heading"]:
            assert link["heading"] in anchors_of(target), link[0]


def test_figures_that_a_page_names_are_drawn_by_a_scope_that_there_is():
    page = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
    named = re.findall(r"results/([\w-]+)/figures/([\w-]+)\.(?:svg|tsv)", page)
    assert len(named) > 5
    for scope, figure in named:
        drawn = figures_of(Scope.read(ROOT / "config" / f"{scope}.yaml"), ROOT / "reports" / "captions")
        assert figure in drawn, (scope, figure)


@pytest.mark.parametrize(
    ("name", "headings"),
    [
        ("README.md", ["What comes out", "Simulated cells", "Real cells", "Speed"]),
        ("docs/training.md", ["Evidence", "Distance to the limits", "Starts that fail"]),
    ],
)
def test_measured_numbers_stand_in_generated_tables_alone(name, headings):
    prose = prose_of(ROOT / name)
    for heading in headings:
        assert re.findall(r"\d*\.\d+", section(prose, heading)) == []


def test_no_sentence_of_the_readme_says_who_is_better():
    """Who is better stands in the generated tables, where the intervals decide what is said."""
    claims = r"as well|as good|better|worse|outperform|best|more than|no more|comes close|superior|equal"
    for heading in ("Simulated cells", "Real cells"):
        prose = section(prose_of(ROOT / "README.md"), heading)
        found = [
            sentence
            for sentence in re.split(r"(?<=[.:])\s", prose)
            if re.search(rf"\b({claims})\b", sentence)
        ]
        # The directions of metrics are no claims.
        assert [sentence for sentence in found if "is better for" not in sentence] == []


def test_the_answers_are_those_of_the_leaderboard():
    board = Leaderboard(*SIMULATION).rows
    run = Chosen(*SIMULATION)
    for metric in ("mcc_pearson", "target_f1", "inll_clean"):
        row = board[(board["metric"] == metric) & (board["method"] == "svae")].iloc[0]
        difference = run.difference("svae", "svae_plus", metric)
        columns = ["difference", "difference_low", "difference_high", "pairs", "p"]
        expected = difference[["difference", "low", "high", "n", "p"]].astype(float).tolist()
        assert row[columns].astype(float).tolist() == pytest.approx(expected)


def test_draws_for_reports_are_none_of_those_for_development():
    scope = Scope.read(ROOT / "config" / "simulation.yaml")
    for entry in scope.simulated.values():
        assert set(entry.seeds).isdisjoint(DEVELOPMENT)
        assert len(entry.seeds) >= scope.replicates >= 10


def test_it_is_said_where_a_report_is_of_draws_for_development(monkeypatch):
    monkeypatch.setattr(Chosen, "seeds", [100, 101])
    assert draws().endswith("Nobody had looked at these draws before.")
    monkeypatch.setattr(Chosen, "seeds", [4, 101])
    assert "developed on these draws" in draws()


def test_the_intervals_that_are_used_cover_as_often_as_the_page_says():
    table = pd.read_csv(REFERENCE / "coverage.tsv", sep="\t").query("skewness <= 1")
    assert table.query("interval == 't'")["coverage"].between(0.93, 0.97).all()
    assert (table.query("interval != 't'")["coverage"] < 0.93).all()


def test_a_large_screen_takes_the_memory_that_the_page_says():
    table = pd.read_csv(REFERENCE / "preparation.tsv", sep="\t").set_index("kept_genes")
    prose = " ".join(section(prose_of(ROOT / "docs" / "add-a-dataset.md"), "Large screens").split())
    told = re.search(
        r"([\d,]+) cells by ([\d,]+) genes .* \(([\d.]+) GB\), was prepared and written with a peak of "
        r"([\d.]+) GB for the ([\d,]+) most variable genes",
        prose,
    )
    *size, peak, kept = (float(number.replace(",", "")) for number in told.groups())
    assert size == list(table.loc[kept, ["cells", "genes", "file_gb"]])
    assert peak == table.loc[kept, "peak_memory_gb"]


def test_calls_keep_their_rate_and_pairs_of_cells_call_nearly_nothing_as_the_page_says():
    table = pd.read_csv(REFERENCE / "differential.tsv", sep="\t")
    means = table.groupby(["approach", "nominal"])[["realised", "power"]].mean().reset_index()
    of_populations = means[means["approach"] != "scvi, pairs of cells"]
    assert (of_populations["realised"] < 1.3 * of_populations["nominal"] + 0.02).all()
    assert (means.drop(index=of_populations.index)["power"] < 0.05).all()


def test_no_model_reaches_the_generator():
    likelihoods = Chosen(*SIMULATION).of_metric("inll_same_cells").dropna(axis=1)
    for method in likelihoods.columns.drop("oracle"):
        low, _ = t_interval(likelihoods[method] - likelihoods["oracle"])
        assert low > METRICS["inll_same_cells"].margin


def test_limits_of_other_draws_are_an_error(monkeypatch):
    monkeypatch.setattr(Chosen, "seeds", [100, 99])
    with pytest.raises(BenchmarkError, match="no limits of seed 99; run `make limits`"):
        distance_to_the_limits()
