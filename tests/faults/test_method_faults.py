"""However a method ends, valid fits that say how are left, and the benchmark goes on."""

import ctypes
import faulthandler
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from checkout import BRIEF, METHODS, Checkout, once
from snakemake.iocontainers import Params

from svae.contracts import fit as fits
from svae.contracts import made
from svae.errors import BenchmarkError
from svae.workflow.command import run_command
from svae.workflow.fitting import make_fits
from svae.workflow.guard import guarded

CELLS = pd.Index(["a", "b", "c"])
SETTINGS = ("x=1", "x=2")
LATENTS = np.eye(3, 2)


@pytest.fixture
def owed(tmp_path):
    """Files that the method owes; the second one is left over from an earlier run."""
    paths = [tmp_path / f"{setting}.h5ad" for setting in SETTINGS]
    fits.write(fits.Fit(CELLS, latents=5 * LATENTS), paths[1])
    return paths


def run(work, owed, timeout_minutes=None):
    """Let `work` run guarded; return how its fits ended, as read from their files."""
    told = guarded(work, owed, SETTINGS, CELLS, timeout_minutes)
    ended = [fits.read(path, CELLS).run for path in owed]
    assert told == [run.status for run in ended]
    left = {path.name for path in owed[0].parent.iterdir()}
    assert left == {made.TABLE, *(path.name for path in owed)}
    return ended


def write_nothing(owed):
    pass


def raise_an_error(owed):
    raise RuntimeError("the matrix is singular\nand so on")


def raise_a_sentence(owed):
    raise BenchmarkError("option 'x' must be positive")


def say_nothing(owed):
    raise BenchmarkError("")


def exit_at_once(owed):
    sys.exit(3)


def vanish(owed):
    os._exit(5)


def run_out_of_memory(owed):
    raise MemoryError("cannot allocate 80 GB")


def be_killed(owed):
    os.kill(os.getpid(), signal.SIGKILL)


def be_ended(owed):
    os.kill(os.getpid(), signal.SIGTERM)


def read_where_nothing_is(owed):
    faulthandler.disable()  # which pytest enables, and which prints a page
    ctypes.string_at(0)


