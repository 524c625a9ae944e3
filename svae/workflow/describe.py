"""Tables of what a scope holds: its datasets, their pathways, and the settings of its methods."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.contracts.dataset import LEFT_OUT_COLUMNS, read_left_out, read_without_counts
from svae.contracts.pathways import pathways_of, read_pathways
from svae.contracts.tables import PATHWAYS_COLUMNS
from svae.datasets.preparation import listed
from svae.simulation import parameters
from svae.words import CONTROL
from svae.workflow.scope import Scope
from svae.workflow.sections import RealDataset, VariedDataset
from svae.workflow.vary import LATENTS_FITTED


def describe_settings(scope: Scope) -> pd.DataFrame:
    """Options of every setting of a scope: ``method``, ``setting``, ``parameter``, ``value``."""
    rows = [
        (method, setting.name, parameter, value)
        for method in scope.methods
        for setting in scope.settings(method)
        for parameter, value in {**setting.options, "restart": setting.restart}.items()
    ]
    return pd.DataFrame(rows, columns=["method", "setting", "parameter", "value"])


def describe_datasets(scope: Scope, paths: Iterable[str | Path]) -> pd.DataFrame:
    """Describe the datasets of a scope, each fact of a dataset once.

    Parameters
    ----------
    scope
        The scope.
    paths
        One file per dataset, in the order of the scope.

    Returns
    -------
    ``dataset``, ``parameter``, ``value``: kind (``simulated`` or ``real``), citation, size (cells, genes,
    perturbations without the control) and, of a simulated dataset, its simulator and all of its parameters,
    those at their defaults included, ``n_latent``, the number of latents that methods fit, and the seeds of
    its draws where the scope names them; of a real one, its control, the sizes of its perturbations, its
    batches, how its genes were chosen, and how many cells, genes and perturbations were left out. A dataset
    that the key `vary` of another one asks for has two facts more: ``baseline``, the name of the other one,
    and ``axis``, what differs.

    Raises
    ------
    BenchmarkError
        If a file cannot be read.
    """
    rows = [
        (name, parameter, value)
        for name, path in zip(scope.datasets, paths, strict=True)
        for parameter, value in _facts(scope, name, path).items()
    ]
    return pd.DataFrame(rows, columns=["dataset", "parameter", "value"])


def describe_left_out(scope: Scope, paths: Iterable[str | Path]) -> pd.DataFrame:
    """Say what the preparation of each real dataset left out of its file.

    Parameters
    ----------
    scope
        The scope.
    paths
        One file per dataset, in the order of the scope.

    Returns
    -------
    ``dataset``, then :data:`svae.contracts.dataset.LEFT_OUT_COLUMNS`, in the order of the preparation. The
    numbers of cells, and those of genes, are of different ones: what is kept and they add up to the file.
    """
    tables = [pd.DataFrame(columns=["dataset", *LEFT_OUT_COLUMNS])]
    for name, path in zip(scope.datasets, paths, strict=True):
        if name in scope.real:
            tables.append(read_left_out(path).assign(dataset=name))
    return pd.concat(tables, ignore_index=True)


def describe_pathways(scope: Scope, paths: Iterable[str | Path]) -> pd.DataFrame:
    """Say which gene sets hold the gene that each perturbation of a real dataset is called after, or aims at.

    Parameters
    ----------
    scope
        The scope, whose datasets name files of gene sets.
    paths
        One file per dataset, in the order of the scope.

    Returns
    -------
    :data:`svae.contracts.tables.PATHWAYS_COLUMNS`; large sets are passed over
    (:func:`svae.contracts.pathways.pathways_of`).
    """
    tables = [pd.DataFrame(columns=list(PATHWAYS_COLUMNS))]
    for name, path in zip(scope.datasets, paths, strict=True):
        gene_sets = scope.real[name].gene_sets if name in scope.real else None
        if gene_sets:
            cells = read_without_counts(path).obs
            genes = cells["target"] if "target" in cells else cells["perturbation"]
            named = pd.DataFrame({"perturbation": cells["perturbation"], "gene": genes}).astype(str)
            members = pathways_of(genes.astype(str), read_pathways(gene_sets))
            of_genes = members.rename(columns={"perturbation": "gene"})
            tables.append(named.drop_duplicates().merge(of_genes, on="gene").assign(dataset=name))
    return pd.concat(tables, ignore_index=True)[list(PATHWAYS_COLUMNS)]


def _facts(scope: Scope, name: str, path: str | Path) -> dict[str, object]:
    """What there is to say of one dataset, by name."""
    entry, dataset = scope.datasets[name], read_without_counts(path)
    facts: dict[str, object] = {
        "kind": "real" if isinstance(entry, RealDataset) else "simulated",
        "cells": dataset.n_obs,
        "genes": dataset.n_vars,
        "perturbations": len(set(dataset.obs["perturbation"]) - {CONTROL}),
        "citation": dataset.uns.get("dataset", {}).get("citation", ""),
    }
    if isinstance(entry, RealDataset):
        facts |= _facts_of_cells(entry, dataset.obs)
        facts["gene_choice"] = dataset.uns.get("dataset", {}).get("genes", "")
        numbers = read_left_out(path).groupby("what", sort=False)["number"].sum()
        facts["left_out"] = ", ".join(f"{number:,} {what}" for what, number in numbers.items()) or "nothing"
    else:
        # The sizes of a dataset are parameters of most simulators, too: the file has the last word.
        settings = parameters(entry.simulator) | entry.parameters
        latents_fitted = scope.latents_fitted(name)
        facts = {"simulator": entry.simulator} | settings | {LATENTS_FITTED: latents_fitted} | facts
        if entry.seeds:
            facts["seeds"] = ", ".join(str(seed) for seed in entry.seeds[: scope.replicates])
    if isinstance(entry, VariedDataset):
        facts |= {"baseline": entry.baseline, "axis": entry.axis}
    return facts


def _facts_of_cells(entry: RealDataset, cells: pd.DataFrame) -> dict[str, str]:
    """What there is to say of the control, the perturbations and the batches of a real dataset."""
    sizes = cells["perturbation"].astype(str).value_counts()
    labels = [*listed(entry.control), *listed(entry.control_pattern)]
    others = sizes.drop(CONTROL, errors="ignore")
    least, median, most = f"{others.min():,}", f"{others.median():,.0f}", f"{others.max():,}"
    control = f"{sizes[CONTROL]:,} cells" if CONTROL in sizes else "none"
    facts = {
        "control": f"{control} ({', '.join(labels)})" if labels else control,
        "perturbation_sizes": least if least == most else f"{least} to {most}, median {median}",
    }
    if "batch" in cells:
        facts["batches"] = f"{cells['batch'].nunique()} ({', '.join(listed(entry.batch))})"
    return facts
