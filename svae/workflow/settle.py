"""Write a fit that says why for each fit that was lost with its job, so that the others can be reported.

A method that fails leaves fits that say so (:mod:`svae.workflow.guard`). A job that a scheduler refused,
killed or lost leaves nothing, and then nothing that is made from its fits would be there either. What
Snakemake said of such a job is in the log of its last run. A job that this run did not come to is left alone.

python -m svae.workflow.settle config/demo.yaml
"""

import argparse
import logging
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from svae.contracts.job import Job
from svae.errors import BenchmarkError
from svae.files import read_element
from svae.workflow.guard import guarded
from svae.workflow.layout import DATASET, FIT
from svae.workflow.scope import Scope

FAILURE = re.compile(
    r"^Error in rule \S+:\n    message: (?P<message>.*?)\n    jobid: .*?"
    r"\n    output: (?P<files>[^\n]*)\n    log: (?P<logs>[^\n]*?)(?: \(check log[^\n]*)?$",
    re.MULTILINE | re.DOTALL,
)
BOILERPLATE = re.compile(r"\.\s*(?:Detailed failure reason|For further error details|sbatch call:)")
"""How the parts of a message begin that are not about the job."""


class Loss(NamedTuple):
    """A job that left fits out.

    Attributes
    ----------
    job
        Which one.
    settings
        Names of the settings whose fits are missing.
    reason
        One sentence: what Snakemake said of the job, and where the logs are.
    """

    job: Job
    settings: list[str]
    reason: str


def losses(scope: Scope, results: Path, log: str) -> Iterator[Loss]:
    """Find the jobs that failed for good and left fits out.

    Parameters
    ----------
    scope
        What was planned.
    results
        Folder of its results.
    log
        What Snakemake said when it ran the scope.
    """
    reasons = failures(log)
    for job in scope.jobs:
        fits = {s.name: str(_fit(results, job, s.name)) for s in scope.settings(job.method)}
        missing = [setting for setting, path in fits.items() if not Path(path).is_file() and path in reasons]
        if missing:
            yield Loss(job, missing, reasons[fits[missing[0]]])


def failures(log: str) -> dict[str, str]:
    """Read from what Snakemake said why files were not made; the last attempt counts.

    Returns
    -------
    dict[str, str]
        One sentence by path of the file.
    """
    reasons = {}
    for failure in FAILURE.finditer(log):
        message = " ".join(BOILERPLATE.split(failure["message"])[0].split())
        what = "its job failed before it wrote this fit" if message == "None" else message
        for file in failure["files"].split(", "):
            reasons[file.removesuffix(" (update)")] = f"{what}; log: {failure['logs']}"
    return reasons


def settle(loss: Loss, results: Path) -> None:
    """Write the fits that are missing of a job, with the status ``failed``."""

    def fail() -> None:
        raise BenchmarkError(loss.reason)

    paths = [_fit(results, loss.job, setting) for setting in loss.settings]
    cells = read_element(results / DATASET.format(**loss.job._asdict()), "obs").index
    guarded(fail, paths, loss.settings, cells)


def _fit(results: Path, job: Job, setting: str) -> Path:
    return results / FIT.format(**job._asdict(), setting=setting)


def _last_log() -> str:
    """Read what Snakemake said when it last ran here."""
    logs = sorted(Path(".snakemake", "log").glob("*.snakemake.log"))
    return logs[-1].read_text(encoding="utf-8", errors="replace") if logs else ""


def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m svae.workflow.settle", description=__doc__)
    parser.add_argument("config", help="config file of the scope")
    scope = Scope.read(parser.parse_args(arguments).config)
    results = Path("results", scope.name)
    for loss in losses(scope, results, _last_log()):
        settle(loss, results)
        print(f"lost: {', '.join(loss.settings)} of {'/'.join(map(str, loss.job))}: {loss.reason}")


if __name__ == "__main__":
    logging.disable()  # the guard would say the same
    try:
        main(sys.argv[1:])
    except BenchmarkError as error:
        sys.exit(f"error: {error}")
