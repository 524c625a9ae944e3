"""Run a command of any language that writes fits; if it fails, write fits that say so.

python workflow_scripts/guard.py --dataset data.h5ad --settings a b --fits a.h5ad b.h5ad -- command …
"""

import argparse
import logging

from svae.contracts.dataset import read_without_counts
from svae.errors import BenchmarkError
from svae.workflow.command import run_command
from svae.workflow.guard import guarded

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--dataset", required=True, help="dataset whose cells the fits are about")
parser.add_argument("--fits", nargs="+", required=True, help="fit files that the command owes")
parser.add_argument("--settings", nargs="+", required=True, help="name of the setting of each fit")
parser.add_argument("--timeout-minutes", type=float, help="end the command after so long")
parser.add_argument("command", nargs=argparse.REMAINDER, help="after --: the command and its arguments")
arguments = parser.parse_args()
if len(arguments.fits) != len(arguments.settings):
    parser.error(f"{len(arguments.fits)} fits for {len(arguments.settings)} settings; there is one for each")


def run():
    """Runs in a child process."""
    run_command(arguments.command[1:] if arguments.command[:1] == ["--"] else arguments.command)


logging.basicConfig(format="%(message)s")
try:
    cells = read_without_counts(arguments.dataset).obs_names
except BenchmarkError as error:
    parser.error(str(error))
guarded(run, arguments.fits, arguments.settings, cells, arguments.timeout_minutes)
