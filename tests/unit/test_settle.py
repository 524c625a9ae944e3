"""Fits that were lost with their jobs get a status."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import yaml
from checkout import TINY

from svae.contracts import fit as fits
from svae.workflow.settle import failures, main

FOLDER = "results/tiny/fits/simulated/random/rep0"
FAILURE = """
Error in rule fit_{method}:
    message: {message}
    jobid: 3
    input: svae/__init__.py, svae/files.py
    output: {output}
    log: results/tiny/logs/{method}.log, /slurm/12.log (check log file(s) for error details)
    external_jobid: 12
"""
TIMEOUT = (
    "SLURM-job '12' failed, SLURM status is: 'TIMEOUT'. Detailed failure reason unavailable (status command "
    "is not 'sacct').For further error details see the cluster/cloud log and the log files of the involved "
    "rule(s)."
)
CELLS = ["a", "b", "c"]
METHODS = {"pca": {"grid": {"n_latent": [2, 3]}}, "random": None}


def failure(method, message, *settings):
    """What Snakemake says of a job that failed."""
    output = ", ".join(f"{FOLDER}/{method}/{setting}.h5ad (update)" for setting in settings)
    return FAILURE.format(method=method, message=message, output=output)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Folder of a run whose dataset is there, and no fit."""
    monkeypatch.chdir(tmp_path)
    for folder in ("config", "results/tiny/data/simulated", ".snakemake/log", f"{FOLDER}/pca"):
        Path(folder).mkdir(parents=True)
    scope = {**TINY, "replicates": 1, "methods": METHODS, "reference": "pca"}
    Path("config/tiny.yaml").write_text(yaml.safe_dump(scope), encoding="utf-8")
    screen = ad.AnnData(np.ones((3, 2), dtype=np.float32), obs=pd.DataFrame(index=CELLS))
    screen.write_h5ad("results/tiny/data/simulated/rep0.h5ad")
    return Path(".snakemake/log/1.snakemake.log")


def test_what_slurm_refused_says_why():
    refused = (
        "SLURM sbatch failed. The error message was 'sbatch: error: Memory specification can not be satisfied"
        "\n"
        "sbatch: error: Batch job submission failed: Requested node configuration is not available'.\n"
        "    sbatch call:\n        sbatch --parsable\nFor further error details see the cluster/cloud log"
    )
    log = failure("pca", refused, "default") + "Logfile pca.log: empty file\n"
    [reason] = failures(log).values()
    assert reason == (
        "SLURM sbatch failed. The error message was 'sbatch: error: Memory specification can not be satisfied"
        " sbatch: error: Batch job submission failed: Requested node configuration is not available'; "
        "log: results/tiny/logs/pca.log, /slurm/12.log"
    )


def test_the_last_attempt_is_what_counts():
    first = failure("pca", "None", "n_latent=2")
    [(path, reason)] = failures(first + failure("pca", TIMEOUT, "n_latent=2")).items()
    assert path == f"{FOLDER}/pca/n_latent=2.h5ad"
    assert reason == (
        "SLURM-job '12' failed, SLURM status is: 'TIMEOUT'; log: results/tiny/logs/pca.log, /slurm/12.log"
    )
    assert failures(first)[path].startswith("its job failed before it wrote this fit; log: ")


def test_what_a_job_left_out_says_why(run, capsys):
    """A setting that was finished before its job was lost is kept."""
    finished, lost = (Path(f"{FOLDER}/pca/n_latent={n}.h5ad") for n in (2, 3))
    fits.write(fits.Fit(pd.Index(CELLS), latents=np.eye(3, 2)), finished)
    kept = finished.read_bytes()
    run.write_text(failure("pca", TIMEOUT, "n_latent=2", "n_latent=3"), encoding="utf-8")
    main(["config/tiny.yaml"])
    assert finished.read_bytes() == kept
    status = fits.read_run(lost)
    assert (status.status, status.setting) == ("failed", "n_latent=3")
    assert status.message.startswith("SLURM-job '12' failed, SLURM status is: 'TIMEOUT'; log: ")
    assert capsys.readouterr().out.startswith("lost: n_latent=3 of simulated/random/0/pca: SLURM-job '12'")


def test_a_job_that_the_run_did_not_come_to_is_left_alone(run, capsys):
    run.write_text("LockException: another run is at work here", encoding="utf-8")
    main(["config/tiny.yaml"])
    assert list(Path(FOLDER).rglob("*.h5ad")) == []
    assert capsys.readouterr().out == ""


def test_only_the_last_run_counts(run):
    run.write_text(failure("pca", TIMEOUT, "n_latent=2", "n_latent=3"), encoding="utf-8")
    run.with_name("2.snakemake.log").write_text("nothing failed", encoding="utf-8")
    main(["config/tiny.yaml"])
    assert list(Path(FOLDER).rglob("*.h5ad")) == []
