"""Remove the fits of a scope that did not end well, so that the next run makes them again.

python -m svae.workflow.retry config/demo.yaml
"""

import argparse
import sys
from pathlib import Path

import pandas as pd

from svae.contracts.tables import concatenate_status
from svae.errors import BenchmarkError
from svae.words import ENDED_WELL
from svae.workflow.scope import Scope


def remove_bad_fits(results: str | Path) -> pd.DataFrame:
    """Remove the fits that did not end well.

    Parameters
    ----------
    results
        Folder of a scope's results. The tables of its jobs say how each fit ended; a fit that was not
        evaluated yet is left alone.

    Returns
    -------
    The rows of the removed fits, as they are in ``status.tsv``.
    """
    paths = sorted(Path(results, "metrics").rglob("*.status.tsv"))
    if not paths:
        raise BenchmarkError(f"{results}: no fit was evaluated yet, so there is none to try again")
    status = concatenate_status(paths)
    bad = status[~status["status"].isin(ENDED_WELL)]
    bad = bad[[Path(fit).is_file() for fit in bad["fit"]]]
    for fit in bad["fit"]:
        Path(fit).unlink()
    return bad


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m svae.workflow.retry", description=__doc__)
    parser.add_argument("config", help="config file of the scope")
    scope = Scope.read(parser.parse_args(arguments).config)
    bad = remove_bad_fits(f"results/{scope.name}")
    for row in bad.itertuples():
        print(f"to be made again: {row.fit} ({row.status})")
    if bad.empty:
        print(f"results/{scope.name}: all fits ended well")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
