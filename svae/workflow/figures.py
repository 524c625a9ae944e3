"""Which figures of the report are about datasets that a scope has."""

import re
from pathlib import Path

from svae.errors import unknown
from svae.workflow.scope import Scope
from svae.workflow.sections import VariedDataset

OF_TABLES = ("completeness", "leaderboard", "left_out", "manifest", "perturbations", "status", "warnings")
"""Captions of tables and pages."""


def figures_of(scope: Scope, captions: str | Path) -> list[str]:
    """Return the figures that can apply to a scope, sorted; a figure that cannot is left out of its report.

    Parameters
    ----------
    scope
        The scope.
    captions
        Folder of the captions, one file per figure. If its first line is the comment ``.. of simulated
        datasets``, the figure needs such a dataset; so do ``real``, ``varied`` (`vary`), ``swept`` (several
        simulated ones, or settings that differ in `n_latent`), ``guided`` (`each_guide`), ``annotated``
        (`gene_sets`) and ``controlled`` (real, with a control). A caption without such a line is of any
        dataset.

    Raises
    ------
    BenchmarkError
        If there is no such kind of datasets.
    """
    there = {
        "simulated": bool(scope.simulated),
        "real": bool(scope.real),
        "varied": any(isinstance(entry, VariedDataset) for entry in scope.datasets.values()),
        "swept": len(scope.simulated) > 1
        or any(len(scope.values_of(method, "n_latent")) > 1 for method in scope.methods),
        "controlled": any(entry.control or entry.control_pattern for entry in scope.real.values()),
        "guided": any(entry.each_guide for entry in scope.real.values()),
        "annotated": any(entry.gene_sets for entry in scope.real.values()),
    }
    found = []
    for path in sorted(Path(captions).glob("*.rst")):
        kind = kind_of_datasets(path)
        if kind is not None and kind not in there:
            raise unknown("kind of datasets", kind, there, str(path))
        if path.stem not in OF_TABLES and (kind is None or there[kind]):
            found.append(path.stem)
    return found


def question_of(caption: str | Path) -> str:
    """Return the first sentence of a caption: what its figure is about."""
    lines = Path(caption).read_text(encoding="utf-8").splitlines()
    text = " ".join(line for line in lines if line and not line.startswith(".. "))
    return re.split(r"(?<=[.?!]) ", text, maxsplit=1)[0]


def kind_of_datasets(caption: str | Path) -> str | None:
    """Return the kind of datasets that a figure is about, as its caption says; None if of any."""
    first = Path(caption).read_text(encoding="utf-8").partition("\n")[0]
    match = re.fullmatch(r"\.\. of (\w+) datasets", first)
    return match and match[1]
