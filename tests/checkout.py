"""A copy of the repository to run the workflow in, and the scope that is run there."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pytest
import yaml

from svae.files import read_table
from svae.models import FAMILY

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    "Snakefile",
    "config",
    "envs",
    "reports",
    "requirements.lock",
    "rules",
    "slurm",
    "svae",
    "workflow_scripts",
)
TABLE_CAPTIONS = ("completeness", "leaderboard", "manifest", "status", "warnings")
MADE = shutil.ignore_patterns("__pycache__", "*.html", "*.zip")

GRIDS: Mapping[str, Any] = {
    "svae_plus": {"grid": {"penalty": [10, 100]}},
    "svae": {"grid": {"penalty": [1, 10]}},
    "beta_vae": {"grid": {"beta": [2, 4]}},
}
# Every rule file and every model class there is: a method that is added is tested with the others.
RULE_FILES = [path.stem for path in (ROOT / "rules" / "methods").glob("[!_]*.smk")]
METHODS = {method: GRIDS.get(method) for method in sorted([*RULE_FILES, *FAMILY])}
RUN = (
    *("svae_plus", "ivae_rotated", "vae", "pca", "gsfa", "oracle", "random"),
    *("additive", "mean_response", "technical_duplicate"),
)
"""Methods of every kind, for the workflow; tests/contract/test_methods.py runs the program of each method."""
TINY: Mapping[str, Any] = {
    "scope": "tiny",
    "title": "The workflow in a nutshell",
    "seed": 1,
    "replicates": 2,
    "latents": 3,
    "accelerator": "cpu",
    "likelihood_samples": 20,
    "datasets": {
        "simulated": {
            "simulator": "corrected",
            "parameters": {
                "perturbations": 10,
                "cells_per_perturbation": 40,
                "control_cells": 40,
                "latents": 3,
                "hidden": 10,
                "genes": 20,
            },
        }
    },
    "splits": {"random": {"kind": "random", "held_out": 0.2}},
    "training": {"preset": "tuned", "max_epochs": 3, "refit_epochs": 2},
    "methods": {method: METHODS[method] for method in RUN},
    "reference": "svae_plus",
}
"""A scope in which methods of every kind run, as fast as can be."""
BRIEF: Mapping[str, Any] = {
    **TINY,
    "replicates": 1,
    "metrics": ["mcc_pearson", "target_f1", "inll_clean"],
}
"""The same with one draw and few metrics, for tests of how a run goes, and not of what it finds."""

CHECK_SCOPE = """
import json, sys
from svae.errors import BenchmarkError
from svae.workflow.check import checked_scope

try:
    checked_scope(json.loads(sys.argv[1]), ".", "scope")
except BenchmarkError as error:
    print(error)
"""


def without_environment(path: str) -> str:
    """Take the folder of the Python that runs the tests out of a search path."""
    own = Path(sys.executable).parent
    return os.pathsep.join(folder for folder in path.split(os.pathsep) if Path(folder) != own)


@dataclass(frozen=True)
class Checkout:
    """A copy of the repository; what Snakemake makes there stays there."""

    path: Path

    @classmethod
    def create(cls, path: Path) -> "Checkout":
        """Copy what the workflow needs to `path`."""
        path.mkdir(parents=True)
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, path / part, ignore=MADE)
            else:
                shutil.copy2(ROOT / part, path / part)
        return cls(path)

    def duplicate(self, path: Path) -> "Checkout":
        """Copy this one, results and all."""
        passing = shutil.ignore_patterns("log", "locks", "scripts", "*.html")  # others may be at work here
        return Checkout(Path(shutil.copytree(self.path, path, ignore=passing)))

    def write_scope(self, scope: Mapping[str, Any]) -> Path:
        """Write a config file, named after its scope."""
        path = self.path / "config" / f"{scope['scope']}.yaml"
        path.write_text(yaml.safe_dump(dict(scope), sort_keys=False), encoding="utf-8")
        return path

    def keep_figures(self, figures: Iterable[str]) -> None:
        """Remove the captions of all figures but some, so that the workflow draws those alone."""
        for caption in (self.path / "reports" / "captions").glob("*.rst"):
            if caption.stem not in {*TABLE_CAPTIONS, *figures}:
                caption.unlink()

    def start_snakemake(
        self, scope: str, *arguments: str, stdout: IO[str] | int = subprocess.PIPE, **environment: str
    ) -> subprocess.Popen:
        """Start Snakemake on config/`scope`.yaml; all it says goes to `stdout`."""
        variables = os.environ | {
            # The library that runs has to be the one of the copy, not the one installed.
            "PYTHONPATH": str(self.path),
            # As where no environment is activated: rules that call programs by their names find them.
            "PATH": without_environment(os.environ["PATH"]),
            "OMP_NUM_THREADS": "1",
        }
        variables |= environment
        variables.pop("SNAKEMAKE_PROFILE", None)
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--configfile", f"config/{scope}.yaml", *arguments],
            cwd=self.path,
            env=variables,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def try_snakemake(self, scope: str, *arguments: str, **environment: str) -> tuple[int, str]:
        """Run Snakemake on config/`scope`.yaml; return its exit code, and all it said."""
        run = self.start_snakemake(scope, *arguments, **environment)
        said, _ = run.communicate()
        return run.returncode, said

    def snakemake(self, scope: str, *arguments: str, **environment: str) -> str:
        """Run Snakemake, which has to end well; return what it said."""
        code, said = self.try_snakemake(scope, *arguments, **environment)
        assert code == 0, said[-8000:]
        return said

    def python(self, code: str, *arguments: str) -> str:
        """Run Python code with the library of this copy; return what it prints."""
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", code, *arguments],
            cwd=self.path,
            env=os.environ | {"PYTHONPATH": str(self.path), "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def what_is_wrong(self, scope: Mapping[str, Any]) -> str:
        """Check a scope; return the sentence that says what is wrong with it, or nothing."""
        return self.python(CHECK_SCOPE, json.dumps(scope))

    def check_style(self, files: Iterable[str]) -> None:
        """Assert that some files pass the linter, and are formatted."""
        for command in (["check"], ["format", "--check"]):
            options = ["--config", str(ROOT / "pyproject.toml"), *files]
            ruff = [sys.executable, "-m", "ruff", *command, *options]
            done = subprocess.run(ruff, cwd=self.path, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout

    def table(self, name: str, scope: str = "tiny") -> pd.DataFrame:
        """Read a table of the results."""
        return read_table(self.path / "results" / scope / name, dtype={"setting": str})


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Checkout:
    """Return the copy that `make` makes, once for all processes of a test run: the others wait for it."""
    folder = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    place, done = folder / name, folder / f"{name}.done"
    with open(folder / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            assert not place.exists(), f"{place}: it was tried before, and failed"
            make(place)
            done.touch()
    return Checkout(place)
