"""What `make data` says before it fetches anything."""

import re
import shutil
from collections import namedtuple

import pytest
import yaml
from checkout import ROOT

from svae.datasets.preparation import NOT_OF_CELLS, Preparation
from svae.errors import BenchmarkError
from svae.files import read_table
from svae.workflow.check import check_file, checked_scope
from svae.workflow.data import needed_files, tell
from svae.workflow.names import Repository

SOURCES = Repository(ROOT).sources
ROWS, NORMAN = "resources/rows/paper/replogle.h5ad", "resources/norman2019.h5ad"


@pytest.fixture
def needed(monkeypatch):
    """What the scope of the paper needs."""
    monkeypatch.chdir(ROOT)
    return needed_files(check_file("config/paper.yaml"), SOURCES)


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """Return a function that sets how much of the disk is free, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "resources").mkdir()

    def has(gigabytes):
        usage = namedtuple("usage", "free")(free=round(gigabytes * 1e9))
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)

    return has


def test_the_paper_needs_cells_of_one_study_and_the_whole_of_another(needed):
    assert list(needed) == [ROWS, NORMAN]
    rows, norman = needed.values()
    assert rows.is_estimate
    # 116,641 of the 1,989,578 cells are known to be kept.
    assert rows.bytes == pytest.approx(116_641 / 1_989_578 * rows.source.bytes, rel=0.2)
    assert norman.bytes == norman.source.bytes == 1_703_064_678


def test_it_says_how_much_is_to_come_and_how_much_room_there_is(needed, disk):
    disk(10)
    said = tell(needed, "config/paper.yaml").splitlines()
    assert "about 4.5 GB" in said[2]
    assert "K562_gwps_raw_singlecell_01.h5ad (65.8 GB), Replogle" in said[2]
    assert "missing" in said[3]
    assert said[-1] == "2 of 2 files, about 6.2 GB, are to be fetched; the disk has 10.0 GB free"


def test_it_says_what_is_there_and_what_was_begun(needed, disk, tmp_path):
    disk(5)
    (tmp_path / ROWS).parent.mkdir(parents=True)
    (tmp_path / ROWS).touch()
    with open(tmp_path / f"{NORMAN}.part", "wb") as part:
        part.truncate(1_000_000_000)
    said = tell(needed, "config/paper.yaml").splitlines()
    assert "is there" in said[2]
    assert "begun" in said[3]
    assert said[-1] == "1 of 2 files, 0.7 GB, are to be fetched; the disk has 5.0 GB free"


def test_a_disk_without_room_is_told(needed, disk):
    disk(3)
    with pytest.raises(BenchmarkError, match=r"are to be fetched, but the disk has 3\.0 GB free") as caught:
        tell(needed, "config/paper.yaml")
    assert str(caught.value).startswith("config/paper.yaml: 2 of 2 files, about 6.2 GB, ")


def test_a_scope_of_simulated_cells_needs_nothing(monkeypatch):
    monkeypatch.chdir(ROOT)
    needed = needed_files(check_file("config/demo.yaml"), SOURCES)
    assert tell(needed, "config/demo.yaml") == "config/demo.yaml: there is nothing to fetch"


def test_what_the_page_says_of_cells_of_a_large_file_was_measured():
    measured = read_table(ROOT / "reports" / "reference" / "rows.tsv").set_index("fact")["value"]
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert f"{measured['bytes of tables'] / 1e6:.0f} MB of tables are sent" in page
    assert f"fetching takes {measured['peak memory, MB']} MB of memory" in page
    assert measured["bytes sent"] == measured["bytes of their counts"] + measured["bytes of tables"]
    paper = SOURCES["replogle2022_k562_gwps"]
    assert measured["bytes of the file"] == pytest.approx(paper.bytes, rel=0.001)
    assert measured["cells of the file"] == paper.content["cells"]


def test_options_that_choose_no_cells_are_options():
    assert set(NOT_OF_CELLS) <= set(Preparation.model_fields)


def test_what_chooses_cells_is_a_preparation_by_itself():
    guides = {"label": "gene", "guide": "sgRNA", "each_guide": True, "batch": "lane", "top_genes": 10}
    of_cells = {name: guides[name] for name in guides if name not in NOT_OF_CELLS}
    assert Preparation.model_validate(of_cells).label == "gene"


def test_control_cells_are_counted_among_what_is_to_be_fetched():
    screen = {"source": "replogle2022_k562_gwps", "label": "gene", "perturbations": ["STAT1", "JAK2"]}
    scope = {"scope": "rows", "splits": {"half": {"kind": "random", "held_out": 1}}, "methods": {"pca": None}}

    def file(**more):
        entry = {**scope, "datasets": {"screen": {**screen, **more}}}
        [needed] = needed_files(checked_scope(entry, ROOT, "scope"), SOURCES).values()
        return needed

    alone, with_control = file(), file(control="non-targeting")
    cells = SOURCES["replogle2022_k562_gwps"].content
    share = cells["gene:non-targeting"] / cells["cells"]
    assert with_control.bytes - alone.bytes == pytest.approx(share * alone.source.bytes, rel=0.01)


def test_each_public_study_is_a_few_lines_of_a_config_that_is_accepted(monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^## Public studies\n.*?```yaml\n(.*?)```", page, re.MULTILINE | re.DOTALL)
    splits = {"fifth": {"kind": "random", "held_out": 0.2}}
    scope = {"scope": "public", **yaml.safe_load(block), "splits": splits, "methods": {"pca": None}}
    needed = needed_files(checked_scope({**scope, "reference": "pca"}, ROOT, "scope"), SOURCES)
    assert {file.source.name for file in needed.values()} == set(SOURCES)
    assert max(map(len, scope["datasets"].values())) <= 7
