"""tests/walk.py takes a count matrix from file to figure; here is what that costs in imports."""

import os
import re
import subprocess
import sys

import pytest
from checkout import ROOT

from svae.files import read_table

IMPORT = re.compile(r"^import time:\s+(?P<self>\d+) \|\s+\d+ \|\s+(?P<module>\S+)$", re.MULTILINE)
TRAINING = {"torch", "scvi", "lightning", "scanpy", "numba"}
OTHER_JOBS = {"snakemake", "requests", "jinja2"}
"""Libraries that run jobs, download and fill templates: the walk does none of it."""


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """Where the walk left its files, and what it said."""
    folder = tmp_path_factory.mktemp("walk")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-X", "importtime", ROOT / "tests" / "walk.py", folder],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, IMPORT.sub("", done.stderr).strip()
    return folder, done


def test_a_count_matrix_becomes_a_figure(walked):
    folder, _ = walked
    drawn = read_table(folder / "latent_recovery.tsv")
    assert set(drawn["method"]) == {"pca", "random"}
    assert drawn["mean"].notna().all()
    assert (folder / "latent_recovery.png").stat().st_size > 10_000


def test_libraries_that_are_not_needed_are_not_loaded(walked):
    _, done = walked
    loaded = {module.partition(".")[0] for module in done.stdout.split()}
    assert {"svae", "numpy", "pandas", "anndata", "sklearn", "matplotlib"} <= loaded
    assert not loaded & (TRAINING | OTHER_JOBS)


def test_our_own_modules_load_in_less_than_a_second(walked):
    # The time of each module without that of what it imports: libraries are not counted.
    _, done = walked
    times = {found["module"]: int(found["self"]) for found in IMPORT.finditer(done.stderr)}
    ours = {module: time for module, time in times.items() if module.partition(".")[0] == "svae"}
    assert len(ours) > 50
    assert sum(ours.values()) < 1e6, sorted(ours.items(), key=lambda item: -item[1])[:5]
