"""Held-out perturbations under a trained model: how likely their cells are, and what it expects of them."""

from collections.abc import Iterator, Mapping

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.fit_parts import impossible_scores
from svae.contracts.generated import MOST_CELLS, GeneratedCells
from svae.models import transfer
from svae.models.generation import draw_counts
from svae.models.model import PerturbationModel
from svae.seeds import seed_from
from svae.words import PROTOCOLS, Basis

ENCODER_SAMPLES = 100
"""Samples per cell of the encoder's posterior: enough for its ELBO, and the estimate of the released code is
kept for comparison only."""

PROFILE_SAMPLES = 2000
"""Samples of the latents behind a predicted profile. Those of all perturbations are the same, so that their
differences have little noise."""

UNKNOWN = ""
"""No perturbation has this label, so that a model has no shift for it."""


def score_held_out(
    model: PerturbationModel, held_out: ad.AnnData, may_adapt: np.ndarray, n_samples: int, seed: int
) -> pd.DataFrame:
    """Log-likelihood of held-out cells after each protocol, and what the encoder makes of them.

    ``zero_shot`` scores all of them without a shift; ``same_cells`` adapts to the very cells it then
    scores (Lopez et al. 2023); ``clean`` adapts to the part ``adapt`` and scores the part ``test``. The model
    is left as adapted to all of `held_out`.

    Parameters
    ----------
    model
        Trained, its masks fixed.
    held_out
        Cells of held-out perturbations.
    may_adapt
        Whether each of these cells has the part ``adapt``; the others test.
    n_samples
        Samples per cell of the likelihood.
    seed
        Seed of the samples.

    Returns
    -------
    pandas.DataFrame
        Cells × :data:`svae.contracts.fit.CELL_COLUMNS`; NaN where not scored. The encoder's own numbers are
        from :data:`ENCODER_SAMPLES` samples of its posterior.
    """
    cells, names = model.read_cells(held_out)
    model.forget_adaptation()
    known = {"zero_shot": model.known_of(names)}
    model.adapt(held_out, np.flatnonzero(may_adapt))
    known["clean"] = model.known_of(names)
    model.forget_adaptation()
    model.adapt(held_out)
    known["same_cells"] = model.known_of(names)
    exact = transfer.marginal_log_likelihood(model.module, cells, known, n_samples, seed)
    encoder = transfer.estimate_by_encoder(model.module, cells, known["same_cells"], ENCODER_SAMPLES, seed)
    columns = {f"log_likelihood_{protocol}": exact[protocol].log_likelihood for protocol in PROTOCOLS}
    columns["log_likelihood_same_cells_original"] = encoder.log_likelihood
    columns["reconstruction"] = encoder.reconstruction
    columns["elbo"] = encoder.elbo
    columns["best_elbo"] = transfer.independent_elbo(
        model.module, cells, known["same_cells"], ENCODER_SAMPLES, seed
    )
    columns["effective_samples"] = exact["same_cells"].effective_samples
    values = {name: column.cpu().numpy() for name, column in columns.items()}
    scores = pd.DataFrame(values, index=held_out.obs_names)
    scores.loc[may_adapt, "log_likelihood_clean"] = np.nan
    return scores


def predict_held_out(
    model: PerturbationModel, held_out: ad.AnnData, may_adapt: np.ndarray, seed: int
) -> tuple[dict[Basis, pd.DataFrame], dict[Basis, GeneratedCells]]:
    """Predict held-out perturbations: without a shift, and with all shifts that there are.

    Parameters
    ----------
    model
        Trained, its masks fixed. It is left as adapted to the cells of part ``adapt``.
    held_out, may_adapt
        As in :func:`score_held_out`.
    seed
        Of the setting.

    Returns
    -------
    Profiles, held-out perturbation × gene, from :data:`PROFILE_SAMPLES` samples of the latents, and
    :data:`svae.contracts.generated.MOST_CELLS` generated cells of each perturbation: ``zero_shot``,
    ``adapted`` and, of perturbations whose parts add up in the model, ``combination``.
    """
    profiles: dict[Basis, pd.DataFrame] = {}
    cells: dict[Basis, GeneratedCells] = {}
    for basis, known_by in _by_basis(model, held_out, may_adapt):
        labels, names = list(known_by.values()), pd.Index(known_by, name="perturbation")
        of_labels = model.get_profiles(sorted(set(labels)), PROFILE_SAMPLES, seed_from(seed, "profiles"))
        profiles[basis] = of_labels.loc[labels].set_axis(names)
        if not np.isfinite(profiles[basis]).all(axis=None):
            continue  # the model has diverged, and there is nothing to draw from
        counts = draw_counts(model, labels, MOST_CELLS, seed_from(seed, "generated"))
        cells[basis] = GeneratedCells(counts, np.repeat(names.to_numpy(dtype=str), MOST_CELLS))
    return profiles, cells


def _by_basis(
    model: PerturbationModel, held_out: ad.AnnData, may_adapt: np.ndarray
) -> Iterator[tuple[Basis, dict[str, str]]]:
    """Yield every basis with the perturbations that are predicted on it, and the label of each for the model.

    Meanwhile the model knows of held-out cells what it may know on this basis.
    """
    names = sorted(held_out.obs["perturbation"].astype(str).unique())
    model.forget_adaptation()
    yield "zero_shot", dict.fromkeys(names, UNKNOWN)
    combinations = [name for name in names if model.adds_up(name)]
    if combinations:
        yield "combination", {name: name for name in combinations}
    model.adapt(held_out, np.flatnonzero(may_adapt))
    yield "adapted", {name: name for name in names}


def what_is_impossible(scores: pd.DataFrame, predictions: Mapping[Basis, pd.DataFrame]) -> str | None:
    """Say what no model of counts can give; None if all scores and predictions are possible.

    The evidence lower bound bounds the likelihood from below. Both are estimates, hence an allowance of five
    standard errors, and a hundredth of a nat for rounding.

    Parameters
    ----------
    scores
        As returned by :func:`score_held_out`.
    predictions
        Profiles, as returned by :func:`predict_held_out`.
    """
    if not all(np.isfinite(table).all(axis=None) for table in predictions.values()):
        return "a predicted profile is not finite"
    if scores.drop(columns="log_likelihood_clean").isna().any(axis=None):
        return "the likelihood of a held-out cell is NaN"
    excess = scores["elbo"] - scores["log_likelihood_same_cells"]
    allowance = 5 * excess.std(ddof=0) / np.sqrt(len(excess)) + 0.01
    if excess.mean() > allowance:
        return (
            f"the lower bound of held-out cells is {excess.mean():.3g} nats per cell above their likelihood"
        )
    return impossible_scores(scores)
