"""Run a command of any language, and tell in one sentence how it failed."""

import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import IO

from svae.errors import BenchmarkError, one_line

LONGEST_LINE = 1 << 16
"""Bytes that are looked at as one line; a program may print gigabytes without a line break."""
LONGEST_MESSAGE = 4000
"""Bytes of a line that may become a message."""
CLOSING_LINES = ("Execution halted", "Calls: ")
"""Begin the lines that R prints after the one that says what went wrong."""


def run_command(command: Sequence[str]) -> None:
    """Run `command`; what it prints goes where the output of this process goes.

    Parameters
    ----------
    command
        A program, looked for along ``PATH``, and its arguments.

    Raises
    ------
    MemoryError
        If it was killed.
    BenchmarkError
        If it cannot be run, or fails: with its exit code, and the last line that it wrote to stderr.
    """
    if not command:
        raise BenchmarkError("there is no command after --")
    try:
        process = subprocess.Popen(command, stderr=subprocess.PIPE)
    except OSError as error:
        raise BenchmarkError(f"the command '{command[0]}' cannot be run: {error.strerror}") from error
    assert process.stderr is not None
    lines = _LastLine(process.stderr)
    lines.start()
    code = process.wait()
    lines.join(timeout=1)  # no longer: processes that it left behind may hold its stderr open
    if code in (-signal.SIGKILL, 128 + signal.SIGKILL):  # or a shell that says so of its child
        raise MemoryError("the command was killed, which most often means out of memory")
    if code != 0:
        ended = f"exit code {code}" if code > 0 else f"signal {-code}"
        last = f": {lines.last}" if lines.last else ""
        raise BenchmarkError(f"the command '{command[0]}' ended with {ended}{last}")


class _LastLine(threading.Thread):
    """Passes a stream on to stderr, and keeps the last line that says something."""

    def __init__(self, stream: IO[bytes]):
        super().__init__(daemon=True)
        self.stream = stream
        self.last = ""

    def run(self) -> None:
        while line := self.stream.readline(LONGEST_LINE):
            sys.stderr.buffer.write(line)
            sys.stderr.buffer.flush()
            text = one_line(line[:LONGEST_MESSAGE].decode(errors="replace"), 500)
            if text and not text.startswith(CLOSING_LINES):
                self.last = text
