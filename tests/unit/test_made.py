"""What is written down beside fits, and the checksum by which a damaged one is found."""

import os
import re
import signal
from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pytest

from svae.contracts import fit as fits
from svae.contracts import made
from svae.contracts.made import Making
from svae.errors import BenchmarkError
from svae.evaluation.evaluate import read_fit
from svae.files import checksum
from svae.workflow.guard import guarded
from svae.workflow.machine import this_machine

CELLS = pd.Index(["a", "b", "c"])
SPLIT = pd.DataFrame({"cell": CELLS})
FIT = fits.Fit(CELLS, latents=np.eye(3, 2))


@pytest.fixture
def path(tmp_path):
    """A fit that is written down."""
    path = tmp_path / "default.h5ad"
    fits.write(FIT, path)
    made.write_down([path], Making(host="here"))
    return path


def damage(path):
    """Append a byte, which makes the file no less readable."""
    path.write_bytes(path.read_bytes() + b"x")
    fits.read(path, CELLS)


def test_a_fit_that_is_as_it_was_is_read(path):
    assert read_fit(path, SPLIT).run.status == "ok"


def test_a_fit_that_was_damaged_is_never_used(path):
    damage(path)
    run = read_fit(path, SPLIT).run
    assert run.status == "failed"
    said = "it was changed or damaged after it was made, since made.tsv has another sha256 of it"
    assert run.message == f"{path}: {said}"


def test_a_valid_fit_that_took_the_place_of_another_is_never_used(path):
    fits.write(replace(FIT, latents=np.eye(3)), path)
    assert read_fit(path, SPLIT).run.status == "failed"


def test_a_fit_that_nobody_wrote_down_is_read(path):
    (path.parent / made.TABLE).unlink()
    assert read_fit(path, SPLIT).run.status == "ok"


def test_what_was_known_of_a_fit_that_is_gone_says_nothing_of_the_next(path):
    path.unlink()
    made.forget_missing([path])
    fits.write(replace(FIT, latents=np.eye(3)), path)
    made.refuse_changed(path)


def test_a_damaged_fit_that_is_put_back_after_a_job_was_killed_is_known(path):
    damage(path)
    content = path.read_bytes()

    def be_killed():
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(1)

    process = os.fork()
    if process == 0:
        guarded(be_killed, [path], ["default"], CELLS)
        os._exit(0)
    os.waitpid(process, 0)
    path.write_bytes(content)  # as Snakemake does with what was there before a failed job
    with pytest.raises(BenchmarkError, match="changed or damaged"):
        made.refuse_changed(path)


def test_rows_of_fits_that_are_gone_are_struck_out(path):
    other = path.with_name("other.h5ad")
    fits.write(FIT, other)
    path.unlink()
    made.write_down([other], Making(host="there"))
    assert [making.host for making in made.makings_of([path, other])] == ["", "there"]


@pytest.mark.parametrize("content", ["", "fit\n", "a\tb\n1\n", "\0\n\0"])
def test_a_table_that_says_nothing_stops_nothing(path, content):
    (path.parent / made.TABLE).write_text(content, encoding="utf-8")
    assert made.makings_of([path]) == [Making()]
    made.refuse_changed(path)


def test_the_guard_writes_down_how_fits_were_made(tmp_path):
    paths = [tmp_path / "job" / f"{setting}.h5ad" for setting in "xy"]

    def work():
        fits.write(FIT, paths[0])
        for _ in range(3):
            sum(range(1_000_000))

    guarded(work, paths, ["x", "y"], CELLS)
    first, second = made.makings_of(paths)
    assert first == second, "the one that failed was made so, too"
    assert {name: getattr(first, name) for name in this_machine()} == this_machine()
    assert 0.005 < float(first.cpu_seconds) < 60
    begun, ended = (datetime.fromisoformat(time) for time in (first.started, first.ended))
    assert begun <= ended
    assert re.search(r"numpy \d", first.versions)
    table = (tmp_path / "job" / made.TABLE).read_text(encoding="utf-8")
    assert all(checksum(path) in table for path in paths)


def write_tool(path, script):
    """Write a program under the name of NVIDIA's tool."""
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("script", "gpu", "driver"),
    [
        ("echo 'NVIDIA H100, 80GB, 550.1'; echo 'NVIDIA H100, 80GB, 550.1'", "NVIDIA H100, 80GB", "550.1"),
        ("echo 'A, 550.1'; echo 'B, 550.1'", "A; B", "550.1"),
        ("echo No devices were found", "", ""),
        ("exit 9", "", ""),
    ],
)
def test_gpus_are_those_that_the_tool_names(tmp_path, monkeypatch, script, gpu, driver):
    write_tool(tmp_path / "nvidia-smi", script)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    machine = this_machine()
    assert (machine["gpu"], machine["driver"]) == (gpu, driver)


def test_what_is_damaged_is_told_before_it_is_parsed(path):
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BenchmarkError, match="changed or damaged"):
        made.refuse_changed(path)
