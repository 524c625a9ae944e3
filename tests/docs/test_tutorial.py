"""docs/tutorial.ipynb runs from top to bottom, and its model finds what the text says."""

import json
import os
import subprocess
import sys
from typing import Any

import nbformat
import numpy as np
import pytest
from checkout import ROOT

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
RUN = """\
import json
import sys

import nbformat

cells = nbformat.read(sys.argv[1], as_version=4).cells
namespace = {}
for cell in cells:
    if cell.cell_type == "code":
        exec(compile(cell.source, sys.argv[1], "exec"), namespace)
results = {name: float(namespace[name]) for name in ("mcc", "f1", "before", "after")}
results["shifts"] = [namespace[name].ravel().tolist() for name in ("true_shifts", "estimated")]
print(json.dumps(results))
"""


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """What the notebook computed, in a process of its own."""
    command = [sys.executable, "-W", "ignore", "-c", RUN, str(NOTEBOOK)]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])


def test_the_notebook_is_valid_and_holds_no_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(cell.outputs == [] for cell in notebook.cells if cell.cell_type == "code")


def test_latents_and_targets_are_found(results):
    assert results["mcc"] > 0.9
    assert results["f1"] > 0.9


def test_adapting_makes_cells_of_new_perturbations_likelier(results):
    assert results["after"] > results["before"] + 2


def test_shifts_of_new_perturbations_lie_on_their_targets(results):
    for true, estimated in zip(*results["shifts"], strict=True):
        assert np.sign(true) == (np.sign(estimated) if abs(estimated) > 2 else 0)
