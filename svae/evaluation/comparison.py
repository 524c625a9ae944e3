"""What the metrics of one fit are computed from, and which computation belongs to which metric."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.fit import CELL_COLUMNS, Fit
from svae.errors import BenchmarkError
from svae.evaluation.metrics import latents, likelihood, targets
from svae.targets import targets_from_shifts, within_spread
from svae.words import CONTROL

NEEDS = ("truth", "latents", "targets", "shifts", *CELL_COLUMNS)
"""What a metric can need: the truth, or a part of a fit."""


@dataclass(frozen=True)
class Comparison:
    """A fit, the split it was trained on, the truth where there is one; slices of them are cut once.

    Latents are compared on the cells of the trained perturbations (parts train and validation), as in
    Lopez et al. (2023).
    """

    fit: Fit
    split: pd.DataFrame
    truth: ad.AnnData | None
    seed: int

    @cached_property
    def available(self) -> set[str]:
        """The needs that this fit and truth can meet; a failed fit meets none."""
        if self.fit.run.status != "ok":
            return set()
        tables = {"truth": self.truth, "latents": self.fit.latents}
        tables |= {"targets": self.fit.targets, "shifts": self.fit.shifts}
        scores = pd.DataFrame() if self.fit.scores is None else self.fit.scores.dropna(axis=1, how="all")
        return {name for name, table in tables.items() if table is not None} | set(scores.columns)

    @cached_property
    def trained_cells(self) -> pd.Series:
        """Perturbation of each cell of the trained perturbations, indexed by cell."""
        return self._labels("train", "validation")

    @cached_property
    def trained(self) -> pd.Index:
        """The trained perturbations, without control."""
        return pd.Index(self.trained_cells.astype(str).unique()).drop(CONTROL, errors="ignore")

    @cached_property
    def latents(self) -> np.ndarray:
        """Estimated latents of the trained cells."""
        assert self.fit.latents is not None  # promised by the metric's needs, as is the truth below
        return self.fit.latents[_locate(self.fit.cells, self.trained_cells.index, "the fit")]

    @cached_property
    def true_latents(self) -> np.ndarray:
        """True latents of the trained cells."""
        assert self.truth is not None
        rows = _locate(self.truth.obs_names, self.trained_cells.index, "the truth")
        return np.asarray(self.truth.obsm["latents"])[rows]

    @cached_property
    def true_targets(self) -> pd.DataFrame:
        """True targets of all perturbations, without control."""
        assert self.truth is not None
        return self.truth.uns["targets"].drop(index=CONTROL, errors="ignore")

    @cached_property
    def dci(self) -> dict[str, float]:
        """See :func:`svae.evaluation.metrics.latents.dci`."""
        return latents.dci(self.true_latents, self.latents, self.seed)

    @cached_property
    def targets(self) -> dict[str, float]:
        """Target scores of the trained perturbations, latents matched on |correlation|.

        Without masks, the targets come from :func:`svae.targets.targets_from_shifts`.
        """
        if self.fit.targets is not None:
            estimated = _rows(self.fit.targets, self.trained, 'the fit, uns["targets"]')
        else:
            shifts = _rows(self.fit.shifts, self.trained, 'the fit, uns["shifts"]')
            spread = within_spread(self.latents, self.trained_cells)
            estimated = targets_from_shifts(shifts, spread)
        true = _rows(self.true_targets, self.trained, 'the truth, uns["targets"]')
        return targets.target_scores(true, estimated, self.true_latents, self.latents)

    @cached_property
    def targets_original(self) -> dict[str, float]:
        """Target scores as the released code of Lopez et al. (2023) has them, quirks included.

        Latents are matched on signed correlation. All perturbations count, the held-out ones in the
        state in which training leaves them, whatever the fit says of them: masks all on, shifts
        still at their random start. Targets of methods without masks are their two largest |shift|.
        Like there, nothing is computed if the number of latents is not the true one.
        """
        if self.latents.shape[1] != self.true_latents.shape[1]:
            return dict.fromkeys(("precision", "recall", "f1"), np.nan)
        held_out = self.true_targets.index.difference(self.trained, sort=False)
        name = "shifts" if self.fit.targets is None else "targets"
        table = getattr(self.fit, name)
        estimated = _rows(table, self.trained, f'the fit, uns["{name}"]')
        if name == "shifts":
            start = np.random.default_rng(self.seed).normal(size=(len(held_out), table.shape[1]))
        else:
            start = np.ones((len(held_out), table.shape[1]))
        estimated = pd.concat([estimated, pd.DataFrame(start, index=held_out, columns=table.columns)])
        if name == "shifts":
            estimated = targets.two_largest(estimated)
        true = _rows(self.true_targets, estimated.index, 'the truth, uns["targets"]')
        return targets.target_scores(true, estimated, self.true_latents, self.latents, signed=True)

    def scored(self, column: str) -> tuple[pd.Series, pd.Series]:
        """Score and perturbation of each held-out cell, indexed by cell.

        After the clean protocol only the test half counts: the other half set the shifts.
        """
        labels = self._labels("test") if column.endswith("_clean") else self._labels("adapt", "test")
        assert self.fit.scores is not None
        rows = _locate(self.fit.cells, labels.index, "the fit")
        return pd.Series(self.fit.scores[column].to_numpy()[rows], index=labels.index), labels

    def _labels(self, *parts: str) -> pd.Series:
        cells = self.split[self.split["part"].isin(parts)]
        return pd.Series(cells["perturbation"].to_numpy(), index=pd.Index(cells["cell"].astype(str)))


def _locate(cells: pd.Index, wanted: pd.Index, owner: str) -> np.ndarray:
    rows = cells.get_indexer(wanted)
    if (rows < 0).any():
        raise BenchmarkError(f"the split: cell '{wanted[rows < 0][0]}' is not a cell of {owner}")
    return rows


def _rows(table: pd.DataFrame, perturbations: pd.Index, owner: str) -> pd.DataFrame:
    missing = perturbations.difference(table.index, sort=False)
    if len(missing):
        raise BenchmarkError(f"{owner}: no row for perturbation '{missing[0]}' ({len(missing)} such rows)")
    return table.loc[perturbations]


def _mcc(comparison: Comparison, method: latents.Correlation) -> float:
    return latents.mcc(comparison.true_latents, comparison.latents, method)


def _r2(comparison: Comparison) -> float:
    return latents.r2(comparison.true_latents, comparison.latents)


def _dci(comparison: Comparison, score: str) -> float:
    return comparison.dci[score]


def _target(comparison: Comparison, score: str) -> float:
    return comparison.targets[score]


def _target_original(comparison: Comparison, score: str) -> float:
    return comparison.targets_original[score]


def _inll(comparison: Comparison, protocol: str) -> float:
    return likelihood.inll(*comparison.scored(f"log_likelihood_{protocol}"))


def _reconstruction(comparison: Comparison) -> float:
    return likelihood.reconstruction(*comparison.scored("reconstruction"))


def _effective_samples(comparison: Comparison) -> float:
    return likelihood.effective_samples(*comparison.scored("effective_samples"))


COMPUTE: dict[str, Callable[[Comparison], float]] = {
    "mcc_pearson": partial(_mcc, method="pearson"),
    "mcc_spearman": partial(_mcc, method="spearman"),
    "r2": _r2,
    "dci_disentanglement": partial(_dci, score="disentanglement"),
    "dci_completeness": partial(_dci, score="completeness"),
    "target_precision": partial(_target, score="precision"),
    "target_recall": partial(_target, score="recall"),
    "target_f1": partial(_target, score="f1"),
    "target_average_precision": partial(_target, score="average_precision"),
    "target_shd": partial(_target, score="shd"),
    "target_precision_original": partial(_target_original, score="precision"),
    "target_recall_original": partial(_target_original, score="recall"),
    "target_f1_original": partial(_target_original, score="f1"),
    "inll_zero_shot": partial(_inll, protocol="zero_shot"),
    "inll_same_cells": partial(_inll, protocol="same_cells"),
    "inll_clean": partial(_inll, protocol="clean"),
    "reconstruction": _reconstruction,
    "effective_samples": _effective_samples,
}
"""How each metric is computed. What it is, and what it needs, stands in config/metrics.tsv."""
