"""The package works from a built wheel, where there is no repository around it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from checkout import ROOT

SOURCES = ("pyproject.toml", "README.md", "LICENSE")

IMPORT_ALL = """
import importlib, pkgutil, sys
import svae

names = [found.name for found in pkgutil.walk_packages(svae.__path__, "svae.")]
modules = [svae, *map(importlib.import_module, names)]
outside = [module.__file__ for module in modules if not module.__file__.startswith(sys.argv[1])]
assert not outside, outside
print(len(modules))
"""

SIMULATE_FIT_EVALUATE = """
import sys
from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.evaluate import compute_metrics
from svae.methods.linear import fit_linear
from svae.simulation import simulate

small = {"perturbations": 10, "cells_per_perturbation": 40, "latents": 3, "genes": 20, "hidden": 10}
drawn = simulate("corrected", seed=1, **small)
parts = split(drawn.dataset.obs["perturbation"], SplitPlan(kind="random", held_out=0.2), seed=0)
fit = fit_linear("pca", drawn.dataset, parts, Setting("default", options={"n_latent": 3}))
metrics = compute_metrics(fit, parts, drawn.truth).set_index("metric")["value"]
assert 0.2 < metrics["mcc_pearson"] <= 1, metrics
assert "torch" not in sys.modules
assert "svae.models" not in sys.modules
"""


def files_of(package: Path) -> set[str]:
    """Files of a package, by their places in it, less what Python leaves there."""
    found = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    return {str(path.relative_to(package)) for path in found}


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build a wheel and unpack it; return the folder that holds the package."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    shutil.copytree(ROOT / "svae", source / "svae", ignore=shutil.ignore_patterns("__pycache__"))
    for name in SOURCES:
        shutil.copy2(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)]
    subprocess.run([*pip, *options, str(source)], check=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, code: str) -> str:
    """Run Python code with the unpacked package, in a folder that holds nothing else."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(installed)],
        cwd=installed.parent / "site",
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def test_the_wheel_holds_all_files_of_the_package(installed):
    assert files_of(installed / "svae") == files_of(ROOT / "svae")


def test_every_module_can_be_imported(installed):
    assert int(run(installed, IMPORT_ALL)) > 80


def test_it_simulates_fits_and_evaluates_without_a_repository(installed):
    run(installed, SIMULATE_FIT_EVALUATE)
