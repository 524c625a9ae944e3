"""What every job of the workflow does first: log where Snakemake wants it, and fail in one sentence."""

import errno
import logging
import os
import subprocess
import sys
from pathlib import Path

from svae.errors import BenchmarkError, sentence

NO_WRITING = (errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS)
"""Numbers of the errors of a disk that is full, or may not be written to."""


def start(log: str | os.PathLike) -> None:
    """Send all further output to the terminal and to the file `log`, that of child processes too.

    ``script:`` leaves the ``log:`` of a rule empty unless the script fills it.
    """
    sys.excepthook = _one_sentence
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


def _one_sentence(kind, error, traceback) -> None:
    """Bad input and full disks are the user's business and get one sentence; all else has a traceback."""
    if issubclass(kind, BenchmarkError) or getattr(error, "errno", None) in NO_WRITING:
        print(f"error: {sentence(error)}", file=sys.stderr, flush=True)
    else:
        sys.__excepthook__(kind, error, traceback)
