"""Tables of what a scope holds: its datasets, and the settings of its methods."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from svae.contracts.dataset import read_dataset
from svae.words import CONTROL
from svae.workflow.scope import Scope
from svae.workflow.sections import SimulatedDataset


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
    """Size and parameters of the datasets of a scope: ``dataset``, ``parameter``, ``value``.

    Parameters
    ----------
    paths
        One file per dataset, in the order of the scope.
    """
    rows: list[tuple[str, str, object]] = []
    for (name, entry), path in zip(scope.datasets.items(), paths, strict=True):
        dataset = read_dataset(path)
        perturbations = set(dataset.obs["perturbation"]) - {CONTROL}
        facts: dict[str, object] = {
            "kind": "simulated" if name in scope.simulated else "real",
            "cells": dataset.n_obs,
            "genes": dataset.n_vars,
            "perturbations": len(perturbations),
            "citation": dataset.uns.get("dataset", {}).get("citation", ""),
        }
        if isinstance(entry, SimulatedDataset):
            facts |= {"simulator": entry.simulator, **entry.parameters}
        rows += [(name, parameter, value) for parameter, value in facts.items()]
    return pd.DataFrame(rows, columns=["dataset", "parameter", "value"])
