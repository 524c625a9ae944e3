"""Additive effects: a combination does what its parts do, one on top of the other."""

import anndata as ad
import pandas as pd

from svae.contracts.combinations import sums_of_parts
from svae.contracts.fit import Fit, Run
from svae.contracts.setting import Setting
from svae.contracts.split import combinations_of_trained, seen_cells
from svae.expression import profiles_of
from svae.methods.options import chosen_options
from svae.words import CONTROL


def fit_additive(dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Predict held-out combinations by adding what their parts do to the profile of the control.

    The profile of ``A+B`` is b₀ + (b_A − b₀) + (b_B − b₀), the additive baseline of Ahlmann-Eltze et al.
    (2025). Profiles b are those of the cells of parts train and validation; b₀ is that of the control. What
    is below 0, which no profile is, becomes 0.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        It can have no options, except for ``n_latent``, which every method is handed and nothing here has.

    Returns
    -------
    Fit
        With predictions on the basis ``combination``. `not_applicable` if there are no control cells, or if
        no held-out perturbation is a combination of trained ones.

    Raises
    ------
    BenchmarkError
        If the setting has options.
    """
    chosen_options("additive", setting)
    seen, combinations = seen_cells(split), combinations_of_trained(split)
    problem = nothing_to_add_up(split)
    if problem is not None:
        return Fit.missing(dataset.obs_names, setting, "not_applicable", problem)
    profiles = profiles_of(dataset, seen)
    control = profiles.loc[CONTROL]
    predicted = control + sums_of_parts(combinations, profiles - control)
    run = Run(setting=setting.name, seed=setting.seed)
    return Fit(dataset.obs_names, predictions={"combination": predicted.clip(lower=0)}, run=run)


def nothing_to_add_up(split: pd.DataFrame) -> str | None:
    """Say why no combination can be predicted from what its parts do alone; None if one can be."""
    if CONTROL not in set(seen_cells(split)):
        return "there are no control cells, from which the effects of the parts would be measured"
    if combinations_of_trained(split).empty:
        return "no held-out perturbation is a combination of trained ones, so there is nothing to add up"
    return None
