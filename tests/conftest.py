"""Fixtures shared by all tests."""

import json
import os
from pathlib import Path

import pytest
from checkout import TINY, Checkout, once
from screens import GENE_SETS, PATHWAYS, SCREENS, table_row, write_screen


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
        copy.snakemake("tiny", "--cores", "2")

    return once(tmp_path_factory, "tiny", run)


@pytest.fixture(scope="session")
def screens_run(tmp_path_factory) -> Checkout:
    """Copy in which the scope of real screens was run, up to the report's first page."""

    def run(path):
        copy = Checkout.create(path)
        copy.write_scope(SCREENS)
        published = copy.path / "published" / "screen.h5ad"
        write_screen(published)
        write_screen(copy.path / "data" / "screen.h5ad")
        with open(copy.path / "config" / "datasets.tsv", "a", encoding="utf-8") as table:
            table.write(table_row("made", published))
        (copy.path / "config" / "pathways.json").write_text(json.dumps(PATHWAYS), encoding="utf-8")
        lines = ["\t".join([name, "", *members]) for name, members in GENE_SETS.items()]
        (copy.path / "config" / "gene_sets.gmt").write_text("\n".join(lines), encoding="utf-8")
        copy.snakemake("screens", "--cores", "2", "results/screens/summary.rst")

    return once(tmp_path_factory, "screens", run)
