"""Which fits of an earlier run are kept, and which are made again."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from checkout import ROOT, TINY

from svae.contracts import fit as fits
from svae.contracts import made
from svae.contracts.fit import Fit, Run
from svae.contracts.setting import Setting
from svae.contracts.tables import STATUS_COLUMNS
from svae.files import write_table
from svae.words import Status
from svae.workflow.dependencies import PACKAGE, package_files
from svae.workflow.fitting import fingerprint, make_fits
from svae.workflow.retry import main
from svae.workflow.scope import Scope

CELLS = pd.Index(["a", "b", "c"])
COMMON = {"inputs": {"data.h5ad": "12"}, "params": {"method": "vae"}, "versions": {"numpy": "2"}}


class Params(dict):
    """Named parameters of a rule, as Snakemake hands them to a script."""

    __getattr__ = dict.__getitem__


@pytest.fixture
def job(tmp_path):
    """What a script is handed: two settings, one input."""
    data = tmp_path / "data"
    data.write_text("counts")
    settings = [{"name": name, "seed": seed, "options": {"x": seed}} for seed, name in enumerate("pq")]
    return SimpleNamespace(
        params=Params(settings=settings, timeout_minutes=None, fleet_size=None, samples=5),
        input=[str(data)],
        output=[str(tmp_path / "fits" / f"{setting['name']}.h5ad") for setting in settings],
    )


def settings_fitted(job, statuses=("ok", "ok")):
    """Let a method that draws numbers do a job; return the names of the settings that it was handed."""
    folder = job.input[0] + ".fitted"

    def draw(settings):
        with open(folder, "a") as file:
            for setting in settings:
                file.write(setting.name)
                status = dict(zip("pq", statuses, strict=True)).get(setting.name, "ok")
                run = Run(status=status, setting=setting.name, seed=setting.seed)
                yield Fit(CELLS, latents=np.full((3, 1), setting.seed), run=run)

    open(folder, "w").close()
    make_fits(job, CELLS, draw)
    with open(folder) as file:
        return file.read()


def test_fits_that_are_there_are_kept(job):
    assert settings_fitted(job) == "pq"
    assert settings_fitted(job) == ""


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_what_did_not_end_well_is_fitted_again(job, status):
    assert settings_fitted(job, ("ok", status)) == "pq"
    assert settings_fitted(job) == "q"


def test_limits_and_devices_are_no_reason_to_fit_again(job):
    settings_fitted(job)
    job.params.update(timeout_minutes=5, fleet_size=1)
    assert settings_fitted(job) == ""


def test_other_data_options_seeds_and_parameters_are_a_reason(job):
    settings_fitted(job)
    job.params["settings"][0]["options"] = {"x": 7}
    assert settings_fitted(job) == "p"
    job.params["settings"][1]["seed"] = 9
    assert settings_fitted(job) == "q"
    job.params["samples"] = 6
    assert settings_fitted(job) == "pq"
    with open(job.input[0], "w") as file:
        file.write("other counts")
    assert settings_fitted(job) == "pq"


def test_setting_that_gets_another_name_keeps_its_fit(job):
    settings_fitted(job)
    kept = fits.model_beside(job.output[0])
    kept.mkdir()
    (kept / "model.pt").write_text("weights")
    job.params["settings"][0]["name"] = "p.r0"
    job.output[0] = job.output[0].replace("p.h5ad", "p.r0.h5ad")
    assert settings_fitted(job) == ""
    assert fits.read(job.output[0], CELLS).run.setting == "p.r0"
    assert (fits.model_beside(job.output[0]) / "model.pt").read_text() == "weights"


def test_the_model_of_a_fit_that_is_made_again_does_not_stay(job):
    settings_fitted(job, ("failed", "ok"))
    for path in job.output:
        fits.model_beside(path).mkdir()
    assert settings_fitted(job) == "p"
    assert [fits.model_beside(path).is_dir() for path in job.output] == [False, True]


def test_fit_that_was_changed_after_it_was_made_is_made_again(job):
    settings_fitted(job)
    fit = fits.read(job.output[0], CELLS)
    fits.write(replace(fit, latents=fit.latents + 1), job.output[0])
    assert fits.read(job.output[0]).run.fingerprint, "it looks like the one that was made"
    assert settings_fitted(job) == "p"
    made.refuse_changed(job.output[0])


def test_copy_of_a_fit_in_the_place_of_another_costs_only_that_one(job):
    settings_fitted(job)
    first, second = map(Path, job.output)
    before = first.read_bytes()
    second.write_bytes(before + b"x")
    assert settings_fitted(job) == "q"
    assert first.read_bytes() == before


def test_fits_that_were_finished_before_the_job_was_killed_are_kept(job):
    def be_killed_at_the_second(settings):
        yield Fit(CELLS, latents=np.ones((3, 1)))
        os.kill(os.getppid(), signal.SIGKILL)  # the guard, of which this is the child
        os._exit(1)

    process = os.fork()
    if process == 0:
        make_fits(job, CELLS, be_killed_at_the_second)
        os._exit(0)
    _, status = os.waitpid(process, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    assert settings_fitted(job) == "q"


def test_fits_that_are_kept_are_still_known(job):
    settings_fitted(job)
    before = made.makings_of(job.output)
    assert all(making.host for making in before)
    job.params["settings"][0]["name"] = "p.r0"
    job.output[0] = job.output[0].replace("p.h5ad", "p.r0.h5ad")
    assert settings_fitted(job) == ""
    assert made.makings_of(job.output) == before
    for path in job.output:
        made.refuse_changed(path)


@pytest.mark.parametrize("damage", [b"", b"not HDF5", None])
def test_file_that_is_no_fit_is_made_again(job, damage):
    settings_fitted(job)
    with open(job.output[0], "r+b") as file:
        if damage is None:
            file.truncate(2000)
        else:
            file.truncate(0)
            file.write(damage)
    assert settings_fitted(job) == "p"


def test_fits_of_other_cells_are_made_again(job):
    settings_fitted(job)
    fit = fits.read(job.output[0])
    fit.cells = CELLS[::-1]
    fits.write(fit, job.output[0])
    assert settings_fitted(job) == "p"


def test_order_of_keys_changes_no_fingerprint():
    there = Setting("s", 1, {"a": 1, "b": {"c": 1, "d": 2}})
    back = Setting("t", 1, {"b": {"d": 2, "c": 1}, "a": 1})
    assert fingerprint(there, COMMON) == fingerprint(back, dict(reversed(COMMON.items())))


def test_order_of_keys_changes_no_setting():
    def settings(grid):
        return Scope.check({**TINY, "methods": {"svae_plus": {"grid": grid}}}).settings("svae_plus")

    grid = {"penalty": [10, 100], "max_epochs": [2, 3]}
    assert settings(grid) == settings(dict(reversed(grid.items())))
    assert settings(grid)[0].name == "max_epochs=2_penalty=10"


@pytest.mark.parametrize("script", ["fit_model", "fit_linear", "fit_random", "fit_oracle"])
def test_fits_do_not_depend_on_code_that_changes_no_number(script):
    files = {str(file.relative_to(PACKAGE)) for file in package_files(ROOT / f"workflow_scripts/{script}.py")}
    assert not {file for file in files if file.startswith(("evaluation/", "report/", "datasets/"))}
    assert not files & {"errors.py", "workflow/fitting.py", "workflow/guard.py", "workflow/logs.py"}
    assert "contracts/fit.py" in files


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A run whose fits ended in every way there is; two ran out of time, after one and after ten minutes."""
    monkeypatch.chdir(tmp_path)
    ended = [*get_args(Status), "timeout"]
    rows = []
    for place, status in enumerate(ended):
        path = f"results/tiny/fits/{place}.{status}.h5ad"
        run = Run(status=status, timeout_minutes=1 if place == 6 else 10)
        fits.write(Fit(CELLS, latents=np.zeros((3, 1)), run=run), path)
        rows.append(dict.fromkeys(STATUS_COLUMNS, 0) | {"status": status, "fit": path})
    write_table(pd.DataFrame(rows), "results/tiny/metrics/data/split/rep0/method.status.tsv")
    Path("tiny.yaml").write_text(yaml.safe_dump({**TINY, "timeout_minutes": 5}), encoding="utf-8")
    return Path("results/tiny")


