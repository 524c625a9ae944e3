"""What metrics are computed from: a fit, its split and the truth, cut to what is compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd

from svae.contracts.cells import locate_cells
from svae.contracts.split import (
    cells_of,
    combinations_of_trained,
    held_out_cells,
    seen_cells,
    trained_perturbations,
)
from svae.errors import BenchmarkError, unknown
from svae.evaluation.identifiability import identifiable
from svae.targets import targets_from_shifts
from svae.words import CONTROL, Basis

if TYPE_CHECKING:
    import anndata as ad

    from svae.contracts.fit import Fit
    from svae.evaluation.response import Response

Result = TypeVar("Result")


@dataclass(frozen=True, eq=False)
class Comparison:
    """A fit, the split it was trained on, and the truth where there is one.

    Latents are compared on the cells of the trained perturbations (parts train and validation), as in
    Lopez et al. (2023). Cells and perturbations are found by their names.

    Attributes
    ----------
    fit
        As read by :func:`svae.contracts.fit.read`.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    truth
        What only a simulator knows: ``obs_names`` = cells, ``obsm["latents"]`` (cells × p),
        ``uns["targets"]`` (perturbation × p). None for real data.
    seed
        Of whatever a metric draws.
    response
        What the cells of held-out perturbations really do; None where nobody summarised it.
    """

    fit: Fit
    split: pd.DataFrame
    truth: ad.AnnData | None
    seed: int
    response: Response | None = None
    _results: dict[Callable, Any] = field(default_factory=dict, init=False, repr=False)

    def shared(self, function: Callable[[Comparison], Result]) -> Result:
        """Return ``function(self)``, computed once: several metrics read one result."""
        if function not in self._results:
            self._results[function] = function(self)
        return self._results[function]

    def of_held_out(self, perturbation: str) -> Comparison:
        """The same comparison, as if this perturbation were the only one; it has to be held out."""
        return replace(self, split=self.split[self.split["perturbation"] == perturbation])

    @cached_property
    def available(self) -> set[str]:
        """The needs that this fit, truth and response can meet; a failed fit meets none."""
        if self.fit.run.status != "ok":
            return set()
        tables = {"truth": self.truth, "latents": self.fit.latents, "latent_modes": self.fit.latent_modes}
        tables |= {name: getattr(self.fit, name) for name in ("targets", "shifts", "differential")}
        scores = pd.DataFrame() if self.fit.scores is None else self.fit.scores.dropna(axis=1, how="all")
        found = {name for name, table in tables.items() if table is not None} | set(scores.columns)
        found |= {f"prediction_{basis}" for basis in self.fit.predictions or ()}
        found |= {f"generated_{basis}" for basis in self.fit.generated or ()}
        if self.response is not None and len(self.response.test):
            found |= {"response", "control"} if self.response.has_control else {"response"}
        of_names = {"guides": self.guides, "pathways": self.pathways}
        return found | {name for name, table in of_names.items() if len(table)}

    @cached_property
    def trained_cells(self) -> pd.Series:
        """Perturbation of each cell of the trained perturbations, indexed by cell."""
        return seen_cells(self.split)

    @cached_property
    def trained(self) -> pd.Index:
        """The trained perturbations, without control."""
        return trained_perturbations(self.split)

    @cached_property
    def guides(self) -> pd.Series:
        """What each trained guide aims at, the control's label if at nothing; empty if they are no guides."""
        aims = pd.Series(dtype=object) if self.response is None else self.response.aims
        return aims[aims.index.isin(self.trained)]

    @cached_property
    def pathways(self) -> pd.DataFrame:
        """Which gene sets hold each trained perturbation: ``perturbation``, ``gene_set``; may be empty."""
        if self.response is None:
            return pd.DataFrame(columns=["perturbation", "gene_set"])
        table = self.response.pathways
        return table[table["perturbation"].isin(self.trained)]

    @cached_property
    def latents(self) -> np.ndarray:
        """Estimated latents of the trained cells, cells × q."""
        assert self.fit.latents is not None  # promised by the metric's needs, as is the truth below
        return self.fit.latents[locate_cells(self.trained_cells.index, self.fit.cells, "the fit")]

    @cached_property
    def latent_modes(self) -> np.ndarray:
        """Modes of the posterior of the latents of the trained cells, cells × q."""
        assert self.fit.latent_modes is not None
        return self.fit.latent_modes[locate_cells(self.trained_cells.index, self.fit.cells, "the fit")]

    @cached_property
    def true_latents(self) -> np.ndarray:
        """True latents of the trained cells, cells × p."""
        assert self.truth is not None
        rows = locate_cells(self.trained_cells.index, self.truth.obs_names, "the truth")
        return np.asarray(self.truth.obsm["latents"])[rows]

    @cached_property
    def true_targets(self) -> pd.DataFrame:
        """True targets of all perturbations, without control, perturbation × p."""
        assert self.truth is not None
        true = self.truth.uns["targets"].drop(index=CONTROL, errors="ignore")
        _check_rows(true, self.trained, 'the truth, uns["targets"]')
        return true

    @cached_property
    def identifiable(self) -> np.ndarray:
        """Whether the trained perturbations tell a true latent from all others, p booleans.

        They do by the criterion of :func:`svae.evaluation.identifiability.identifiable`.
        """
        return identifiable(self.true_targets.loc[self.trained].to_numpy())

    @cached_property
    def targets(self) -> pd.DataFrame:
        """Estimated probability that a trained perturbation shifts a latent, perturbation × q.

        Without masks, the targets are read off the shifts by :func:`svae.targets.targets_from_shifts`.
        """
        if self.fit.targets is not None:
            return self.of_trained("targets")
        return targets_from_shifts(self.of_trained("shifts"), self.latents, self.trained_cells)

    @cached_property
    def moved(self) -> pd.DataFrame:
        """Probability that a trained perturbation moves a gene, perturbation × gene."""
        assert self.fit.differential is not None
        table = self.fit.differential["probability"]
        _check_rows(table, self.trained, 'the fit, uns["differential"]')
        return table.loc[self.trained]

    def prediction(self, basis: Basis) -> pd.DataFrame:
        """Predicted profiles of the held-out perturbations, or on basis of parts the combinations among them.

        Perturbation × gene. Each of these perturbations needs a row: a method cannot choose what it is scored
        on.
        """
        assert self.fit.predictions is not None  # promised by the metric's needs, as is the response
        assert self.response is not None
        place = f'the fit, uns["predictions"]["{basis}"]'
        table = self.fit.predictions[basis]
        wanted = self.response.test.index
        if basis == "combination":
            wanted = wanted.intersection(combinations_of_trained(self.split), sort=False)
        _check_rows(table, wanted, place)
        for perturbation in table.index:
            if perturbation not in self.response.test.index:
                raise unknown("held-out perturbation", perturbation, self.response.test.index, place)
        if not table.columns.equals(self.response.genes):
            raise BenchmarkError(f"{place}: the genes are not those of the dataset, in its order")
        return table.loc[wanted]

    def generated_cells(self, basis: Basis) -> pd.DataFrame | None:
        """Generated cells in the space of the response, cell × component, indexed by perturbation.

        None if the fit has none on this basis. The contract of the fit sees to it that each predicted
        perturbation has some.
        """
        assert self.response is not None
        cells = (self.fit.generated or {}).get(basis)
        return None if cells is None else self.response.space.place(cells)

    def check_rows(self) -> None:
        """Raise if what the fit says of perturbations lacks a trained one, or names one that there is not."""
        moved = (self.fit.differential or {}).get("probability")
        tables = {"targets": self.fit.targets, "shifts": self.fit.shifts, "differential": moved}
        for name, table in tables.items():
            if table is not None:
                place = f'the fit, uns["{name}"]'
                _check_rows(table, self.trained, place)
                perturbations = {*self.split["perturbation"], CONTROL}
                for perturbation in table.index:
                    if perturbation not in perturbations:
                        raise unknown("perturbation", perturbation, perturbations, place)

    def of_trained(self, table: Literal["targets", "shifts"]) -> pd.DataFrame:
        """Rows of the fit's targets or shifts that are those of trained perturbations."""
        rows = getattr(self.fit, table)
        _check_rows(rows, self.trained, f'the fit, uns["{table}"]')
        return rows.loc[self.trained]

    def scored(self, column: str) -> tuple[pd.Series, pd.Series]:
        """Score and perturbation of each held-out cell, indexed by cell.

        After the clean protocol only the test half counts: the other half set the shifts. All of these cells
        need a score: a method cannot choose the cells that it is scored on.
        """
        clean = column.endswith("_clean")
        labels = cells_of(self.split, "test") if clean else held_out_cells(self.split)
        assert self.fit.scores is not None
        rows = locate_cells(labels.index, self.fit.cells, "the fit")
        scores = pd.Series(self.fit.scores[column].to_numpy()[rows], index=labels.index)
        missing = scores.index[scores.isna()]
        if len(missing):
            raise BenchmarkError(
                f"the fit, obs[\"{column}\"]: held-out cell '{missing[0]}' has no score "
                f"({len(missing)} of {len(scores)} such cells)"
            )
        return scores, labels


def _check_rows(table: pd.DataFrame, perturbations: pd.Index, owner: str) -> None:
    """Raise if `table` lacks a row for one of the `perturbations`."""
    missing = perturbations.difference(table.index, sort=False)
    if len(missing):
        raise BenchmarkError(f"{owner}: no row for perturbation '{missing[0]}' ({len(missing)} such rows)")
