"""What every job of the workflow does first: log where Snakemake wants it, and fail in one sentence."""

import logging
import os
import subprocess
import sys
from pathlib import Path

from svae.errors import BenchmarkError


def start(log: str | os.PathLike) -> None:
    """Send all further output to the terminal and to the file `log`, that of child processes too.

    ``script:`` leaves the ``log:`` of a rule empty unless the script fills it.
    """
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    with open(log, "wb"):
        pass
    # tee, because file descriptors reach what C code and forked children print, sys.stderr does not.
    tee = subprocess.Popen(["tee", "-a", str(log)], stdin=subprocess.PIPE, stdout=sys.__stderr__)
    assert tee.stdin is not None
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(tee.stdin.fileno(), stream.fileno())
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    logging.getLogger("svae").setLevel(logging.INFO)
    sys.excepthook = _one_sentence


def _one_sentence(kind, error, traceback) -> None:
    """Bad input is the user's business and gets one sentence; anything else is ours, with a traceback."""
    if issubclass(kind, BenchmarkError):
        print(f"error: {error}", file=sys.stderr, flush=True)
    else:
        sys.__excepthook__(kind, error, traceback)
