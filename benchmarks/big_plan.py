"""Measure what a plan of ten thousand fits costs beside its fits: the dry run, and the tables of a run.

Writes one row per step: step, jobs (that fit), fits, seconds (of processor, on one core), peak_memory_mb.
Nothing is trained: the tables of the jobs are made up.

Steps: ``dry run`` is that of Snakemake; ``status`` puts the statuses and metrics of all jobs together, and
counts what is missing; ``manifest`` sums up how all fits were made.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

from svae.contracts import made
from svae.contracts.job import Job
from svae.contracts.tables import METRICS_COLUMNS, STATUS_COLUMNS, concatenate, concatenate_status
from svae.evaluation.metrics import METRICS
from svae.files import write_table
from svae.report.completeness import completeness
from svae.workflow.layout import FIT, JOB
from svae.workflow.manifest import manifest
from svae.workflow.scope import Scope

ROOT = Path(__file__).resolve().parents[1]
PENALTIES, BETAS = [1, 3, 10, 30, 100], [1, 2, 4, 8, 16]
PLAN: dict[str, Any] = {
    "scope": "big_plan",
    "replicates": 20,
    "datasets": {
        "screen": {"simulator": "screen", "vary": {"escapers": [0.1, 0.2, 0.3, 0.4, 0.5]}},
    },
    "splits": {"random": {"kind": "random", "held_out": 0.2}},
    "methods": {
        "svae_plus": {"grid": {"penalty": PENALTIES}, "restarts": 5},
        "svae": {"grid": {"penalty": PENALTIES}, "restarts": 5},
        "beta_vae": {"grid": {"beta": BETAS}, "restarts": 5},
        "vae": {"restarts": 6},
        **dict.fromkeys(("pca", "ica", "oracle")),
    },
}
"""Six datasets, 20 replicates, and 84 fits of each replicate."""


def make_up(scope: Scope) -> None:
    """Write the tables that the jobs of a scope leave, in the working directory; each tenth fit timed out."""
    results = Path("results", scope.name)
    for place, job in enumerate(scope.jobs):
        names = [setting.name for setting in scope.settings(job.method)]
        fits = [results / FIT.format(**job._asdict(), setting=name) for name in names]
        ended = ["timeout" if (place + i) % 10 == 0 else "ok" for i in range(len(names))]
        facts = {"setting": names, "fit": fits, "status": ended, "seconds": 1.0, "device": "cpu"}
        status = pd.DataFrame(job._asdict() | facts, columns=list(STATUS_COLUMNS))
        write_table(status, table_of(job, results, "status.tsv"))
        values = pd.MultiIndex.from_product([names, METRICS], names=["setting", "metric"]).to_frame(
            index=False
        )
        metrics = values.assign(**job._asdict(), value=0.5)[list(METRICS_COLUMNS)]
        write_table(metrics, table_of(job, results, "tsv"))
        row = asdict(made.Making(host="node", threads="1", started="2025-01-01T00:00:00Z", cpu_seconds="1"))
        rows = [{"fit": fit.name, "sha256": "0" * 64} | row for fit in fits]
        write_table(pd.DataFrame(rows, columns=list(made.COLUMNS)), fits[0].with_name(made.TABLE))


def table_of(job: Job, results: Path, suffix: str) -> Path:
    """Path of a table of one job."""
    return results / "metrics" / f"{JOB}/{job.method}.{suffix}".format(**job._asdict())


def collect_status(scope: Scope) -> pd.DataFrame:
    """Do what the rules `collect` and `completeness` do; return what is missing."""
    results = Path("results", scope.name)
    status = concatenate_status([table_of(job, results, "status.tsv") for job in scope.jobs])
    metrics = concatenate([table_of(job, results, "tsv") for job in scope.jobs], METRICS_COLUMNS)
    write_table(status, results / "status.tsv")
    write_table(metrics, results / "metrics.tsv.gz")
    return completeness(status, str(results / "fits"), str(results / "logs"))


def collect_manifest(scope: Scope) -> dict[str, Any]:
    """Do what the rule `manifest` does, without datasets."""
    results = Path("results", scope.name)
    status = concatenate_status([table_of(job, results, "status.tsv") for job in scope.jobs])
    return manifest(scope, {}, status, [], ROOT / "requirements.lock", ROOT)


STEPS = {"status": collect_status, "manifest": collect_manifest}


def measured(command: Sequence[str], folder: str) -> tuple[float, float]:
    """Run a command; return its seconds of processor and its peak memory in MB."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Read the command line, and measure; with ``--step``, do one step in the working directory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path, help="table to write")
    parser.add_argument("--step", choices=STEPS, help="only do this step, without measuring it")
    arguments = parser.parse_args()
    scope, output = Scope.check(PLAN), arguments.output.resolve()
    if arguments.step:
        STEPS[arguments.step](scope)
        return
    with TemporaryDirectory() as folder:
        config = Path(folder, "plan.yaml")
        config.write_text(yaml.safe_dump(PLAN, sort_keys=False), encoding="utf-8")
        snakemake = ["-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--configfile", str(config)]
        commands = {"dry run": [*snakemake, "--dry-run", "--quiet", "all"]}
        commands |= {step: ["-W", "ignore", __file__, "-", "--step", step] for step in STEPS}
        os.chdir(folder)
        make_up(scope)
        costs = [measured([sys.executable, *command], folder) for command in commands.values()]
        os.chdir(ROOT)
    table = pd.DataFrame(costs, columns=["seconds", "peak_memory_mb"]).round(
        {"seconds": 1, "peak_memory_mb": 0}
    )
    table.insert(0, "step", list(commands))
    table.insert(1, "jobs", len(scope.jobs))
    table.insert(2, "fits", sum(len(scope.settings(job.method)) for job in scope.jobs))
    write_table(table, output)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