def left_in(results):
    """Names of the fits that are there."""
    return sorted(path.name for path in results.rglob("*.h5ad"))


def test_fits_that_did_not_end_well_are_removed(results, capsys):
    main(["tiny.yaml"])
    assert left_in(results) == ["0.ok.h5ad", "5.not_applicable.h5ad"]
    assert "to be made again: results/tiny/fits/4.diverged.h5ad (diverged)" in capsys.readouterr().out
    main(["tiny.yaml"])
    assert capsys.readouterr().out == "results/tiny: there is no fit that did not end well\n"


def test_fits_that_may_take_longer_now_are_removed_by_themselves(results, capsys):
    before = left_in(results)
    main(["--with-more-time", "tiny.yaml"])
    assert set(before) - set(left_in(results)) == {"6.timeout.h5ad"}
    main(["--with-more-time", "tiny.yaml"])
    assert capsys.readouterr().out == "to be made again: results/tiny/fits/6.timeout.h5ad (timeout)\n"


def test_results_of_an_earlier_version_stop_nothing(results, capsys):
    table = results / "metrics/data/split/rep0/method.status.tsv"
    write_table(pd.DataFrame({"setting": ["default"], "status": ["timeout"]}), table)
    (results / "fits/6.timeout.h5ad").write_text("not HDF5")
    main(["--with-more-time", "tiny.yaml"])
    assert capsys.readouterr().out == ""


def test_there_is_nothing_to_try_again_before_anything_was_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(yaml.safe_dump(dict(TINY)), encoding="utf-8")
    main(["tiny.yaml"])
    main(["--with-more-time", "tiny.yaml"])
    assert capsys.readouterr().out == "results/tiny: there is no fit that did not end well\n"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here, so that nothing has to fail")
def test_a_job_that_asked_for_a_gpu_and_sees_none_fits_nothing(job):
    job.params["accelerator"] = "cuda"
    assert settings_fitted(job) == ""
    runs = [fits.read_run(path) for path in job.output]
    assert {run.status for run in runs} == {"failed"}
    assert {run.message for run in runs} == {"accelerator: a GPU was asked for, but torch sees none"}