def write_half_of_each(owed):
    for path in owed:
        fits.write(fits.Fit(CELLS, latents=LATENTS), path)
        os.truncate(path, path.stat().st_size // 2)


def write_garbage(owed):
    for path in owed:
        path.write_text("not HDF5")


def write_other_cells(owed):
    for path in owed:
        fits.write(fits.Fit(CELLS[::-1], latents=LATENTS), path)


def write_nan(owed):
    for path in owed:
        fits.write(fits.Fit(CELLS, latents=LATENTS * np.nan), path)


def write_folders(owed):
    for path in owed:
        (path / "content").mkdir(parents=True)


def write_links_to_nothing(owed):
    for path in owed:
        path.symlink_to("nothing")


def say_what_no_file_can_hold(owed):
    raise RuntimeError("a bell \a, a null \0 and half a letter \ud800")


class SpeechlessError(Exception):
    """Fails even to say what it is."""

    def __str__(self):
        raise RuntimeError


def fail_without_words(owed):
    raise SpeechlessError


def leave_one_behind(owed):
    """A process that no signal to the group reaches, and that holds open what the child held open."""
    if os.fork() == 0:
        os.setsid()
        time.sleep(15)
        os._exit(0)
    raise RuntimeError("one is left")


def write_one_fit_under_both_names(owed):
    for path in owed:
        fits.write(fits.Fit(CELLS, latents=LATENTS, run=fits.Run(setting="x=3")), path)


FAULTS = {
    write_nothing: ("failed", "wrote no fit"),
    raise_an_error: ("failed", "RuntimeError: the matrix is singular"),
    raise_a_sentence: ("failed", "option 'x' must be positive"),
    say_nothing: ("failed", ""),
    exit_at_once: ("failed", "SystemExit: 3"),
    vanish: ("failed", "exit code 5"),
    run_out_of_memory: ("out_of_memory", "MemoryError: cannot allocate 80 GB"),
    be_killed: ("out_of_memory", "killed by the system"),
    be_ended: ("failed", "ended by SIGTERM"),
    read_where_nothing_is: ("failed", "ended by SIGSEGV"),
    write_garbage: ("failed", "breaks its contract"),
    write_half_of_each: ("failed", "not a readable h5ad file"),
    write_other_cells: ("failed", "not the cells of the dataset"),
    write_nan: ("failed", "NaN"),
    write_folders: ("failed", "this is a folder, not a file"),
    write_links_to_nothing: ("failed", "wrote no fit"),
    say_what_no_file_can_hold: ("failed", "RuntimeError: a bell , a null and half a letter"),
    fail_without_words: ("failed", "exit code 1"),
    write_one_fit_under_both_names: ("failed", 'uns["run"]["setting"] is \'x=3\''),
}


@pytest.mark.parametrize(("fault", "ended"), FAULTS.items(), ids=[fault.__name__ for fault in FAULTS])
def test_fault_leaves_fits_that_say_so(owed, fault, ended):
    def work():
        fault(owed)

    status, message = ended
    for run_, setting in zip(run(work, owed), SETTINGS, strict=True):
        assert (run_.status, run_.setting) == (status, setting)
        assert message in run_.message
        assert "\n" not in run_.message


def test_method_that_takes_too_long_is_ended(owed):
    def work():
        subprocess.run(["sleep", "60"], check=False)

    start = time.monotonic()
    ended = run(work, owed, timeout_minutes=0.005)
    assert time.monotonic() - start < 10
    assert {(run.status, run.message) for run in ended} == {("timeout", "ended after 0.005 minutes")}


PRINT_100_MB = "import sys; [sys.stderr.write('x' * 10**6) for _ in range(100)]"


def test_method_that_prints_100_mb_costs_no_memory(owed, monkeypatch):
    def print_nothing():
        run_command([sys.executable, "-c", ""])

    def print_one_line_without_end():
        run_command([sys.executable, "-c", PRINT_100_MB])

    quiet = run(print_nothing, owed)[0]
    with open(os.devnull, "w") as nowhere, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", nowhere)
        loud = run(print_one_line_without_end, owed)[0]
    assert loud.message == "the method ended well but wrote no fit"
    assert loud.peak_memory_mb < quiet.peak_memory_mb + 50


@contextmanager
def small_disk(folder, *options):
    """Mount a disk of one megabyte at `folder`, which only some users may."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(("size=1m", *options)), "tmpfs", folder]
    tried = subprocess.run(mount, capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"this user may not mount a small disk ({tried.stderr.strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_method_that_fills_the_disk_leaves_fits_that_say_so(tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        owed = [disk / f"{setting}.h5ad" for setting in SETTINGS]

        def work():
            for path in owed:
                path.write_bytes(bytes(2**21))

        assert {ended.status for ended in run(work, owed)} == {"failed"}
        assert "No space left on device" in fits.read(owed[1]).run.message


JOB_ON_A_DISK = """
import sys
from svae.workflow.logs import start

start(sys.argv[1])
"""


def test_a_disk_that_cannot_be_written_to_is_told_in_one_sentence(tmp_path):
    with small_disk(tmp_path / "disk", "ro") as disk:
        job = [sys.executable, "-W", "ignore", "-c", JOB_ON_A_DISK, disk / "logs" / "job.log"]
        done = subprocess.run(job, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert done.stderr == f"error: OSError: [Errno 30] Read-only file system: '{disk}/logs'\n"


def test_processes_that_a_method_leaves_behind_hold_nothing_up(owed):
    def work():
        if os.fork() == 0:
            time.sleep(60)

    start = time.monotonic()
    run(work, owed)
    assert time.monotonic() - start < 10


def test_a_process_that_left_the_group_holds_nothing_up(owed):
    def work():
        leave_one_behind(owed)

    start = time.monotonic()
    assert {run.message for run in run(work, owed)} == {"RuntimeError: one is left"}
    assert time.monotonic() - start < 10


def test_what_an_earlier_run_left_is_removed(owed):
    owed[0].mkdir()
    owed[1].unlink()
    owed[1].symlink_to("nothing")
    assert [run.status for run in run(write_nothing_at_all, owed)] == ["failed", "failed"]


def write_nothing_at_all():
    pass


def test_whatever_reading_a_fit_ends_in_the_next_one_is_settled(owed, monkeypatch):
    def work():
        for path in owed:
            fits.write(fits.Fit(CELLS, latents=LATENTS), path)

    def read_the_second_only(path, cells=None):
        if path == owed[0]:
            raise ZeroDivisionError("nobody foresaw this")
        return read(path, cells)

    read = fits.read
    with monkeypatch.context() as patch:
        patch.setattr(fits, "read", read_the_second_only)
        assert guarded(work, owed, SETTINGS, CELLS) == ["failed", "ok"]
    assert "ZeroDivisionError: nobody foresaw this" in fits.read(owed[0]).run.message


def test_a_fit_that_cannot_be_written_takes_nothing_from_the_next_setting(owed):
    def fit_all(settings):
        for factor in (np.nan, 1):
            yield fits.Fit(CELLS, latents=factor * LATENTS)

    settings = [{"name": name, "seed": seed} for seed, name in enumerate(SETTINGS)]
    job = SimpleNamespace(
        input=[], output=owed, params=Params(fromdict={"settings": settings, "timeout_minutes": 1})
    )
    make_fits(job, CELLS, fit_all)
    first, second = (fits.read(path, CELLS).run for path in owed)
    assert (first.status, second.status) == ("failed", "ok")
    assert "NaN" in first.message


# --- commands -------------------------------------------------------------------------------------

ENDINGS = {
    "echo first >&2; echo the last words >&2; exit 3": "ended with exit code 3: the last words",
    "echo 'Error: no rank' >&2; echo Execution halted >&2; exit 1": "exit code 1: Error: no rank",
    "echo only to stdout; exit 2": "the command 'sh' ended with exit code 2",
    "printf 'no end of line, \\377' >&2; exit 4": "exit code 4: no end of line, \ufffd",
    "kill -TERM $$": "ended with signal 15",
    "sleep 15 & echo gone >&2; exit 5": "exit code 5: gone",
}


@pytest.mark.parametrize(("script", "said"), ENDINGS.items())
def test_a_command_that_fails_is_told_with_its_last_words(script, said, capfd):
    start = time.monotonic()
    with pytest.raises(BenchmarkError) as error:
        run_command(["sh", "-c", script])
    assert str(error.value).endswith(said)
    assert said.partition(": ")[2].replace("\ufffd", "") in capfd.readouterr().err
    assert time.monotonic() - start < 10


def test_a_command_that_cannot_be_run_is_told():
    with pytest.raises(BenchmarkError, match="the command 'Rscrpt' cannot be run: No such file"):
        run_command(["Rscrpt", "fit.R"])
    with pytest.raises(BenchmarkError, match="there is no command after --"):
        run_command([])


def test_a_command_that_is_killed_ran_out_of_memory():
    for script in ("kill -9 $$", "exit 137"):
        with pytest.raises(MemoryError, match="killed"):
            run_command(["sh", "-c", script])


def test_fits_that_were_finished_before_count(owed):
    def work():
        fits.write(fits.Fit(CELLS, latents=LATENTS), owed[0])
        raise RuntimeError("the second setting is bad")

    first, second = run(work, owed)
    assert first.status == "ok"
    assert (second.status, second.message) == ("failed", "RuntimeError: the second setting is bad")


def test_good_fits_are_left_alone(owed):
    def work():
        for path in owed:
            fits.write(fits.Fit(CELLS, latents=LATENTS), path)

    assert {run.status for run in run(work, owed)} == {"ok"}
    np.testing.assert_array_equal(fits.read(owed[1]).latents, LATENTS)


# --- in the workflow ------------------------------------------------------------------------------

RULE = """\
rule fit_{method}:
    input:
        dataset=DATASET,
        code=code("guard"),
    output:
        fits_of("{method}"),
    log:
        log_of("{method}"),
    params:
        guard=GUARD,
        names=names_of("{method}"),
    shell:
        "{{params.guard}} --dataset {{input.dataset}} --settings {{params.names:q}} --fits {{output:q}}"
        " --timeout-minutes 0.1 -- {command} &> {{log}}"
"""
COMMANDS = {
    "raises": ("python -c 'import h5py; raise RuntimeError'", "failed"),
    "sleeps": ("sleep 60", "timeout"),
    "scribbles": ("sh -c 'echo garbage > {output}'", "failed"),
    "is_killed": ("sh -c 'kill -9 $$'", "out_of_memory"),
}
GOOD = ("svae_plus", "pca", "random")


@pytest.fixture(scope="module")
def broken_run(tmp_path_factory) -> Checkout:
    """A few methods of the tiny scope, among others that fail, each in its own way."""

    def run(path):
        copy = Checkout.create(path)
        for method, (command, _) in COMMANDS.items():
            rule = RULE.format(method=method, command=command)
            (copy.path / "rules/methods" / f"{method}.smk").write_text(rule, encoding="utf-8")
        methods = {method: METHODS[method] for method in GOOD} | dict.fromkeys(COMMANDS)
        copy.write_scope({**BRIEF, "methods": methods})
        copy.keep_figures(["cost", "likelihood"])
        code, said = copy.try_snakemake("tiny", "--cores", "2", "--keep-going")
        assert code != 0
        (copy.path / "said").write_text(said, encoding="utf-8")

    return once(tmp_path_factory, "broken", run)


workflow = pytest.mark.workflow


@workflow
def test_run_goes_on_and_ends_badly(broken_run):
    assert not (broken_run.path / "results/tiny/complete.txt").exists()
    said = (broken_run.path / "said").read_text(encoding="utf-8")
    assert "4 of 8 fits did not end well (is_killed, raises, scribbles, sleeps)" in said


@workflow
def test_statuses_say_what_happened(broken_run):
    status = broken_run.table("status.tsv").set_index("method")
    assert status.loc[list(COMMANDS), "status"].to_dict() == {
        method: ended for method, (_, ended) in COMMANDS.items()
    }
    assert set(status.loc[list(GOOD), "status"]) == {"ok"}
    assert status.loc[list(COMMANDS), "message"].str.len().min() > 0
    assert status.loc["raises", "message"] == "the command 'python' ended with exit code 1: RuntimeError"


@workflow
def test_what_is_lost_comes_first_with_its_reason_and_its_log(broken_run):
    table = broken_run.table("completeness.tsv")
    lost = table.head(len(COMMANDS)).set_index("method")
    assert {method: lost.loc[method, "status"] for method in lost.index} == {
        method: ended for method, (_, ended) in COMMANDS.items()
    }
    assert (lost["fits"] == lost["planned"]).all()
    for method, log in lost["log"].items():
        assert log == f"results/tiny/logs/fits/simulated/random/rep0/{method}.log"
        assert (broken_run.path / log).is_file()
    assert set(table["method"][len(COMMANDS) :]) == set(GOOD)


@workflow
def test_report_is_made_and_names_the_failures(broken_run):
    copy = broken_run
    copy.snakemake("tiny", "--report", "reports/tiny.html")
    summary = (copy.path / "results/tiny/summary.rst").read_text(encoding="utf-8")
    assert (copy.path / "reports/tiny.html").stat().st_size > 100_000
    assert all(ended.replace("_", " ") in summary for _, ended in COMMANDS.values())


@workflow
def test_numbers_of_the_others_are_the_same_as_without(broken_run, tiny_run):
    with_faults = broken_run.table("metrics.tsv.gz")
    without = tiny_run.table("metrics.tsv.gz")
    kept = without[without["method"].isin(GOOD) & (without["replicate"] == 0)]
    kept = kept[kept["metric"].isin(BRIEF["metrics"])]
    keys = ["method", "setting", "metric"]
    same = with_faults[with_faults["method"].isin(GOOD)].set_index(keys)["value"].sort_index()
    pd.testing.assert_series_equal(same, kept.set_index(keys)["value"].sort_index(), check_exact=True)


@workflow
def test_a_second_run_in_the_same_folder_is_refused_and_disturbs_nothing(checkout):
    wait = "sh -c 'touch begun; while [ ! -e go ]; do sleep 0.1; done; exit 3'"
    rule = RULE.format(method="waits", command=wait).replace("--timeout-minutes 0.1", "--timeout-minutes 5")
    (checkout.path / "rules/methods/waits.smk").write_text(rule, encoding="utf-8")
    checkout.write_scope({**BRIEF, "methods": {"waits": None}, "reference": "waits"})
    fit = "results/tiny/fits/simulated/random/rep0/waits/default.h5ad"
    with ThreadPoolExecutor() as pool:
        first = pool.submit(checkout.try_snakemake, "tiny", "--cores", "1", fit)
        while not (checkout.path / "begun").exists() and not first.done():
            time.sleep(0.1)
        code, said = checkout.try_snakemake("tiny", "--cores", "1", fit)
        (checkout.path / "go").touch()
    assert code != 0
    assert "Directory cannot be locked" in said
    assert first.result()[0] == 0, first.result()[1]
    assert fits.read_run(checkout.path / fit).message == "the command 'sh' ended with exit code 3"
