"""What every perturbation of a screen does to its cells, trained or held out, and what a fit says of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.combinations import genes_aimed_at
from svae.contracts.split import HELD_OUT_PARTS, held_out_cells
from svae.contracts.tables import PERTURBATIONS_COLUMNS, RUN_COLUMNS
from svae.differential import FDR, Moments, adjusted, called, welch_p
from svae.evaluation.responding import responding_shares
from svae.expression import profile, pseudobulk
from svae.words import CONTROL

if TYPE_CHECKING:
    from svae.evaluation.comparison import Comparison

SUMMARY = ("cells", "effect", "own_change", "responding")
COLUMNS = PERTURBATIONS_COLUMNS[len(RUN_COLUMNS) + 1 :]
"""Those of a table of one fit."""


@dataclass(frozen=True, eq=False)
class Screen:
    """What each perturbation of a split does, the control and what is not used apart.

    Attributes
    ----------
    summary
        Perturbation × (``cells``, ``effect``, ``own_change``, ``responding``): the number of its cells, its
        effect size (:func:`effect_sizes`), the log2 fold change of the gene that it is called after, or aims
        at, in its cells, and the share of its cells that respond
        (:func:`svae.evaluation.responding.responding_shares`). The change of a combination is the mean of
        those of its genes. NaN without a control, and where the gene is not among those of the dataset.
    differential
        Whether a gene differs from the control in all cells of the perturbation, perturbation × gene: the p
        of a Welch test of log-normalised cells, adjusted within each perturbation (Benjamini & Hochberg
        1995), is below :data:`svae.differential.FDR`. None does without a control.
    """

    summary: pd.DataFrame = field(default_factory=partial(pd.DataFrame, columns=SUMMARY))
    differential: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def of(
        cls,
        dataset: ad.AnnData,
        split: pd.DataFrame,
        groups: tuple[Moments, pd.Index],
        control: pd.Series,
        aims: pd.Series,
    ) -> Screen:
        """Summarise the cells of each perturbation.

        Parameters
        ----------
        dataset
            Raw counts of all cells, cells × genes.
        split
            One row per cell: ``cell``, ``perturbation``, ``part``.
        groups
            Moments of the cells of all perturbations and of the control, and their names.
        control
            Profile of the control, one value per gene; NaN if there is none.
        aims
            What each guide aims at, indexed by guide; empty if the perturbations are no guides.
        """
        moments, names = groups
        is_control = names == CONTROL
        perturbations = names[~is_control]
        halves = _halves(split)
        first, second = (half[half != CONTROL] for half in halves)
        sums = [pseudobulk(dataset, half).reindex(perturbations) for half in (first, second)]
        whole = profile(sums[0].fillna(0) + sums[1].fillna(0))
        differential = np.zeros(whole.shape, dtype=bool)
        if is_control.any():
            differential = adjusted(welch_p(moments[~is_control], moments[is_control])) < FDR
        summary = pd.DataFrame(
            {
                "cells": pd.concat([first, second]).value_counts().reindex(perturbations),
                "effect": effect_sizes(profile(sums[0]), profile(sums[1]), control),
                "own_change": _own_changes(whole, control, aims),
                "responding": responding_shares(dataset, halves),
            }
        )
        return cls(summary, pd.DataFrame(differential, perturbations, dataset.var_names))


def effect_sizes(one: pd.DataFrame, other: pd.DataFrame, control: pd.Series) -> pd.Series:
    """Tell how far each perturbation is from the control: √(δ · δ′), δ and δ′ the deltas of its halves.

    The halves share no cell: their noise adds nothing to the mean of the product, as it does to the length of
    either.

    Parameters
    ----------
    one, other
        Profiles of the halves of each perturbation, perturbation × gene.
    control
        Profile of the control, one value per gene.

    Returns
    -------
    One value per perturbation; 0 where the product is negative; NaN without a control or one of the halves.
    """
    products = ((one - control) * (other - control)).sum(axis=1, skipna=False)
    return np.sqrt(products.clip(lower=0))


def _halves(split: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Perturbation of each cell of either half, indexed by cell.

    The halves of a held-out perturbation are its parts ``test`` and ``adapt``. Of a trained one, and of the
    control, every other cell is in the second half.
    """
    used = split[split["part"] != "unused"]
    every_other = used.groupby("perturbation").cumcount() % 2 == 0
    is_first = np.where(used["part"].isin(HELD_OUT_PARTS), used["part"] == "test", every_other)
    labels = pd.Series(used["perturbation"].to_numpy(), pd.Index(used["cell"].astype(str)))
    return labels[is_first], labels[~is_first]


def _own_changes(profiles: pd.DataFrame, control: pd.Series, aims: pd.Series) -> pd.Series:
    """Return the log2 fold change of the gene of each perturbation.

    A difference of profiles is a natural logarithm of shares, with the same pseudocount as in
    :func:`svae.differential.log2_fold_changes`.
    """
    changes = (profiles - control) / np.log(2)
    own = {name: changes.columns.intersection(genes_aimed_at(name, aims)) for name in profiles.index}
    return pd.Series({name: changes.loc[name, genes].mean() for name, genes in own.items()}, dtype=float)


def tidy_perturbations(comparison: Comparison) -> pd.DataFrame:
    """Say what each perturbation does, and which genes the fit calls moved by it.

    Returns
    -------
    ``perturbation``, ``part`` (trained or held_out), ``cells``, ``effect``, ``own_change``, ``responding``,
    the numbers of genes that are ``differential``, that the fit ``called`` moved
    (:func:`svae.differential.called`), and those of both (``agreed``); the last two are NaN where the fit
    calls none. Empty where there is a truth, and of a fit that did not end well.
    """
    fit, response = comparison.fit, comparison.response
    if comparison.truth is not None or response is None or fit.run.status != "ok":
        return pd.DataFrame(columns=COLUMNS)
    summary, differential = response.screen.summary, response.screen.differential
    held_out = summary.index.isin(held_out_cells(comparison.split))
    table = summary.assign(
        part=np.where(held_out, "held_out", "trained"),
        differential=differential.sum(axis=1) if response.has_control else np.nan,
        called=np.nan,
        agreed=np.nan,
    )
    if fit.differential is not None:
        calls = called(comparison.moved)
        table["called"] = calls.sum(axis=1)
        table["agreed"] = (calls & differential.loc[calls.index]).sum(axis=1)
    return table.rename_axis("perturbation").reset_index()[list(COLUMNS)]
