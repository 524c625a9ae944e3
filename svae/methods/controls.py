"""Controls of predictions: what a method has to be better than, and what no method can be better than.

====================== ============================= ======================================================
control                looks at                      predicts, for each held-out perturbation
====================== ============================= ======================================================
no_change              unperturbed cells             their profile
mean_response          trained perturbations         the mean of their profiles
technical_duplicate    its own cells (part `adapt`)  their profile
interpolated_duplicate both                          the duplicate where a gene differs from the trained
                                                     perturbations, else the mean response (Mejia et al. 2025)
====================== ============================= ======================================================

None of them has latents. The first two look at nothing of a held-out perturbation, and so may stand beside
the methods of every basis. All but the last let the cells that they look at stand for cells of the
perturbation.
"""

from collections.abc import Callable, Mapping

import anndata as ad
import pandas as pd

from svae.contracts.fit import Fit, Run
from svae.contracts.generated import GeneratedCells, stand_ins
from svae.contracts.setting import Setting
from svae.contracts.split import (
    cells_of,
    combinations_of_trained,
    held_out_cells,
    seen_cells,
    trained_cells,
    trained_perturbations,
)
from svae.differential import Moments, adjusted, welch_p
from svae.errors import unknown
from svae.expression import profiles_of
from svae.methods.options import chosen_options
from svae.words import CONTROL, Basis


def fit_control(method: str, dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Predict held-out perturbations by a rule that fits nothing.

    Parameters
    ----------
    method
        One of :data:`svae.methods.options.CONTROLS`.
    dataset
        Raw counts of all cells, cells × genes; those of part ``test`` are not looked at.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        It can have no options, except for ``n_latent``, which every method is handed.

    Returns
    -------
    Fit
        With predictions and, but for the interpolated duplicate, generated cells; `not_applicable` if the
        split has no cells of a kind that the control takes.

    Raises
    ------
    BenchmarkError
        If there is no such control, or the setting has options.
    """
    if method not in PREDICT:
        raise unknown("control", method, PREDICT, "fit_control")
    chosen_options(method, setting)
    problem = _why_not(method, split)
    if problem is not None:
        return Fit.missing(dataset.obs_names, setting, "not_applicable", problem)
    run = Run(setting=setting.name, seed=setting.seed)
    predictions = PREDICT[method](dataset, split)
    generated = _generated(method, dataset, split, predictions)
    return Fit(dataset.obs_names, predictions=predictions, generated=generated, run=run)


def _why_not(method: str, split: pd.DataFrame) -> str | None:
    """Say why a control does not apply to a split; None if it does."""
    if held_out_cells(split).empty:
        return "no perturbation is held out"
    if method == "no_change" and not (seen_cells(split) == CONTROL).any():
        return "the dataset has no unperturbed cells"
    if method in ("mean_response", "interpolated_duplicate") and trained_perturbations(split).empty:
        return "no perturbation is trained on"
    return None


def mean_of_trained(dataset: ad.AnnData, split: pd.DataFrame) -> pd.Series:
    """Mean of the profiles of the trained perturbations, control not among them; one value per gene."""
    return profiles_of(dataset, trained_cells(split)).mean()


def for_every_basis(profiles: pd.DataFrame, split: pd.DataFrame) -> dict[Basis, pd.DataFrame]:
    """Return the same `profiles` of all held-out perturbations on every basis on which any is predicted."""
    found: dict[Basis, pd.DataFrame] = {"zero_shot": profiles, "adapted": profiles}
    combinations = combinations_of_trained(split)
    return found | {"combination": profiles.loc[combinations]} if len(combinations) else found


def _of_all(values: pd.Series, split: pd.DataFrame) -> pd.DataFrame:
    """Predict one and the same profile, a value per gene, of every held-out perturbation."""
    held_out = pd.Index(sorted(held_out_cells(split).unique()))
    return pd.DataFrame([values] * len(held_out), held_out)


def no_change(dataset: ad.AnnData, split: pd.DataFrame) -> dict[Basis, pd.DataFrame]:
    """Predict that the perturbation does nothing."""
    seen = seen_cells(split)
    return for_every_basis(_of_all(profiles_of(dataset, seen[seen == CONTROL]).iloc[0], split), split)


def mean_response(dataset: ad.AnnData, split: pd.DataFrame) -> dict[Basis, pd.DataFrame]:
    """Predict that it does what perturbations do on average."""
    return for_every_basis(_of_all(mean_of_trained(dataset, split), split), split)


def technical_duplicate(dataset: ad.AnnData, split: pd.DataFrame) -> dict[Basis, pd.DataFrame]:
    """Predict that its other cells do what its cells of part ``adapt`` do."""
    return {"adapted": profiles_of(dataset, cells_of(split, "adapt"))}


def interpolated_duplicate(dataset: ad.AnnData, split: pd.DataFrame) -> dict[Basis, pd.DataFrame]:
    """Predict (1 − p) · duplicate + p · mean response, gene by gene.

    p is that of a Welch test of the cells of part ``adapt`` against those of all trained perturbations,
    adjusted within each perturbation. Where they do not differ, the mean response has less noise.
    """
    adapt, trained = cells_of(split, "adapt"), trained_cells(split)
    of_adapt, _ = Moments.of(dataset, adapt)
    of_trained, _ = Moments.of(dataset, pd.Series("trained", trained.index))
    p, duplicate = adjusted(welch_p(of_adapt, of_trained)), profiles_of(dataset, adapt)
    return {"adapted": (1 - p) * duplicate + p * mean_of_trained(dataset, split).to_numpy()}


def _generated(
    method: str, dataset: ad.AnnData, split: pd.DataFrame, predictions: Mapping[Basis, pd.DataFrame]
) -> dict[Basis, GeneratedCells] | None:
    """Draw cells of what the control looks at, on every basis that it predicts on; None if there are none.

    They are those that the calibrated scale is made of, whatever the seed of the setting.
    """
    pools = _pools(method, split)
    if pools is None:
        return None
    return {
        basis: GeneratedCells.of(dataset, stand_ins({name: pools[name] for name in table.index}))
        for basis, table in predictions.items()
    }


def _pools(method: str, split: pd.DataFrame) -> dict[str, pd.Series] | None:
    """Return, for each held-out perturbation, the cells that stand for its own; None if there are none."""
    seen, adapt = seen_cells(split), cells_of(split, "adapt")
    if method == "technical_duplicate":
        return dict(iter(adapt.groupby(adapt)))
    if method == "no_change":
        return dict.fromkeys(adapt.unique(), seen[seen == CONTROL])
    return dict.fromkeys(adapt.unique(), trained_cells(split)) if method == "mean_response" else None


Predict = Callable[[ad.AnnData, pd.DataFrame], dict[Basis, pd.DataFrame]]
"""Takes dataset and split; returns predicted profiles by basis."""

PREDICT: Mapping[str, Predict] = {
    "no_change": no_change,
    "mean_response": mean_response,
    "technical_duplicate": technical_duplicate,
    "interpolated_duplicate": interpolated_duplicate,
}
"""The controls by name."""
