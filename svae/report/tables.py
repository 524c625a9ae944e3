"""The tables of a run, from which every figure and page of the report is made."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from svae.contracts.tables import (
    EMBEDDING_COLUMNS,
    ENRICHMENT_COLUMNS,
    HELD_OUT_COLUMNS,
    HISTORY_COLUMNS,
    LATENT_GENES_COLUMNS,
    LEADERBOARD_COLUMNS,
    METRICS_COLUMNS,
    PATHWAYS_COLUMNS,
    PERTURBATIONS_COLUMNS,
    PREDICTIVE_COLUMNS,
    SELECTED_COLUMNS,
    SETTINGS_COLUMNS,
    STATUS_COLUMNS,
    TARGETS_COLUMNS,
    WARNINGS_COLUMNS,
    read_status,
    read_tidy,
)
from svae.evaluation.metrics import metrics_table
from svae.report.methods_table import read_methods

COLUMNS = {
    "metrics": METRICS_COLUMNS,
    "held_out": HELD_OUT_COLUMNS,
    "selected": SELECTED_COLUMNS,
    "status": STATUS_COLUMNS,
    "leaderboard": LEADERBOARD_COLUMNS,
    "settings": SETTINGS_COLUMNS,
    "datasets": ("dataset", "parameter", "value"),
    "pathways": PATHWAYS_COLUMNS,
    "history": HISTORY_COLUMNS,
    "targets": TARGETS_COLUMNS,
    "perturbations": PERTURBATIONS_COLUMNS,
    "latent_genes": LATENT_GENES_COLUMNS,
    "enrichment": ENRICHMENT_COLUMNS,
    "predictive": PREDICTIVE_COLUMNS,
    "embedding": EMBEDDING_COLUMNS,
    "warnings": WARNINGS_COLUMNS,
}
"""The tables that a run writes, and their columns."""


@dataclass(frozen=True)
class Tables:
    """The tables of a run, and what is needed to show them.

    Attributes
    ----------
    metrics, held_out, selected, status, leaderboard, settings, datasets, pathways, history, targets,
    perturbations, latent_genes, enrichment, predictive, embedding, warnings
        The tables that the run wrote, with the columns of :data:`COLUMNS`.
    methods
        Label, colour and kind of each method (:func:`svae.report.methods_table.read_methods`).
    registry
        Label, direction, range and decimals of each metric (:func:`svae.evaluation.metrics.metrics_table`).
    rule
        The main selection rule of the scope. Figures show the settings that it chose.
    reference
        The method that the others are tested against.
    """

    metrics: pd.DataFrame
    held_out: pd.DataFrame
    selected: pd.DataFrame
    status: pd.DataFrame
    leaderboard: pd.DataFrame
    settings: pd.DataFrame
    datasets: pd.DataFrame
    pathways: pd.DataFrame
    history: pd.DataFrame
    targets: pd.DataFrame
    perturbations: pd.DataFrame
    latent_genes: pd.DataFrame
    enrichment: pd.DataFrame
    predictive: pd.DataFrame
    embedding: pd.DataFrame
    warnings: pd.DataFrame
    methods: pd.DataFrame
    registry: pd.DataFrame
    rule: str
    reference: str

    @classmethod
    def read(cls, paths: Mapping[str, str | Path], rule: str, reference: str) -> "Tables":
        """Read the tables of a run.

        Parameters
        ----------
        paths
            One path for each name in :data:`COLUMNS`, and ``methods``, the table of methods.
        rule, reference
            See the attributes of the class.

        Raises
        ------
        BenchmarkError
            Naming the file and the column that it lacks.
        """
        tables = {name: read_tidy(paths[name], columns) for name, columns in COLUMNS.items()}
        tables["status"] = read_status(paths["status"])  # with the label-free scores
        methods = read_methods(paths["methods"], tables["selected"]["method"].unique())
        return cls(**tables, methods=methods, registry=metrics_table(), rule=rule, reference=reference)

    @property
    def order(self) -> list[str]:
        """The methods of the run without the anchors, in the order of the table of methods."""
        return [method for method in self._run if not self.methods.loc[method, "anchor"]]

    @property
    def anchors(self) -> list[str]:
        """The anchors of the run."""
        return [method for method in self._run if self.methods.loc[method, "anchor"]]

    @property
    def _run(self) -> list[str]:
        run = set(self.selected["method"])
        return [method for method in self.methods.index if method in run]

    def without_varied(self) -> "Tables":
        """Return the tables without the datasets that the key `vary` of other datasets asks for."""
        datasets = self.datasets
        varied = set(datasets.loc[datasets["parameter"] == "baseline", "dataset"])
        if not varied:
            return self
        tables = {name: getattr(self, name) for name in COLUMNS if "dataset" in COLUMNS[name]}
        return replace(
            self, **{name: table[~table["dataset"].isin(varied)] for name, table in tables.items()}
        )

    def pathway_of(self, dataset: str) -> "pd.Series[str]":
        """Pathway of each perturbation of a dataset that shares one with another perturbation.

        Of several, it is the one that holds most perturbations, and of these the first by name.
        """
        members = self.pathways[self.pathways["dataset"] == dataset].sort_values("gene_set")
        size = members.groupby("gene_set")["perturbation"].transform("nunique")
        shared = members.assign(size=size)[size > 1].sort_values("size", ascending=False, kind="stable")
        return shared.drop_duplicates("perturbation").set_index("perturbation")["gene_set"]

    def label(self, method: str) -> str:
        """Name of a method as it is shown."""
        return self.methods.loc[method, "label"]

    def labels(self, methods: list[str]) -> str:
        """Names of several methods as they are shown, between commas."""
        return ", ".join(self.label(method) for method in methods)

    def colour(self, method: str) -> str:
        """Colour of a method, the same in every figure."""
        return self.methods.loc[method, "colour"]

    def title(self, dataset: str, split: str) -> str:
        """Name of a dataset and split. The split is named only where the dataset has several."""
        splits = self.selected.loc[self.selected["dataset"] == dataset, "split"].nunique()
        return dataset if splits < 2 else f"{dataset}, {split}"
