"""What clusters do to long runs, on a real SLURM: no finished fit is lost, and each one has a status."""

import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

import numpy as np
import pytest
from checkout import BRIEF, ROOT, Checkout, once
from cluster import Cluster, running_cluster, wait_until, why_not

from svae.contracts import fit as fits

pytestmark = [pytest.mark.workflow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

RESOURCES = {
    "early": "mem_mb=2000, runtime=10, constraint='sturdy'",
    "cancelled": "mem_mb=2000, runtime=10, constraint='sturdy'",
    "crashed": "mem_mb=2000, runtime=10, constraint='fragile'",
    "too_big": "mem_mb=plus_1500, runtime=10, constraint='sturdy'",
    "too_long": "gpu=2, mem_mb=2000, runtime=1",
    "kept_waiting": "gpu=2, mem_mb=2000, runtime=10",
    "refused": "mem_mb=10**6, runtime=10",
}
"""Stub methods, and what their jobs ask for. Two jobs that ask for all GPUs cannot run at once, and only one
is on the node that will be killed."""

RULE = """
def plus_1500(wildcards, attempt):
    return 1500 * attempt


rule fit_{method}:
    input:
        dataset=DATASET,
        split=SPLIT,
        code=code("fit_stub"),
    output:
        update(fits_of("{method}")),
    log:
        log_of("{method}"),
    resources:
        {resources},
    params:
        method="{method}",
        settings=settings_of("{method}"),
        timeout_minutes=plain_text(None),
    script:
        "../../workflow_scripts/fit_stub.py"
"""
PROGRAM = '''
"""Draw latents; before the last ones, wait or take memory while a file says so."""

import time
from pathlib import Path

import numpy as np

from svae.contracts.dataset import read_dataset
from svae.contracts.fit import Fit
from svae.workflow.fitting import make_fits
from svae.workflow.logs import start

start(snakemake.log[0])
cells = read_dataset(snakemake.input.dataset).obs_names
method = snakemake.params.method


def draw(settings):
    for setting in settings:
        if setting is settings[-1]:
            meet_trouble()
        latents = np.random.default_rng(setting.seed).normal(size=(len(cells), 3))
        with open("trained.txt", "a") as trained:
            trained.write(f"{method} {setting.name}\\n")
        yield Fit(cells, latents=latents)


def meet_trouble():
    trouble = Path("trouble", method)
    if method == "too_big":
        memory = np.ones(1500 * 2**17)
        time.sleep(4)  # the cluster measures once a second
    while trouble.exists():
        time.sleep(0.2)


make_fits(snakemake, cells, draw)
'''
TROUBLED = ("cancelled", "crashed", "too_long")
PROFILE = ("--profile", "slurm", "--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")


def job_of(method: str, setting: str = "default") -> str:
    """Path of a fit."""
    return f"results/tiny/fits/simulated/random/rep0/{method}/{setting}.h5ad"


def write_copy(path: Path) -> Checkout:
    """Copy the repository, with the stub methods."""
    copy = Checkout.create(path)
    for method, resources in RESOURCES.items():
        rule = RULE.format(method=method, resources=resources)
        (path / "rules" / "methods" / f"{method}.smk").write_text(rule, encoding="utf-8")
    (path / "workflow_scripts" / "fit_stub.py").write_text(PROGRAM, encoding="utf-8")
    methods = dict.fromkeys(RESOURCES) | {"cancelled": {"restarts": 2}}
    copy.write_scope({**BRIEF, "methods": methods, "reference": "early"})
    copy.keep_figures(["cost"])
    return copy


class Story:
    """A run that one thing after another happens to."""

    def __init__(self, copy: Checkout, cluster: Cluster):
        self.copy, self.cluster = copy, cluster
        for method in TROUBLED:
            (copy.path / "trouble" / method).parent.mkdir(exist_ok=True)
            (copy.path / "trouble" / method).touch()

    @contextmanager
    def started(self, name: str, *targets: str) -> Iterator[subprocess.Popen]:
        """Start Snakemake; what it says goes to a file of this name."""
        with open(self.copy.path / f"{name}.txt", "w", encoding="utf-8") as said:
            run = self.copy.start_snakemake(
                "tiny", *PROFILE, *targets, stdout=said, **self.cluster.environment
            )
            try:
                yield run
            finally:
                run.kill()

    def job(self, method: str, state: str) -> dict[str, str]:
        """Wait until a job of a method is in this state; return the last one that is."""

        def found() -> list[dict[str, str]]:
            # Not the last job alone: one that is lost is soon followed by another.
            return [job for job in self.cluster.jobs_of(f"fit_{method}") if job["JobState"] == state]

        wait_until(lambda: bool(found()), f"{method} is {state}", 240)
        return found()[-1]

    def trained(self, method: str) -> bool:
        """Whether a method has drawn latents."""
        path = self.copy.path / "trained.txt"
        return path.is_file() and method in path.read_text(encoding="utf-8")

    def end_trouble(self, method: str) -> None:
        """Let the jobs of a method go on."""
        (self.copy.path / "trouble" / method).unlink()

    def kill_snakemake(self) -> None:
        """Kill Snakemake while one job waits and another one is done; then do what docs/cluster.md says."""
        with self.started("killed", job_of("early"), job_of("cancelled", "default.r1")) as run:
            wait_until(lambda: self.trained("early") and self.trained("cancelled"), "fits were made", 120)
            self.job("early", "COMPLETED")
            run.send_signal(signal.SIGKILL)
            run.wait()
        for command in commands_after_a_crash():
            subprocess.run(
                ["bash", "-c", command.replace("snakemake", f"{sys.executable} -m snakemake")],
                cwd=self.copy.path,
                env=os.environ | {"PYTHONPATH": str(self.copy.path)} | self.cluster.environment,
                check=True,
            )

    def lose_jobs(self) -> int:
        """Run all, and meanwhile cancel, crash and drain; return the exit code of Snakemake."""
        with self.started("disturbed") as run:
            self.cluster.call("scancel", self.job("cancelled", "RUNNING")["JobId"])
            self.end_trouble("cancelled")
            crashed = self.job("crashed", "RUNNING")
            self.end_trouble("crashed")
            self.cluster.call("scontrol", "update", "nodename=c2", "state=drain", "reason=test")
            self.cluster.crash(crashed["NodeList"])
            self.job("crashed", "NODE_FAIL")
            self.cluster.start_node(crashed["NodeList"])
            self.job("too_long", "TIMEOUT")
            self.end_trouble("too_long")
            return run.wait(300)

    def settle(self) -> None:
        """Give the lost fits a status, and make what can be made without them."""
        said = self.copy.python("from svae.workflow.settle import main; main(['config/tiny.yaml'])")
        (self.copy.path / "settled.txt").write_text(said, encoding="utf-8")
        code, said = self.copy.try_snakemake("tiny", *PROFILE, **self.cluster.environment)
        (self.copy.path / "end.txt").write_text(f"{code}\n{said}", encoding="utf-8")


def commands_after_a_crash() -> list[str]:
    """Commands that the page on clusters gives for a run whose Snakemake was killed."""
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```bash\n(# after Snakemake was killed\n.*?)```", page, re.DOTALL)
    return [line for line in block.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory) -> Checkout:
    """A copy in which everything happened to a run that can happen."""

    def run(path: Path) -> None:
        copy = write_copy(path)
        with running_cluster(path / "cluster") as cluster:
            story = Story(copy, cluster)
            story.kill_snakemake()
            assert story.lose_jobs() != 0
            story.settle()
            (path / "jobs.json").write_text(json.dumps(cluster.jobs()), encoding="utf-8")

    return once(tmp_path_factory, "faults", run)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Checkout:
    """A copy in which the same fits were made on this machine, without a cluster."""

    def run(path: Path) -> None:
        copy = write_copy(path)
        targets = [job_of(method) for method in RESOURCES if method != "cancelled"]
        copy.snakemake("tiny", "--cores", "1", *targets, job_of("cancelled", "default.r1"))

    return once(tmp_path_factory, "undisturbed", run)


def jobs_of(disturbed: Checkout, *methods: str) -> list[dict[str, str]]:
    """What SLURM knows of the jobs of some methods, in the order in which they were sent."""
    jobs = json.loads((disturbed.path / "jobs.json").read_text(encoding="utf-8"))
    return [job for job in jobs if any(f"rule_fit_{method}_" in job["Comment"] for method in methods)]


@pytest.mark.parametrize(
    ("method", "states"),
    [
        ("cancelled", ["CANCELLED", "CANCELLED", "COMPLETED"]),  # first as the killed Snakemake left it
        ("crashed", ["NODE_FAIL", "COMPLETED"]),
        ("too_big", ["FAILED", "COMPLETED"]),  # SLURM ended the step, and the job with it
        ("too_long", ["TIMEOUT", "COMPLETED"]),
        ("kept_waiting", ["COMPLETED"]),
        ("refused", ["FAILED", "FAILED"]),
    ],
)
def test_a_lost_job_is_sent_once_more(disturbed, method, states):
    assert [job["JobState"] for job in jobs_of(disturbed, method)] == states


def test_a_job_waits_while_its_partition_is_full(disturbed):
    """Two jobs that ask for all GPUs were sent at once, and ran one after the other."""
    jobs = jobs_of(disturbed, "too_long", "kept_waiting")
    first, second = sorted(jobs, key=itemgetter("StartTime"))[:2]
    assert second["SubmitTime"] < first["EndTime"] <= second["StartTime"]


def test_no_finished_fit_is_trained_twice(disturbed):
    """Not even where Snakemake was killed, or where its job was cancelled after it."""
    trained = Counter((disturbed.path / "trained.txt").read_text(encoding="utf-8").splitlines())
    wanted = {f"{method} default" for method in RESOURCES if method not in ("cancelled", "refused")}
    assert trained == dict.fromkeys(wanted | {"cancelled default.r0", "cancelled default.r1"}, 1)


def test_results_are_those_of_an_undisturbed_run(disturbed, undisturbed):
    compared = 0
    for path in sorted((disturbed.path / "results" / "tiny" / "fits").rglob("*.h5ad")):
        if path.parent.name != "refused":
            ours = fits.read(undisturbed.path / path.relative_to(disturbed.path))
            np.testing.assert_array_equal(fits.read(path).latents, ours.latents)
            compared += 1
    assert compared == len(RESOURCES)  # one is lost, and one has two


def test_every_planned_fit_has_a_status(disturbed):
    status = disturbed.table("status.tsv")
    assert len(status) == len(RESOURCES) + 1
    assert set(status[status["status"] != "ok"]["method"]) == {"refused"}
    [message] = status[status["method"] == "refused"]["message"]
    assert message.startswith("SLURM sbatch failed. The error message was")
    assert (
        f"{'/'.join(job_of('refused').split('/')[:2])}/logs/fits/simulated/random/rep0/refused.log" in message
    )


def test_the_rest_is_reported_and_the_loss_is_named(disturbed):
    code, _, said = (disturbed.path / "end.txt").read_text(encoding="utf-8").partition("\n")
    assert int(code) != 0
    assert f"1 of {len(RESOURCES) + 1} fits did not end well (refused)" in said
    assert "lost: default of simulated/random/0/refused" in (disturbed.path / "settled.txt").read_text()
    for made in ("leaderboard.html", "summary.rst", "completeness.tsv", "figures/cost.svg"):
        assert (disturbed.path / "results" / "tiny" / made).is_file()
