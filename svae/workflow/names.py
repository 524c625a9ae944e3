"""Whether what a scope names exists: methods, datasets, splits, metrics, simulators, rules and files."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from svae.errors import BenchmarkError, unknown
from svae.evaluation.metrics import METRICS
from svae.evaluation.selection import RULES
from svae.models import FAMILY
from svae.simulation import SIMULATORS, build_simulator, parameters
from svae.workflow.paths import check_paths
from svae.workflow.scope import Scope
from svae.workflow.sections import RealDataset, SimulatedDataset


def check_names(scope: Scope, root: str | Path, where: str = "config") -> None:
    """Raise a :class:`BenchmarkError` for the first name in `scope` that does not exist.

    Parameters
    ----------
    scope
        The scope to check.
    root
        Folder of the repository, with `config/` and `rules/`.
    where
        Name of the config file, for the error message.
    """
    repository = Repository(root)
    _check_methods(scope, repository, where)
    for name, entry in scope.datasets.items():
        place = f"{where}: datasets: {name}"
        _among("split", entry.splits or [], scope.splits, place)
        _among("method", entry.methods or [], scope.methods, place)
        if isinstance(entry, SimulatedDataset):
            _check_simulated(entry, scope.replicates, place)
        else:
            _check_real(entry, repository, place)
    _check_selection(scope, where)
    check_paths(scope, where)


@dataclass(frozen=True)
class Repository:
    """What a scope can name that lies beside the package."""

    root: str | Path

    @property
    def methods(self) -> set[str]:
        """Methods that have a rule file, or are model classes, which share one."""
        files = Path(self.root, "rules", "methods").glob("[!_]*.smk")
        return {path.stem for path in files} | set(FAMILY)

    @property
    def sources(self) -> dict[str, dict[str, str]]:
        """Studies that can be downloaded: rows of the table of studies, by name."""
        with open(Path(self.root, "config", "datasets.tsv"), encoding="utf-8", newline="") as table:
            return {row["name"]: row for row in csv.DictReader(table, delimiter="\t")}


def _check_methods(scope: Scope, repository: Repository, where: str) -> None:
    for method in scope.methods:
        if method not in repository.methods:
            error = unknown("method", method, repository.methods, f"{where}: methods")
            raise BenchmarkError(
                f"{error}; a method needs a rule file rules/methods/{method}.smk, "
                f"or a model class in svae/models/family/{method}.py"
            )
    _among("method", [scope.reference], scope.methods, f"{where}: reference")


def _check_simulated(entry: SimulatedDataset, replicates: int, where: str) -> None:
    _among("simulator", [entry.simulator], SIMULATORS, f"{where}: simulator")
    _among("parameter", entry.parameters, parameters(entry.simulator), f"{where}: parameters")
    try:
        build_simulator(entry.simulator, **entry.parameters)
    except BenchmarkError as error:
        raise BenchmarkError(f"{where}: {error}") from None
    if entry.seeds is not None and len(entry.seeds) < replicates:
        raise BenchmarkError(f"{where}: seeds has fewer entries than there are replicates")


def _check_real(entry: RealDataset, repository: Repository, where: str) -> None:
    if entry.source is not None and entry.path is None:
        _among("source", [entry.source], repository.sources, f"{where}: source")


def _check_selection(scope: Scope, where: str) -> None:
    selection = scope.selection
    _among("rule", [selection.rule], RULES, f"{where}: selection: rule")
    _among("method", selection.fixed, scope.methods, f"{where}: selection: fixed")
    _among("metric", scope.metrics or [], METRICS, f"{where}: metrics")
    _among("metric", [selection.hindsight_metric], METRICS, f"{where}: selection: hindsight_metric")


def _among(kind: str, names: Iterable[str], valid: Iterable[str], where: str) -> None:
    for name in names:
        if name not in valid:
            raise unknown(kind, name, valid, where)
