"""The profile for SLURM, on a cluster of shell scripts that note how they are called."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from checkout import METHODS, ROOT, TINY, Checkout, once

pytestmark = pytest.mark.workflow

CLUSTER = Path(__file__).parent / "cluster"
GPU_METHOD, CPU_METHOD = "svae_plus", "pca"
TARGETS = [f"results/tiny/metrics/simulated/random/rep0/{method}.tsv" for method in (GPU_METHOD, CPU_METHOD)]

FIT = f"results/tiny/fits/simulated/random/rep0/{GPU_METHOD}/penalty=10.h5ad"
WITH_GRES = ("fit_svae_plus:gpu=0", "fit_svae_plus:gres=gpu:1")


@dataclass(frozen=True)
class Cluster:
    """The copy that Snakemake runs in, and the folder there in which the cluster keeps its jobs."""

    checkout: Checkout

    @property
    def jobs(self) -> Path:
        """One folder per job: how it was called, its state, and its output."""
        return self.checkout.path / "jobs"

    def snakemake(self, *arguments: str) -> str:
        """Run Snakemake with the profile as it is, but without waiting long for such short jobs."""
        return self.checkout.snakemake(
            *("tiny", "--profile", "slurm", "--latency-wait", "5"),
            *("--slurm-partition-config", "slurm/partitions.yaml"),
            *("--slurm-init-seconds-before-status-checks", "1", "--seconds-between-status-checks", "1"),
            *arguments,
            PATH=f"{CLUSTER}{os.pathsep}{os.environ['PATH']}",
            FAKE_CLUSTER=str(self.jobs),
        )

    def calls(self, rule: str, command: str = "sbatch") -> list[list[str]]:
        """Arguments of the calls that sent a job of `rule`, in order; what it was to run left out."""
        sent = sorted(self.jobs.iterdir(), key=lambda job: int(job.name))
        jobs = [job for job in sent if f"rule_{rule}_wildcards" in (job / "sbatch").read_text()]
        return [
            [line for line in (job / command).read_text().splitlines() if not line.startswith("--wrap")]
            for job in jobs
        ]


def asked(call: list[str], option: str) -> str | None:
    """Return the value of an option that stands before its value."""
    return call[call.index(option) + 1] if option in call else None


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Cluster:
    """Two methods of the tiny scope, evaluated by jobs of the cluster; then one fitted again with --gres."""

    def run(path):
        copy = Checkout.create(path)
        methods = {method: METHODS[method] for method in (GPU_METHOD, CPU_METHOD)}
        # On a real cluster `auto` finds the GPU that the rule asks for; here it makes do without.
        copy.write_scope({**TINY, "replicates": 1, "accelerator": "auto", "methods": methods})
        cluster = Cluster(copy)
        cluster.jobs.mkdir()
        cluster.snakemake(*TARGETS)
        cluster.snakemake("--force", FIT, "--set-resources", *WITH_GRES)

    return Cluster(once(tmp_path_factory, "cluster", run))


def test_results_are_made(cluster):
    assert all((cluster.checkout.path / target).is_file() for target in TARGETS)
    states = {job.name: (job / "state").read_text().strip() for job in cluster.jobs.iterdir()}
    assert set(states.values()) == {"COMPLETED"}, states


@pytest.mark.parametrize(
    ("rule", "memory", "minutes"),
    [
        ("simulate", "4000", "30"),
        ("split", "4000", "15"),
        ("fit_svae_plus", "8000", "240"),
        ("fit_pca", "8000", "60"),
        ("evaluate", "4000", "60"),
    ],
)
def test_job_asks_for_memory_and_time(cluster, rule, memory, minutes):
    calls = cluster.calls(rule)
    assert calls
    for call in calls:
        assert asked(call, "--mem") == memory
        assert asked(call, "-t") == minutes
        assert "-A" not in call


def test_only_training_asks_for_a_gpu(cluster):
    assert "--gpus=1" in cluster.calls("fit_svae_plus")[0]
    for rule in ("simulate", "split", "fit_pca", "evaluate"):
        for call in cluster.calls(rule):
            assert not any("gpu" in argument or "gres" in argument for argument in call)


def test_jobs_go_to_the_partition_that_fits_them(cluster):
    """Partitions follow from what a job asks for, so that no rule has to be named."""
    for rule in ("simulate", "split", "fit_pca", "evaluate"):
        assert {asked(call, "-p") for call in cluster.calls(rule)} == {"standard"}
    assert {asked(call, "-p") for call in cluster.calls("fit_svae_plus")} == {"gpu"}


def test_the_profile_names_no_rule_that_it_could_miss():
    profile = yaml.safe_load((ROOT / "slurm" / "config.yaml").read_text(encoding="utf-8"))
    assert "set-resources" not in profile


def test_a_site_without_gpus_option_can_ask_for_gres(cluster):
    call = cluster.calls("fit_svae_plus")[1]
    assert "--gres=gpu:1" in call
    assert not any(argument.startswith("--gpus") for argument in call)
