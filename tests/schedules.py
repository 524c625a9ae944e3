"""The demo's job graph in one process, with a stub in place of every method, and with faults.

The stub draws latents in no time. Snakemake's part is played by :meth:`Graph.run`: it runs the jobs that are
not done, and clears up after those that were killed. All else is what the workflow runs: the fits of a job,
the guard, the evaluation, the choice of settings, the table of what is missing, and the command that tries
fits again.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from snakemake.iocontainers import Params

from svae.contracts import fit as fits
from svae.contracts.dataset import write_dataset
from svae.contracts.job import Job
from svae.contracts.setting import Setting
from svae.contracts.tables import METRICS_COLUMNS, concatenate, concatenate_status, with_run
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.evaluation.evaluate import evaluate_fits, read_fit
from svae.evaluation.metrics import choose_metrics
from svae.evaluation.selection import select
from svae.files import write_table
from svae.report.completeness import completeness
from svae.simulation import simulate
from svae.workflow.fitting import make_fits
from svae.workflow.scope import Scope

SIZES = {"perturbations": 3, "cells_per_perturbation": 8, "latents": 2, "hidden": 4, "genes": 6}
METRICS = choose_metrics(["mcc_pearson"], "the stub")
COSTS = ["seconds", "peak_memory_mb"]


class Strike(NamedTuple):
    """A fault that meets a job when it fits one of its settings."""

    fault: str
    place: int
    also_snakemake: bool = False


def raise_an_error(path: str) -> None:
    raise RuntimeError("the stub fails")


def leave_without_a_word(path: str) -> None:
    os._exit(0)


def be_killed(path: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def be_killed_with_the_guard(path: str) -> None:
    os.kill(os.getppid(), signal.SIGKILL)
    be_killed(path)


def write_garbage(path: str) -> None:
    Path(path).write_text("no fit", encoding="utf-8")
    os._exit(0)


def hang(path: str) -> None:
    time.sleep(60)


FAULTS: dict[str, Callable[[str], None]] = {
    function.__name__: function
    for function in (
        raise_an_error,
        leave_without_a_word,
        be_killed,
        be_killed_with_the_guard,
        write_garbage,
        hang,
    )
}
"""What a job may meet, by name; it is told where its fit has to be."""


def append_a_byte(path: Path, other: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")


def cut_in_half(path: Path, other: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def remove(path: Path, other: Path) -> None:
    path.unlink()


def put_another_in_its_place(path: Path, other: Path) -> None:
    path.write_bytes(other.read_bytes() + b"x")


DAMAGES = (append_a_byte, cut_in_half, remove, put_another_in_its_place)
"""What may happen to a fit that is there; there is another fit of the same cells."""


@dataclass
class Graph:
    """The jobs of a scope in the working directory, each with its dataset, split and truth."""

    scope: Scope
    done: set[Job] = field(default_factory=set)
    screens: dict[int, tuple[ad.AnnData, ad.AnnData, pd.DataFrame]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the results are."""
        return Path("results", self.scope.name)

    def outputs(self, job: Job) -> list[Path]:
        """Fits of a job, in the order of its settings."""
        folder = self.folder / "fits" / job.dataset / job.split / f"rep{job.replicate}" / job.method
        return [folder / f"{setting.name}.h5ad" for setting in self.scope.settings_of(job)]

    def screen(self, job: Job) -> tuple[ad.AnnData, ad.AnnData, pd.DataFrame]:
        """Dataset, truth and split of a replicate; the dataset is written once, as an input of jobs."""
        if job.replicate not in self.screens:
            dataset, truth = simulate("corrected", seed=job.replicate, control_cells=8, **SIZES)
            write_dataset(dataset, f"data{job.replicate}.h5ad")
            split = split_dataset(dataset, SplitPlan(kind="random", held_out=1), seed=job.replicate)
            self.screens[job.replicate] = dataset, truth, split
        return self.screens[job.replicate]

    def run(self, strikes: dict[Job, Strike]) -> None:
        """Run all jobs that are not done, or lack a fit, until one of them takes Snakemake along."""
        for job in self.scope.jobs:
            outputs = self.outputs(job)
            if job in self.done and all(path.exists() for path in outputs):
                continue
            self.done.discard(job)
            strike = strikes.get(job)
            before = {path: path.read_bytes() for path in outputs if path.exists()}
            if self._ends(job, strike):
                self.done.add(job)
            elif strike is not None and strike.also_snakemake:
                return
            else:  # Snakemake removes what a failed job leaves, and puts back what was there before
                for path in outputs:
                    path.unlink(missing_ok=True)
                    if path in before:
                        path.write_bytes(before[path])

    def _ends(self, job: Job, strike: Strike | None) -> bool:
        """Run a job in a process of its own, as Snakemake does; tell whether it ended well."""
        cells = self.screen(job)[0].obs_names
        process = os.fork()
        if process == 0:
            exit_code = 1
            try:
                make_fits(self._as_snakemake(job, strike), cells, self._stub(job, cells, strike))
                exit_code = 0
            finally:
                os._exit(exit_code)
        return os.waitpid(process, 0)[1] == 0

    def _as_snakemake(self, job: Job, strike: Strike | None) -> Any:
        """What Snakemake hands to the script of the job."""
        settings = [vars(setting) for setting in self.scope.settings_of(job)]
        timeout_minutes = 0.002 if strike is not None and strike.fault == "hang" else None
        return SimpleNamespace(
            params=Params(
                fromdict={"settings": settings, "timeout_minutes": timeout_minutes, "method": job.method}
            ),
            input=[f"data{job.replicate}.h5ad"],
            output=list(map(str, self.outputs(job))),
        )

    def _stub(self, job: Job, cells: pd.Index, strike: Strike | None) -> Callable:
        """Draw latents from the seed of each setting, unless a fault strikes."""
        paths = dict(zip([s.name for s in self.scope.settings_of(job)], self.outputs(job), strict=True))

        def fit_all(settings: Sequence[Setting]) -> Iterator[fits.Fit]:
            for place, setting in enumerate(settings):
                if strike is not None and place == min(strike.place, len(settings) - 1):
                    FAULTS[strike.fault](str(paths[setting.name]))
                latents = np.random.default_rng(setting.seed).standard_normal((len(cells), 2))
                run = fits.Run(setting=setting.name, seed=setting.seed)
                yield fits.Fit(cells, latents=latents, run=run)

        return fit_all

    def evaluate(self) -> dict[str, pd.DataFrame]:
        """Evaluate all jobs; return the tables of the run, without what fits cost."""
        for job in self.scope.jobs:
            _, truth, split = self.screen(job)
            paths = self.outputs(job)
            settings = self.scope.settings(job.method)
            evaluation = evaluate_fits(
                {setting.name: read_fit(path, split) for setting, path in zip(settings, paths, strict=True)},
                {setting.name: setting.grid_point for setting in settings},
                split,
                truth,
                METRICS,
                seed=0,
            )
            evaluation.status["fit"] = list(map(str, paths))
            for table, suffix in ((evaluation.metrics, "tsv"), (evaluation.status, "status.tsv")):
                write_table(with_run(table, **job._asdict()), self._table(job, suffix))
        status = concatenate_status([self._table(job, "status.tsv") for job in self.scope.jobs])
        metrics = concatenate([self._table(job, "tsv") for job in self.scope.jobs], METRICS_COLUMNS)
        return {
            "status": status.drop(columns=COSTS),
            "metrics": metrics,
            "selected": select(status, metrics),
            "completeness": completeness(status, self.folder / "fits", "logs"),
        }

    def _table(self, job: Job, suffix: str) -> Path:
        folder = self.folder / "metrics" / job.dataset / job.split / f"rep{job.replicate}"
        return folder / f"{job.method}.{suffix}"
