"""Nearest perturbations: a perturbation does what those of the same gene sets do."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.combinations import multi_hot
from svae.contracts.fit import Fit, Run
from svae.contracts.pathways import read_pathways
from svae.contracts.setting import Setting
from svae.contracts.split import held_out_cells, trained_cells, trained_perturbations
from svae.expression import profiles_of
from svae.methods.options import NearestOptions, chosen_options


def fit_nearest(dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Predict a held-out perturbation as the mean of the nearest trained ones in the space of gene sets.

    A perturbation is the 0/1 vector of the gene sets that its parts belong to, and nearness is the cosine of
    two vectors, |S ∩ T| / √(|S| |T|). The profile is the mean of those of the k nearest trained
    perturbations, weighted by the cosine; of all trained perturbations, if none shares a gene set.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes; those of parts train and validation are looked at.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.NearestOptions`; ``n_latent``, which every
        method is handed, is passed over.

    Returns
    -------
    Fit
        With predictions on the basis ``zero_shot``. `not_applicable` if no gene sets are given, or no
        held-out perturbation shares one with a trained one.

    Raises
    ------
    BenchmarkError
        If an option is unknown or out of range, or the file of gene sets cannot be read.
    """
    options: NearestOptions = chosen_options("nearest_perturbations", setting)
    trained = trained_perturbations(split).sort_values()
    held_out = pd.Index(sorted(held_out_cells(split).unique()))
    if options.gene_sets is None:
        problem = "no gene sets are given; the option 'gene_sets' names a file of them"
        return Fit.missing(dataset.obs_names, setting, "not_applicable", problem)
    members = memberships([*trained, *held_out], read_pathways(options.gene_sets))
    nearness = cosines(members.loc[held_out], members.loc[trained])
    if not (nearness > 0).any(axis=None):
        problem = f"no held-out perturbation shares a gene set of {options.gene_sets} with a trained one"
        return Fit.missing(dataset.obs_names, setting, "not_applicable", problem)
    profiles = profiles_of(dataset, trained_cells(split))
    predicted = weights_of_nearest(nearness, options.neighbours) @ profiles.loc[trained]
    run = Run(setting=setting.name, seed=setting.seed)
    return Fit(dataset.obs_names, predictions={"zero_shot": predicted}, run=run)


def memberships(perturbations: list[str], gene_sets: dict[str, list[str]]) -> pd.DataFrame:
    """Return which perturbations have a part in which gene set, perturbation × gene set, 0 or 1."""
    parts = multi_hot(perturbations)
    of_parts = pd.DataFrame(
        {name: parts.columns.isin(members) for name, members in gene_sets.items()}, parts.columns, dtype=float
    )
    return (parts @ of_parts > 0).astype(float)


def cosines(these: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return the cosine of each row of one table with each row of another; 0 where a row has no entry."""
    sizes = np.sqrt(np.outer(these.sum(axis=1), others.sum(axis=1)))
    return (these @ others.T) / np.where(sizes > 0, sizes, 1.0)


def weights_of_nearest(nearness: pd.DataFrame, neighbours: int) -> pd.DataFrame:
    """Return the weights with which the profiles of trained perturbations are averaged.

    Parameters
    ----------
    nearness
        Held-out × trained perturbation, at least 0.
    neighbours
        Weights that differ from 0, at most. Of equally near ones, the first by name count.

    Returns
    -------
    Held-out × trained perturbation; rows sum to 1, and are equal throughout where nothing is near.
    """
    rank = nearness.rank(axis=1, method="first", ascending=False)
    weights = nearness.where(rank <= neighbours, 0.0)
    weights.loc[(weights == 0).all(axis=1)] = 1.0
    return weights.div(weights.sum(axis=1), axis=0)
