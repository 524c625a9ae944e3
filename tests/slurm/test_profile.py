"""The profile for SLURM, on a real one that lives as long as these tests."""

import json
from pathlib import Path

import pytest
from checkout import BRIEF, METHODS, Checkout, once
from cluster import Cluster, running_cluster, why_not

pytestmark = [pytest.mark.workflow, pytest.mark.skipif(bool(why_not()), reason=why_not())]

# The profile waits until many jobs are worth a question; these jobs are over in seconds.
SHORT_WAITS = ("--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "5")
PROFILE = ("--profile", "slurm", *SHORT_WAITS)
GPU_METHOD, LIGHT_METHODS = "svae_plus", ("pca", "random")
FIT = f"results/tiny/fits/simulated/random/rep0/{GPU_METHOD}/penalty=10.h5ad"
FIGURES = ("likelihood", "cost")


def run_all(copy: Checkout, cluster: Cluster) -> None:
    """Run the scope with the profile as it is, on nodes whose GPUs are pretended."""
    code, said = copy.try_snakemake("tiny", *PROFILE, **cluster.environment)
    (copy.path / "said.txt").write_text(f"{code}\n{said}", encoding="utf-8")


def fit_again_with_gres(copy: Checkout, cluster: Cluster) -> None:
    """Fit the trained method again on a site that knows GPUs as generic resources only."""
    site = copy.path / "slurm" / "partitions.yaml"
    site.write_text(site.read_text(encoding="utf-8").replace("gpu: {gpu: 1} ", 'gpu: {gres: "gpu:1"} '))
    (copy.path / FIT).unlink()
    copy.snakemake("tiny", *PROFILE, FIT, **cluster.environment)


@pytest.fixture(scope="module")
def sent(tmp_path_factory) -> Checkout:
    """A copy in which three methods were run on a cluster; jobs.json is what SLURM was sent."""

    def run(path: Path) -> None:
        copy = Checkout.create(path)
        methods = {method: METHODS[method] for method in (GPU_METHOD, *LIGHT_METHODS)}
        copy.write_scope({**BRIEF, "accelerator": "auto", "methods": methods})
        copy.keep_figures(FIGURES)
        with running_cluster(path / "cluster") as cluster:
            run_all(copy, cluster)
            fit_again_with_gres(copy, cluster)
            (path / "jobs.json").write_text(json.dumps(cluster.jobs()), encoding="utf-8")

    return once(tmp_path_factory, "slurm", run)


def jobs_of(sent: Checkout, rule: str) -> list[dict[str, str]]:
    """What SLURM was sent of a rule, or of a group of rules, in order."""
    jobs = json.loads((sent.path / "jobs.json").read_text(encoding="utf-8"))
    return [job for job in jobs if job["Comment"].startswith(f"rule_{rule}_")]


def minutes(job: dict[str, str]) -> int:
    """Time limit of a job; SLURM writes hours:minutes:seconds."""
    hours, rest, _ = map(int, job["TimeLimit"].split(":"))
    return 60 * hours + rest


def test_light_jobs_are_sent_together(sent):
    """Of ten jobs beside those that fit, five are sent."""
    jobs = json.loads((sent.path / "jobs.json").read_text(encoding="utf-8"))
    sent_as = sorted(job["Comment"].split("_")[1] for job in jobs)
    assert sent_as == ["data", "embed", "enrich", "evaluation", "figures", *["fit"] * 4]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}


@pytest.mark.parametrize(
    ("rule", "memory", "runtime"),
    [
        ("data", "8000M", 30 + 10 + 15),
        ("fit_svae_plus", "8000M", 240),
        ("fit_pca", "8000M", 60),
        ("evaluation", "8000M", 3 * 20),
        ("figures", "4000M", len(FIGURES) * 5),
    ],
)
def test_job_asks_for_memory_and_time(sent, rule, memory, runtime):
    """Jobs of a group run one after the other: they need the memory of the largest, and the time of all."""
    [job, *_] = jobs_of(sent, rule)
    assert (job["MinMemoryNode"], minutes(job), job["NumCPUs"]) == (memory, runtime, "1")


def test_jobs_go_to_the_partition_that_fits_them(sent):
    """Partitions follow from what a job asks for, so that no rule has to be named."""
    assert {job["Partition"] for job in jobs_of(sent, "fit_svae_plus")} == {"gpu"}
    for rule in ("data", "fit_pca", "fit_random", "evaluation", "figures"):
        [job] = jobs_of(sent, rule)
        assert job["Partition"] == "standard"
        assert "TresPerJob" not in job


def test_a_site_says_how_a_gpu_is_asked_for(sent):
    with_gpus, with_gres = jobs_of(sent, "fit_svae_plus")
    assert with_gpus["TresPerJob"] == "gres:gpu:1"
    assert with_gres["TresPerNode"] == "gres:gpu:1"
    assert "TresPerJob" not in with_gres


def test_a_job_that_asked_for_a_gpu_and_sees_none_does_not_train(sent):
    status = sent.table("status.tsv").set_index("method")
    failed = status.loc[GPU_METHOD]
    assert set(failed["status"]) == {"failed"}
    assert set(failed["message"]) == {"accelerator: a GPU was asked for, but torch sees none"}
    assert set(status.loc[list(LIGHT_METHODS), "status"]) == {"ok"}


def test_the_run_says_what_failed_after_all_else_is_made(sent):
    code, _, said = (sent.path / "said.txt").read_text(encoding="utf-8").partition("\n")
    assert int(code) != 0
    assert "2 of 4 fits did not end well (svae_plus)" in said
    for made in ("leaderboard.html", "summary.rst", *(f"figures/{figure}.svg" for figure in FIGURES)):
        assert (sent.path / "results" / "tiny" / made).is_file()
