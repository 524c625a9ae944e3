"""Anchors: what every metric gives for knowing everything (`oracle`) and for knowing nothing (`random`)."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.cells import locate_cells
from svae.contracts.fit import Fit, Run
from svae.contracts.fit_parts import CHANGES, LIKELIHOODS
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, held_out_cells, trained_perturbations
from svae.differential import DELTA
from svae.expression import profile
from svae.methods.controls import for_every_basis
from svae.methods.options import chosen_options
from svae.seeds import seed_from
from svae.simulation.likelihood import expected_counts, score_cells, true_changes
from svae.words import Basis

JITTER = 0.01
"""Standard deviation of the noise on the oracle's latents, so that exact copies flatter no metric."""

FLOOR_FACTOR = 10
"""How many times as many samples as a model the simulator's own likelihood takes. The kinks of its network
are sharper than those of a trained one, so that a sample is worth less; and a dataset has one such fit."""


def fit_random(dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Latents, targets and shifts that have nothing to do with the data.

    Parameters
    ----------
    dataset
        Gives the names of the cells.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its one option is ``n_latent``, the number of latents.

    Raises
    ------
    BenchmarkError
        If the setting has another option.
    """
    n_latent = chosen_options("random", setting).n_latent
    rng = np.random.default_rng(setting.seed)
    names = trained_perturbations(split).sort_values().rename("perturbation")
    columns = [f"z{j + 1}" for j in range(n_latent)]
    return Fit(
        cells=dataset.obs_names,
        latents=rng.standard_normal((dataset.n_obs, n_latent), dtype=np.float32),
        targets=pd.DataFrame(rng.random((len(names), n_latent)), names, columns),
        shifts=pd.DataFrame(rng.standard_normal((len(names), n_latent)), names, columns),
        run=Run(setting=setting.name, seed=setting.seed),
    )


def fit_oracle(
    dataset: ad.AnnData,
    split: pd.DataFrame,
    truth: ad.AnnData | None,
    setting: Setting,
    likelihood_samples: int,
) -> Fit:
    """Return the truth, slightly jittered; its likelihood is that of the simulator which drew the cells.

    A real dataset has no truth: the fit then says ``not_applicable``. A simulator may have no likelihood: the
    fit then has none either, and metrics that need one are not applicable.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    truth
        As :func:`svae.contracts.truth.read_truth` reads it; its cells are found by their names.
    setting
        It can have no options, except for ``n_latent``, which every method is handed and the truth decides.
    likelihood_samples
        Samples per cell of a model's likelihood; the floor takes :data:`FLOOR_FACTOR` times as many.

    Raises
    ------
    BenchmarkError
        If the setting has options, or a cell of the dataset is not among those of the truth.
    """
    chosen_options("oracle", setting)
    if truth is None:
        return Fit.missing(dataset.obs_names, setting, "not_applicable", "a real dataset has no truth")
    rng = np.random.default_rng(setting.seed)
    rows = locate_cells(dataset.obs_names, truth.obs_names, "the truth")
    latents = np.asarray(truth.obsm["latents"])[rows]
    return Fit(
        cells=dataset.obs_names,
        latents=latents + rng.normal(0, JITTER, latents.shape).astype(np.float32),
        scores=_scores(dataset, split, truth, setting.seed, FLOOR_FACTOR * likelihood_samples),
        targets=truth.uns["targets"].astype(float),
        shifts=truth.uns["shifts"],
        run=Run(setting=setting.name, seed=setting.seed),
        predictions=_predictions(dataset, split, truth, setting.seed),
        differential=_differential(dataset, split, truth),
    )


def _predictions(
    dataset: ad.AnnData, split: pd.DataFrame, truth: ad.AnnData, seed: int
) -> dict[Basis, pd.DataFrame] | None:
    """Profiles that the simulator expects of held-out perturbations, None if it does not tell.

    Who knows the truth needs to see nothing, so the prediction is the same on every basis.
    """
    held_out = sorted(held_out_cells(split).unique())
    counts = expected_counts(truth, held_out, seed=seed_from(seed, "profiles")) if held_out else None
    if counts is None:
        return None
    return for_every_basis(profile(pd.DataFrame(counts, held_out, dataset.var_names)), split)


def _differential(
    dataset: ad.AnnData, split: pd.DataFrame, truth: ad.AnnData
) -> dict[str, pd.DataFrame] | None:
    """Which genes the trained perturbations really move, None if the simulator does not tell."""
    names = trained_perturbations(split).sort_values()
    changes = true_changes(truth, list(names)) if len(names) else None
    if changes is None:
        return None
    tables = (np.abs(changes) > DELTA).astype(float), changes
    return {
        name: pd.DataFrame(table, names, dataset.var_names)
        for name, table in zip(CHANGES, tables, strict=True)
    }


def _scores(
    dataset: ad.AnnData, split: pd.DataFrame, truth: ad.AnnData, seed: int, n_samples: int
) -> pd.DataFrame | None:
    """Log-likelihood of held-out cells, None if the simulator has none.

    True shifts need no adaptation, so both adapted protocols agree.
    """
    held_out = dataset[dataset.obs_names.isin(held_out_cells(split).index)]
    if not held_out.n_obs:
        return None
    known = score_cells(held_out, truth, n_samples=n_samples, seed=seed)
    zero_shot = score_cells(held_out, truth, zero_shot=True, n_samples=n_samples, seed=seed)
    if known is None or zero_shot is None:
        return None
    is_test = held_out.obs_names.isin(cells_of(split, "test").index)
    clean = np.where(is_test, known.log_likelihood, np.nan)
    likelihoods = (zero_shot.log_likelihood, known.log_likelihood, clean)
    columns = dict(zip(LIKELIHOODS, likelihoods, strict=True))
    columns["effective_samples"] = known.effective_samples
    return pd.DataFrame(columns, index=held_out.obs_names).reindex(dataset.obs_names)
