"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real and reference data, which is not part of the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SVAE_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder} (set SVAE_SHARED_DATA to its folder)")
    return folder
