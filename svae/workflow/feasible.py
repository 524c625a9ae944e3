"""Whether what a scope asks for can be done, as far as simulators, lists of genes and numbers tell."""

import pandas as pd

from svae.datasets.gene_lists import read_gene_lists
from svae.datasets.held_out import FEWEST_HELD_OUT, choose_held_out, choose_unused, refuse_few_cells
from svae.datasets.split_plan import Fold
from svae.errors import BenchmarkError
from svae.evaluation.metrics import METRICS
from svae.evaluation.selection import HINDSIGHT, RULES
from svae.methods.options import COMPONENTS, OPTIONS, most_components
from svae.models import FAMILY
from svae.models.arguments import OF_MASKS, has_masks
from svae.simulation import build_simulator
from svae.training.plan import OF_MUON, OF_VALIDATION
from svae.training.presets import DEFAULT_PRESET, named_preset
from svae.workflow.scope import Scope
from svae.workflow.sections import RealDataset, SimulatedDataset


def check_feasible(scope: Scope, where: str = "config") -> None:
    """Raise a :class:`BenchmarkError` for the first thing in `scope` that cannot be done, or does nothing.

    Parameters
    ----------
    scope
        The scope to check; all names in it exist.
    where
        Name of the config file, for the error message.
    """
    _check_replicates(scope, where)
    for name, entry in scope.simulated.items():
        _check_seeds(entry, scope.replicates, f"{where}: datasets: {name}")
        _check_splits(scope, name, entry, where)
    for name, screen in scope.real.items():
        _check_cells(screen, f"{where}: datasets: {name}")
    for name, dataset in scope.datasets.items():
        _check_components(scope, name, dataset, where)
    _check_training(scope, where)
    _check_muon(scope, where)
    _check_validation(scope, where)
    _check_rule(scope, where)
    _check_truth(scope, where)


def _check_replicates(scope: Scope, where: str) -> None:
    for name, method in scope.methods.items():
        if method.replicates is not None and method.replicates > scope.replicates:
            raise BenchmarkError(
                f"{where}: methods: {name}: replicates is {method.replicates}, but the scope has only "
                f"{scope.replicates}"
            )


def _check_seeds(entry: SimulatedDataset, replicates: int, where: str) -> None:
    if entry.seeds is not None and len(entry.seeds) != replicates:
        raise BenchmarkError(
            f"{where}: seeds has {len(entry.seeds)} entries, but there are {replicates} replicates; "
            "give one seed for each"
        )


def _check_splits(scope: Scope, name: str, entry: SimulatedDataset, where: str) -> None:
    """Hold out what the splits say of the perturbations that the simulator is going to draw."""
    sizes = build_simulator(entry.simulator, **entry.parameters).sizes()
    for split in entry.splits or scope.splits:
        plan = scope.splits[split]
        if isinstance(plan, Fold):
            raise BenchmarkError(
                f"{where}: splits: {plan.of}: dataset '{name}' is simulated, and its draws are its "
                "replicates; the kind 'each' is for real data, so name another split for it"
            )
        place = f"{where}: splits: {split}: dataset '{name}'"
        if sizes is None:
            continue
        any_effects = pd.Series(0.0, index=list(sizes))
        held_out = choose_held_out(sizes, plan, seed=0, effects=any_effects, where=place)
        unused = choose_unused(sizes, plan, held_out, seed=0, where=place)
        refuse_few_cells(sizes, held_out, unused, where=place)


def _check_cells(entry: RealDataset, where: str) -> None:
    if entry.max_cells is not None and entry.max_cells < FEWEST_HELD_OUT:
        raise BenchmarkError(
            f"{where}: max_cells is {entry.max_cells}, but a perturbation that is held out needs "
            f"{FEWEST_HELD_OUT} cells"
        )


def _check_components(scope: Scope, name: str, entry: SimulatedDataset | RealDataset, where: str) -> None:
    """Refuse more components than a dataset can have."""
    n_genes = _most_genes(entry)
    if n_genes is None:
        return
    for method in entry.methods or scope.methods:
        if method not in COMPONENTS:
            continue
        for setting in scope.settings(method):
            most = most_components(setting.options, float("inf"), n_genes)
            n_latent = setting.options.get("n_latent", scope.latents_fitted(name))
            if n_latent > most:
                of_scope = "n_latent" not in setting.options and n_latent == scope.latents
                key = "latents" if of_scope else "n_latent"
                raise BenchmarkError(
                    f"{where}: methods: {method}: setting '{setting.name}': {key} is {n_latent}, but dataset "
                    f"'{name}' has at most {n_genes} genes, and so at most {most} components"
                )


