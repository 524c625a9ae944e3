"""Whether what a scope names exists: methods, datasets, splits, metrics, simulators, rules and files."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from svae.contracts.pathways import read_pathways
from svae.datasets.gene_lists import read_gene_lists
from svae.datasets.guides import read_guide_table
from svae.datasets.sources import Source, read_sources
from svae.errors import BenchmarkError, unknown
from svae.evaluation.metrics import METRICS
from svae.evaluation.selection import HINDSIGHT, RULES
from svae.models import FAMILY
from svae.simulation import SIMULATORS, build_simulator, parameters
from svae.workflow.paths import check_paths
from svae.workflow.scope import Scope
from svae.workflow.sections import RealDataset, SimulatedDataset, VariedDataset
from svae.workflow.vary import LATENTS_FITTED


def check_names(scope: Scope, root: str | Path, where: str = "config") -> None:
    """Raise a :class:`BenchmarkError` for the first name in `scope` that does not exist, or is not used.

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
    check_paths(scope, where)
    _check_pathways(scope, where)
    for name, entry in scope.datasets.items():
        if isinstance(entry, VariedDataset):
            _check_varied(name, entry, scope, f"{where}: datasets: {entry.baseline}: vary: {entry.axis}")
            continue
        place = f"{where}: datasets: {name}"
        _among("split", entry.splits or [], scope.splits, f"{place}: splits")
        _among("method", entry.methods or [], scope.methods, f"{place}: methods")
        if isinstance(entry, SimulatedDataset):
            _check_simulated(entry, place)
        else:
            _check_real(entry, repository, place)
    _check_use(scope, where)
    _check_selection(scope, where)


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
    def sources(self) -> dict[str, Source]:
        """Studies that can be downloaded: rows of the table of studies, by name."""
        return read_sources(Path(self.root, "config", "datasets.tsv"))


def _check_methods(scope: Scope, repository: Repository, where: str) -> None:
    for method in scope.methods:
        if method not in repository.methods:
            error = unknown("method", method, repository.methods, f"{where}: methods")
            raise BenchmarkError(f"{error}; a method needs a rule file rules/methods/{method}.smk")
    _among("method", [scope.reference], scope.methods, f"{where}: reference")


def _check_pathways(scope: Scope, where: str) -> None:
    for name, plan in scope.splits.items():
        place = f"{where}: splits: {name}"
        if plan.pathways is None:
            continue
        try:
            pathways = read_pathways(plan.pathways)
        except BenchmarkError as error:
            raise BenchmarkError(f"{place}: pathways: {error}") from None
        _among("pathway", [str(plan.held_out)], pathways, f"{place}: held_out")
    for path in scope.values_of("nearest_perturbations", "gene_sets"):
        _check_file(path, read_pathways, f"{where}: methods: nearest_perturbations: gene_sets")


def _check_simulated(entry: SimulatedDataset, where: str) -> None:
    _among("simulator", [entry.simulator], SIMULATORS, f"{where}: simulator")
    _among("parameter", entry.parameters, parameters(entry.simulator), f"{where}: parameters")
    _among("parameter", entry.vary, [*parameters(entry.simulator), LATENTS_FITTED], f"{where}: vary")
    try:
        build_simulator(entry.simulator, **entry.parameters)
    except BenchmarkError as error:
        raise BenchmarkError(f"{where}: parameters: {error}") from None


def _check_varied(name: str, entry: VariedDataset, scope: Scope, where: str) -> None:
    """Refuse a value out of range, and one that the baseline has; the baseline itself is checked before."""
    try:
        varied = build_simulator(entry.simulator, **entry.parameters)
    except BenchmarkError as error:
        raise BenchmarkError(f"{where}: {error}") from None
    baseline = scope.simulated[entry.baseline]
    latents = [scope.latents_fitted(dataset) for dataset in (name, entry.baseline)]
    same_screen = varied == build_simulator(baseline.simulator, **baseline.parameters)
    if same_screen and latents[0] == latents[1]:
        value = entry.n_latent if entry.axis == LATENTS_FITTED else entry.parameters[entry.axis]
        raise BenchmarkError(f"{where}: {value} is what dataset '{entry.baseline}' has anyway; leave it out")


def _check_real(entry: RealDataset, repository: Repository, where: str) -> None:
    if entry.source is not None and entry.path is None:
        _among("source", [entry.source], repository.sources, f"{where}: source")
    _check_file(entry.gene_lists, read_gene_lists, f"{where}: gene_lists")
    _check_file(entry.guide_table, read_guide_table, f"{where}: guide_table")
    _check_file(entry.gene_sets, read_pathways, f"{where}: gene_sets")


def _check_file(path: str | None, read: Callable[[str], object], where: str) -> None:
    """Refuse a file, if one is named, that cannot be read; `where` says by which key it is named."""
    if path is not None:
        try:
            read(path)
        except BenchmarkError as error:
            raise BenchmarkError(f"{where}: {error}") from None


def _check_use(scope: Scope, where: str) -> None:
    """Refuse a split or a method that no dataset uses."""
    used = {name for job in scope.jobs for name in (job.split, job.method)}
    for key, names in (("splits", scope.splits), ("methods", scope.methods)):
        for name in names:
            if name not in used:
                raise BenchmarkError(
                    f"{where}: {key}: no dataset uses '{name}'; name it in one, or leave it out"
                )


def _check_selection(scope: Scope, where: str) -> None:
    selection, place = scope.selection, f"{where}: selection"
    _among("rule", [selection.rule], RULES, f"{place}: rule")
    _among("metric", scope.metrics or [], METRICS, f"{where}: metrics")
    _among("metric", [selection.hindsight_metric], METRICS, f"{place}: hindsight_metric")
    _among("method", selection.fixed, scope.methods, f"{place}: fixed")
    for method, setting in selection.fixed.items():
        settings = [setting.name for setting in scope.settings(method)]
        _among("setting", [setting], settings, f"{place}: fixed: {method}")
    asked = selection.rule == HINDSIGHT or "hindsight_metric" in selection.model_fields_set
    if asked and scope.metrics is not None and selection.hindsight_metric not in scope.metrics:
        raise BenchmarkError(
            f"{place}: hindsight_metric: '{selection.hindsight_metric}' is not among the metrics to compute"
        )


def _among(kind: str, names: Iterable[str], valid: Iterable[str], where: str) -> None:
    for name in names:
        if name not in valid:
            raise unknown(kind, name, valid, where)
