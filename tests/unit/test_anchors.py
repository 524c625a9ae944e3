"""The anchors fit whatever settings a scope gives them, each with its own seed."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from svae.contracts.dataset import write_dataset
from svae.contracts.fit import read
from svae.contracts.setting import Setting
from svae.contracts.split import write_split
from svae.contracts.truth import write_truth
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.methods.anchors import fit_oracle, fit_random
from svae.simulation import simulate


@pytest.fixture(scope="module")
def screen():
    dataset, truth = simulate(
        "lopez2023", seed=0, perturbations=5, latents=2, genes=10, hidden=4, cells_per_perturbation=12
    )
    return (
        dataset,
        split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["p4"]), seed=0),
        truth,
    )


def test_random_fits_every_point_of_a_grid(screen):
    dataset, parts, _ = screen
    fits = [fit_random(dataset, parts, Setting(f"n{n}", 7, {"n_latent": n})) for n in (2, 3)]
    assert [fit.latents.shape[1] for fit in fits] == [fit.targets.shape[1] for fit in fits] == [2, 3]
    assert fits[0].targets.index.tolist() == ["p0", "p1", "p2", "p3"]
    with pytest.raises(BenchmarkError, match="method 'random', setting 's': unknown key 'penalty'"):
        fit_random(dataset, parts, Setting("s", 7, {"n_latent": 2, "penalty": 3}))


def test_restarts_of_an_anchor_differ(screen):
    dataset, parts, truth = screen
    settings = [Setting(f"default.r{seed}", seed, {"n_latent": 2}, seed) for seed in (0, 1)]

    def draw(setting):
        return fit_random(dataset, parts, setting)

    def know(setting):
        return fit_oracle(dataset, parts, truth, setting, likelihood_samples=5)

    for fit in (draw, know):
        first, second = (fit(setting) for setting in settings)
        assert (first.run.setting, second.run.seed) == ("default.r0", 1)
        assert not np.array_equal(first.latents, second.latents)
        np.testing.assert_array_equal(first.latents, fit(settings[0]).latents)


def test_the_oracle_has_no_options(screen):
    dataset, parts, truth = screen
    message = "method 'oracle', setting 'penalty=3': unknown key 'penalty'. .known: none."
    with pytest.raises(BenchmarkError, match=message):
        fit_oracle(dataset, parts, truth, Setting("penalty=3", 0, {"n_latent": 2, "penalty": 3}), 5)


def test_the_oracle_finds_its_cells_by_name(screen):
    dataset, parts, truth = screen
    setting = Setting("default")
    as_it_is, shuffled = (
        fit_oracle(dataset, parts, known, setting, 5) for known in (truth, truth[::-1].copy())
    )
    np.testing.assert_array_equal(as_it_is.latents, shuffled.latents)
    np.testing.assert_array_equal(as_it_is.scores, shuffled.scores)
    with pytest.raises(BenchmarkError, match="is not a cell of the truth"):
        fit_oracle(dataset, parts, truth[1:].copy(), setting, 5)


RUN_SCRIPT = """
import json, runpy, sys
from types import SimpleNamespace

class Files(list):
    "Files that can be listed, and also have names, as those of a Snakemake job."

class Parameters(dict):
    "Parameters that can be listed, and are attributes, as those of a Snakemake job."
    __getattr__ = dict.__getitem__

script, settings = sys.argv[1], json.loads(sys.argv[2])
inputs = Files(["dataset.h5ad", "split.tsv.gz", "truth.h5ad"])
inputs.dataset, inputs.split, inputs.truth = *inputs[:2], inputs[2:]
job = SimpleNamespace(
    input=inputs,
    output=[f"{setting['name']}.h5ad" for setting in settings],
    params=Parameters(settings=settings, likelihood_samples=5, timeout_minutes=1),
    log=["job.log"],
)
runpy.run_path(script, init_globals={"snakemake": job})
"""


@pytest.mark.parametrize("anchor", ["random", "oracle"])
def test_a_job_of_an_anchor_writes_a_fit_for_every_setting(screen, anchor, tmp_path):
    dataset, parts, truth = screen
    write_dataset(dataset, tmp_path / "dataset.h5ad")
    write_split(parts, tmp_path / "split.tsv.gz", dataset.obs["perturbation"])
    write_truth(truth, tmp_path / "truth.h5ad")
    settings = [
        Setting(f"n_latent={n}.r{restart}", 10 * n + restart, {"n_latent": n}, restart)
        for n in (2, 3)
        for restart in (0, 1)
    ]
    script = Path(__file__).resolve().parents[2] / "workflow_scripts" / f"fit_{anchor}.py"
    arguments = [str(script), json.dumps([asdict(setting) for setting in settings])]
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", RUN_SCRIPT, *arguments], cwd=tmp_path)
    assert done.returncode == 0, (tmp_path / "job.log").read_text()
    for setting in settings:
        fit = read(tmp_path / f"{setting.name}.h5ad", dataset.obs_names)
        assert (fit.run.status, fit.run.setting, fit.run.seed) == ("ok", setting.name, setting.seed)
        assert set(fit.predictions or ()) == ({"zero_shot", "adapted"} if anchor == "oracle" else set())