def _most_genes(entry: SimulatedDataset | RealDataset) -> int | None:
    """Return how many genes a dataset can have; None if only its file can tell."""
    if isinstance(entry, SimulatedDataset):
        return getattr(build_simulator(entry.simulator, **entry.parameters), "genes", None)
    listed = entry.genes
    if entry.gene_lists is not None:
        listed = read_gene_lists(entry.gene_lists).get("genes")
    top_genes = None if entry.keep_perturbed else entry.top_genes
    limits = [limit for limit in (top_genes, listed and len(listed)) if limit]
    return min(limits, default=None)


def _check_training(scope: Scope, where: str) -> None:
    """Refuse a section, and options in it or of methods, that do nothing in any training of the scope."""
    trained = [method for method in scope.methods if method not in OPTIONS]
    if scope.training and not trained:
        raise BenchmarkError(f"{where}: training: no method of the scope is trained; leave the section out")
    if not any(method not in FAMILY or has_masks(method) for method in trained):
        for option in OF_MASKS:
            if option in scope.training:
                raise BenchmarkError(
                    f"{where}: training: '{option}' does nothing: none of the methods has masks"
                )


def _check_muon(scope: Scope, where: str) -> None:
    """Refuse options of the optimiser of weight matrices, where Adam moves these like all else."""
    for method in [method for method in scope.methods if method in FAMILY]:
        for setting in scope.settings(method):
            options = {**scope.training, **setting.options}
            preset = named_preset(options.get("preset", DEFAULT_PRESET))
            if options.get("matrix_learning_rate", preset.plan.matrix_learning_rate) is not None:
                continue
            for name in OF_MUON:
                if name in options:
                    place = f"methods: {method}" if name in setting.options else "training"
                    raise BenchmarkError(
                        f"{where}: {place}: '{name}' does nothing without matrix_learning_rate"
                    )


def _check_validation(scope: Scope, where: str) -> None:
    """Refuse options of trainings that look at validation cells, where no split sets any aside."""
    if _has_validation_cells(scope):
        return
    for method in [method for method in scope.methods if method in FAMILY]:
        for setting in scope.settings(method):
            options = {**scope.training, **setting.options}
            for name, idle in OF_VALIDATION.items():
                if options.get(name, idle) != idle:
                    place = f"methods: {method}" if name in setting.options else "training"
                    problem = f"'{name}' looks at validation cells, but none of the splits has any"
                    raise BenchmarkError(f"{where}: {place}: {problem}")


def _has_validation_cells(scope: Scope) -> bool:
    return any(scope.splits[job.split].validation > 0 for job in scope.jobs)


def _check_rule(scope: Scope, where: str) -> None:
    """Refuse a selection rule that has nothing to choose by, where it was asked for and there is a choice."""
    name = scope.selection.rule
    if "rule" not in scope.selection.model_fields_set:
        return
    if all(len(scope.settings(method)) == 1 for method in scope.methods):
        return
    lacking = {
        "validation cells": None if _has_validation_cells(scope) else "splits",
        "restarts": None if any(method.restarts > 1 for method in scope.methods.values()) else "methods",
    }
    for need in RULES[name].needs:
        section = lacking[need]
        if section is not None:
            raise BenchmarkError(
                f"{where}: selection: rule: '{name}' chooses by {need}, but none of the {section} has any"
            )


def _check_truth(scope: Scope, where: str) -> None:
    """Refuse a metric or a rule that looks at the truth, where no dataset has one."""
    if scope.simulated:
        return
    unknown = "the truth, but none of the datasets is simulated"
    for name in scope.metrics or []:
        if "truth" in METRICS[name].needs:
            raise BenchmarkError(f"{where}: metrics: '{name}' needs {unknown}")
    selection = scope.selection
    if selection.rule == HINDSIGHT and "truth" in METRICS[selection.hindsight_metric].needs:
        raise BenchmarkError(f"{where}: selection: rule: '{HINDSIGHT}' looks at {unknown}")
