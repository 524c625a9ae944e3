"""Fixtures shared by all tests."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import look_alike
import pytest
from checkout import TINY, Checkout, once
from faulty_server import Served, serving
from screens import GENE_SETS, PATHWAYS, SCREENS, table_row, write_screen


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with tests that run a workflow, so that no process is left alone with them at the end."""
    items.sort(key=is_no_workflow)


def is_no_workflow(item: pytest.Item) -> bool:
    """Whether a test lacks the mark of those that run a workflow."""
    return item.get_closest_marker("workflow") is None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real and reference data, which is not part of the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SVAE_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder} (set SVAE_SHARED_DATA to its folder)")
    return folder


@pytest.fixture
def checkout(tmp_path) -> Checkout:
    """Copy of the repository in which nothing was run yet."""
    return Checkout.create(tmp_path / "repository")


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory) -> Checkout:
    """Copy in which the tiny scope was run to its end."""

    def run(path):
        copy = Checkout.create(path)
        copy.write_scope(TINY)
        copy.snakemake("tiny", "--cores", "2", "--verbose")

    return once(tmp_path_factory, "tiny", run)


@pytest.fixture(scope="session")
def screens_run(tmp_path_factory) -> Checkout:
    """Copy in which the scope of real screens was run, up to two pages of the report."""

    def run(path):
        copy = Checkout.create(path)
        copy.write_scope(with_replogle(SCREENS))
        published = copy.path / "published" / "screen.h5ad"
        write_screen(published)
        write_screen(copy.path / "data" / "screen.h5ad")
        with open(copy.path / "config" / "datasets.tsv", "a", encoding="utf-8") as table:
            table.write(table_row("made", published))
        (copy.path / "config" / "pathways.json").write_text(json.dumps(PATHWAYS), encoding="utf-8")
        lines = ["\t".join([name, "", *members]) for name, members in GENE_SETS.items()]
        (copy.path / "config" / "gene_sets.gmt").write_text("\n".join(lines), encoding="utf-8")
        fetch(copy)
        pages = ("results/screens/summary.rst", "results/screens/perturbations.html")
        copy.snakemake("screens", "--cores", "2", *pages)

    return once(tmp_path_factory, "screens", run)


def with_replogle(scope: Mapping[str, Any]) -> dict[str, Any]:
    """Add the paper's dataset to a scope, unchanged but for being split once and fitted by one method."""
    entry = {**look_alike.ENTRY, "splits": ["exosome"], "methods": ["pca"]}
    one_pathway = {**look_alike.SCOPE["splits"]["pathway"], "held_out": "exosome"}
    splits = {**scope["splits"], "exosome": one_pathway}
    return {**scope, "datasets": {**scope["datasets"], "replogle": entry}, "splits": splits}


def fetch(copy: Checkout) -> None:
    """Fetch what the scope of screens needs, the paper's dataset from a server that is gone afterwards."""
    published = copy.path / "published" / "K562.h5ad"
    look_alike.write_published(published)
    served = Served(published.read_bytes())
    with serving({"/K562.h5ad": served}) as server:
        look_alike.row_at(copy.path / "config" / "datasets.tsv", f"{server}/K562.h5ad", published)
        copy.snakemake("screens", "--cores", "2", "data")
    (copy.path / "published" / "sent.json").write_text(json.dumps(served.sent), encoding="utf-8")
