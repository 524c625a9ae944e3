"""Run the program of a method in this process, without Snakemake, and so that torch is loaded only once."""

import re
import runpy
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from checkout import ROOT

from svae.contracts.fit import Fit
from svae.contracts.setting import Setting
from svae.methods.options import OPTIONS
from svae.models import FAMILY
from svae.models.arguments import model_options
from svae.workflow import fitting, logs

SHORT: Mapping[str, Any] = {"max_epochs": 2, "refit_epochs": 1, "surgery_epochs": 2, "sweeps": 20}
"""Options that make a fit short, wherever a method has them."""


def rule_of(method: str) -> str:
    """Text of the rule of a method, and of the rule that it takes over from, if it does."""
    if method in FAMILY:
        return (ROOT / "rules" / "models.smk").read_text(encoding="utf-8")
    text = (ROOT / "rules" / "methods" / f"{method}.smk").read_text(encoding="utf-8")
    base = re.search(r"use rule (\w+) as", text)
    shared = (path.read_text(encoding="utf-8") for path in (ROOT / "rules" / "methods").glob("_*.smk"))
    return text + "".join(other for other in shared if base and f"rule {base[1]}:" in other)


def options_for(method: str, folder: Path) -> dict[str, Any]:
    """Options for a fit of seconds, and what a method needs beside dataset and split.

    Parameters
    ----------
    method
        Name of the method.
    folder
        Has gene_sets.json.
    """
    known = model_options(method) if method in FAMILY else OPTIONS[method]
    wanted = {**SHORT, "gene_sets": str(folder / "gene_sets.json")}
    return {name: value for name, value in wanted.items() if name in known.model_fields}


def run_program(method: str, folder: Path, setting: Setting, patch: pytest.MonkeyPatch) -> Fit:
    """Run the program that the rule of a method names.

    Parameters
    ----------
    method
        Name of the method.
    folder
        Has dataset.h5ad and split.tsv.gz, and truth.h5ad for the rule that asks for a truth.
    setting
        What to fit.
    patch
        Replaces the child process and the log, for the time of the run.
    """
    rule = rule_of(method)
    program = re.search(r"workflow_scripts/(\w+\.py)", rule)
    if program is None:
        pytest.skip(f"{method} is a command, which the tests of the workflow run")
    files = {"dataset": str(folder / "dataset.h5ad"), "split": str(folder / "split.tsv.gz")}
    if re.search(r"^ *truth=", rule, re.MULTILINE):
        files["truth"] = [str(folder / "truth.h5ad")]
    params = {"method": method, "settings": [asdict(setting)], "keep_models": False}
    params |= {"likelihood_samples": 5, "accelerator": "cpu", "fleet_size": None}
    job = SimpleNamespace(
        input=SimpleNamespace(**files),
        output=[str(folder / "fit.h5ad")],
        params=SimpleNamespace(**params),
        log=[""],
        threads=1,
    )
    fits: list[Fit] = []

    def fit_here(job, cells, fit_all):
        fits.extend(fit_all([setting]))

    with patch.context() as during:
        during.setattr(fitting, "make_fits", fit_here)
        during.setattr(logs, "start", print)
        runpy.run_path(str(ROOT / "workflow_scripts" / program[1]), init_globals={"snakemake": job})
    (fit,) = fits
    return fit
