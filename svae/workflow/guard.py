"""Let a method fail without taking the benchmark along.

A method runs in a child process. However that ends (an exception, a signal, a time-out, a file that
breaks the contract), every fit it owed is there afterwards: the method's own, or one that says why
there is none. Python scripts use :func:`guarded`, commands of any language `workflow_scripts/guard.py`.
"""

import logging
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from svae.contracts import fit as fits
from svae.contracts import made
from svae.contracts.run import library_versions
from svae.errors import BenchmarkError, sentence
from svae.words import Status
from svae.workflow.machine import this_machine

logger = logging.getLogger(__name__)

OUT_OF_MEMORY = 77
"""Exit code of a child that met a MemoryError (also that of a GPU)."""


def guarded(
    work: Callable[[], None],
    outputs: Sequence[str | Path],
    settings: Sequence[str],
    cells: pd.Index,
    timeout_minutes: float | None = None,
    fingerprints: Sequence[str] = (),
) -> list[Status]:
    """Run `work` in a child process, and leave a valid fit at each of `outputs`.

    Beside the fits is written down how they were made (:mod:`svae.contracts.made`).

    Parameters
    ----------
    work
        Writes one fit per setting; called after a fork, so import heavy libraries inside of it.
    outputs, settings
        Where each setting's fit has to be.
    cells
        Cells of the dataset, in order.
    timeout_minutes
        The child is killed after so long.
    fingerprints
        What to write into each fit, so that :mod:`svae.workflow.fitting` knows it again; none by default.

    Returns
    -------
    list[Status]
        The status of each fit.
    """
    made.forget_missing(outputs)
    for path in outputs:
        _remove(Path(path))
        _remove(fits.model_beside(path))
    started = _now()
    ending = _run(work, timeout_minutes)
    ending.seconds /= max(1, len(outputs))
    marks = fingerprints or [""] * len(outputs)
    statuses = [
        _settle(path, setting, cells, ending, mark)
        for path, setting, mark in zip(outputs, settings, marks, strict=True)
    ]
    making = made.Making(
        **this_machine(),
        versions="; ".join(f"{library} {version}" for library, version in library_versions().items()),
        started=started,
        ended=_now(),
        cpu_seconds=f"{ending.cpu_seconds / max(1, len(outputs)):.3f}",
    )
    made.write_down(outputs, making)
    return statuses


def _now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass
class _Ending:
    """How the child ended, and what it cost."""

    status: Status
    message: str
    seconds: float
    peak_memory_mb: float
    cpu_seconds: float
    timeout_minutes: float = float("nan")


def _run(work: Callable[[], None], timeout_minutes: float | None) -> _Ending:
    """Fork, work, and tell how the child ended; its last words come through a pipe."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        exit_code = 1
        try:
            os.setpgid(0, 0)  # so that a time-out ends the child's own children too
            exit_code = _child(work, writing)
        finally:  # a child that went on would do again what its parent does
            os._exit(exit_code)
    os.close(writing)
    try:
        code, usage = _wait(child, timeout_minutes)
    finally:  # also if interrupted: nothing may be left running, which would hold the pipe open, too
        with suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
    message = _last_words(reading)
    cost = time.monotonic() - start, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    if timeout_minutes is not None and code is None:
        return _Ending("timeout", f"ended after {timeout_minutes:g} minutes", *cost, timeout_minutes)
    if code == 0:
        return _Ending("ok", "", *cost)
    if code == OUT_OF_MEMORY or code == -signal.SIGKILL:
        killed = "killed by the system, which most often means out of memory"
        return _Ending("out_of_memory", message or killed, *cost)
    ended = f"exit code {code}" if code is None or code >= 0 else f"ended by {signal.Signals(-code).name}"
    return _Ending("failed", message or ended, *cost)


def _child(work: Callable[[], None], writing: int) -> int:
    try:
        work()
        sys.stdout.flush()
        sys.stderr.flush()
        return 0
    except BaseException as error:
        if not isinstance(error, BenchmarkError):
            traceback.print_exc()
        last = sentence(error)
        logger.error("%s", last)
        os.write(writing, last.encode())
        out_of_memory = isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__
        return OUT_OF_MEMORY if out_of_memory else 1


def _last_words(reading: int) -> str:
    """What the child wrote into the pipe; others may still hold its other end, so nothing is waited for."""
    os.set_blocking(reading, False)
    with os.fdopen(reading, "rb") as pipe:
        return (pipe.read() or b"").decode()


def _wait(child: int, timeout_minutes: float | None) -> tuple[int | None, resource.struct_rusage]:
    """Exit code of the child (negative: its signal; None: out of time), and what it used."""
    deadline = float("inf") if timeout_minutes is None else time.monotonic() + 60 * timeout_minutes
    pause = 0.01
    while True:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            _, _, usage = os.wait4(child, 0)
            return None, usage
        time.sleep(pause)
        pause = min(1.0, 2 * pause)


def _settle(path: str | Path, setting: str, cells: pd.Index, ending: _Ending, mark: str) -> Status:
    """Keep the fit at `path` if it is one, with what it cost; else write one that says why not."""
    path = Path(path)
    status, message = ending.status, ending.message
    if path.exists():
        try:
            return _keep(path, setting, cells, ending, mark)
        except BenchmarkError as error:
            status, message = "failed", f"the fit breaks its contract: {error}"
        except Exception as error:  # whatever a file holds, the other methods go on
            logger.exception("%s", path)
            status, message = "failed", f"the fit breaks its contract: {path}: {sentence(error)}"
    elif status == "ok":
        status, message = "failed", "the method ended well but wrote no fit"
    logger.warning("%s: %s: %s", setting, status, message)
    fit = fits.Fit.failed(cells, status, message, setting=setting)
    fit.run.seconds, fit.run.peak_memory_mb = ending.seconds, ending.peak_memory_mb
    fit.run.timeout_minutes = ending.timeout_minutes
    _remove(path)
    fits.write(fit, path)
    return status


def _keep(path: Path, setting: str, cells: pd.Index, ending: _Ending, mark: str) -> Status:
    """Read the fit at `path`, and note its `mark`, and what it cost if it does not say."""
    fit = fits.read(path, cells)
    if fit.run.setting not in (setting, fits.Run.setting):
        found = f'uns["run"]["setting"] is \'{fit.run.setting}\''
        raise BenchmarkError(f"{path}: {found}, but the fit of setting '{setting}' is wanted here")
    unmeasured = np.isnan(fit.run.seconds)  # methods in other languages need not measure themselves
    if unmeasured:
        fit.run.seconds, fit.run.peak_memory_mb = ending.seconds, ending.peak_memory_mb
    if unmeasured or fit.run.fingerprint != mark:
        fit.run.fingerprint = mark
        fits.write(fit, path)
    return fit.run.status


def _remove(path: Path) -> None:
    """Remove what is at `path`, if anything is: also a folder, or a link."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
