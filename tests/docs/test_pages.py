"""README.md and docs/ say what the code and the committed results say."""

import re
from pathlib import Path

import pandas as pd
import pytest
from checkout import ROOT

from docs.generate import WRITERS
from docs.generate.pages import BLOCK, filled, names_in, pages
from docs.generate.results import SIMULATION, Leaderboard
from svae.errors import BenchmarkError

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


def test_simulated_results_are_as_the_readme_concludes():
    board = Leaderboard(*SIMULATION)
    recovered = {method: board.mean(method, "mcc_pearson") for method in board.methods(["mcc_pearson"])}
    sparse = ["svae_plus", "svae", "ivae_rotated"]
    assert (
        min(board.mean(method, metric) for method in sparse for metric in ("mcc_pearson", "target_f1")) > 0.9
    )
    assert recovered["ivae"] <= max(recovered["vae"], recovered["beta_vae"]) < recovered["ica"] < 0.9
    adapted = board.rows[board.rows["metric"] == "inll_same_cells"].set_index("method")
    assert adapted.loc["ivae", "low"] < adapted.loc["svae_plus", "mean"] < adapted.loc["ivae", "high"]
    original = pd.read_csv(REFERENCE / "fidelity.tsv", sep="\t").query("method == 'svae_plus'")
    mean = original.groupby("metric")["value"].mean()
    assert mean["mcc_pearson"] < recovered["svae_plus"]
    assert mean["target_f1"] < board.mean("svae_plus", "target_f1")
    assert mean["inll_same_cells"] > board.mean("svae_plus", "inll_same_cells")


def test_the_real_screen_is_as_large_as_the_readme_says():
    told = re.search(
        r"(\d+) knock-outs in ([\d,]+) THP-1 cells, on (\d+) genes", prose_of(ROOT / "README.md")
    )
    facts = pd.read_csv(REFERENCE / "papalexi" / "datasets.tsv", sep="\t", index_col="parameter")["value"]
    assert [number.replace(",", "") for number in told.groups()] == [
        facts[name] for name in ("perturbations", "cells", "genes")
    ]


def test_knock_outs_share_targets_as_the_readme_says():
    table = pd.read_csv(REFERENCE / "papalexi/figures/shared_targets.tsv", sep="\t")
    other_way = table.rename(columns={"perturbation": "other", "other": "perturbation"})
    pairs = pd.concat([table, other_way]).drop_duplicates(["perturbation", "other"])
    similarity = pairs.pivot(index="perturbation", columns="other", values="similarity")
    replicates = pairs.pivot(index="perturbation", columns="other", values="n")
    pathway = ["IFNGR1", "IFNGR2", "JAK2", "STAT1"]
    assert similarity.loc[pathway, pathway].to_numpy().min() > 0.95
    assert similarity.loc["SMAD4", pathway].max() < 0.5
    assert replicates.loc["IRF1", "IRF1"] == 1, "of three"
    others = similarity.index.difference([*pathway, "SMAD4", "IRF1"])
    assert similarity.loc[others].isna().all(axis=None), "they have no targets"
