"""Remove fits of a scope that did not end well, so that the next run makes them again.

python -m svae.workflow.retry config/demo.yaml
"""

import argparse
import os
import sys
from contextlib import suppress
from pathlib import Path

import pandas as pd

from svae.contracts.fit import read_run
from svae.contracts.tables import read_status
from svae.errors import BenchmarkError
from svae.words import ENDED_WELL
from svae.workflow.scope import Scope


def bad_fits(results: str | Path) -> pd.DataFrame:
    """Find the fits that did not end well.

    Parameters
    ----------
    results
        Folder of a scope's results. The tables of its jobs say how each fit ended; a fit that was not
        evaluated yet is not among them.

    Returns
    -------
    The columns ``status`` and ``fit`` of ``status.tsv``, of those fits whose file is there.
    """
    found = [pd.DataFrame(columns=["status", "fit"])]
    for path in sorted(Path(results, "metrics").rglob("*.status.tsv")):
        with suppress(BenchmarkError):  # a table of an earlier version, which the next run makes anew
            found.append(read_status(path)[["status", "fit"]])
    status = pd.concat(found, ignore_index=True)
    is_there = status["fit"].map(os.path.isfile).astype(bool)
    return status[~status["status"].isin(ENDED_WELL) & is_there]


def with_more_time(bad: pd.DataFrame, timeout_minutes: float | None) -> pd.DataFrame:
    """Choose the fits that ran out of time, and may take longer now.

    Parameters
    ----------
    bad
        As returned by :func:`bad_fits`.
    timeout_minutes
        How long a job may take now; None if the scope does not say, and then no fit is chosen.
    """
    timed_out = bad[bad["status"] == "timeout"]
    if timeout_minutes is None:
        return timed_out.head(0)
    return timed_out[timed_out["fit"].map(_limit_of).astype(float) < timeout_minutes]


def _limit_of(fit: str) -> float:
    """Minutes that a fit was allowed; NaN where it does not say."""
    try:
        return read_run(fit).timeout_minutes
    except BenchmarkError:
        return float("nan")


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m svae.workflow.retry", description=__doc__)
    parser.add_argument("config", help="config file of the scope")
    only = "only fits that ran out of time, and may take longer now"
    parser.add_argument("--with-more-time", action="store_true", help=only)
    chosen = parser.parse_args(arguments)
    scope = Scope.read(chosen.config)
    fits = bad_fits(f"results/{scope.name}")
    if chosen.with_more_time:
        fits = with_more_time(fits, scope.timeout_minutes)
    elif fits.empty:
        print(f"results/{scope.name}: there is no fit that did not end well")
    for fit, status in zip(fits["fit"], fits["status"], strict=True):
        Path(fit).unlink()
        print(f"to be made again: {fit} ({status})")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
