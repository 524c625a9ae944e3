"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest
from checkout import TINY, Checkout, once


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
