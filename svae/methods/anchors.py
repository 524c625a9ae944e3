"""Anchors: what every metric gives for knowing everything (`oracle`) and for knowing nothing (`random`)."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.fit import LIKELIHOODS, Fit, Run
from svae.simulation.likelihood import score_cells
from svae.words import CONTROL

JITTER = 0.01
"""Standard deviation of the noise on the oracle's latents, so that exact copies flatter no metric."""


def fit_random(dataset: ad.AnnData, split: pd.DataFrame, n_latent: int, setting: str, seed: int) -> Fit:
    """Latents, targets and shifts that have nothing to do with the data."""
    rng = np.random.default_rng(seed)
    seen = split.loc[split["part"].isin(["train", "validation"]), "perturbation"]
    names = pd.Index(sorted(set(seen) - {CONTROL}), name="perturbation")
    columns = [f"z{j + 1}" for j in range(n_latent)]
    return Fit(
        cells=dataset.obs_names,
        latents=rng.standard_normal((dataset.n_obs, n_latent), dtype=np.float32),
        targets=pd.DataFrame(rng.random((len(names), n_latent)), names, columns),
        shifts=pd.DataFrame(rng.standard_normal((len(names), n_latent)), names, columns),
        run=Run(setting=setting, seed=seed),
    )


def fit_oracle(
    dataset: ad.AnnData,
    split: pd.DataFrame,
    truth: ad.AnnData | None,
    setting: str,
    seed: int,
    likelihood_samples: int,
) -> Fit:
    """Return the truth, slightly jittered; its likelihood is that of the simulator which drew the cells.

    A real dataset has no truth: the fit then says ``not_applicable``. A simulator may have no likelihood: the
    fit then has none either, and metrics that need one are not applicable.
    """
    if truth is None:
        message = "a real dataset has no truth"
        return Fit.failed(dataset.obs_names, "not_applicable", message, setting=setting, seed=seed)
    rng = np.random.default_rng(seed)
    latents = np.asarray(truth.obsm["latents"])
    return Fit(
        cells=dataset.obs_names,
        latents=latents + rng.normal(0, JITTER, latents.shape).astype(np.float32),
        scores=_scores(dataset, split, truth, seed, likelihood_samples),
        targets=truth.uns["targets"].astype(float),
        shifts=truth.uns["shifts"],
        run=Run(setting=setting, seed=seed),
    )


def _scores(
    dataset: ad.AnnData, split: pd.DataFrame, truth: ad.AnnData, seed: int, n_samples: int
) -> pd.DataFrame | None:
    """Log-likelihood of held-out cells, None if the simulator has none.

    True shifts need no adaptation, so both adapted protocols agree.
    """
    part = split.set_index("cell")["part"].reindex(dataset.obs_names)
    held_out = dataset[part.isin(["adapt", "test"]).to_numpy()]
    if not held_out.n_obs:
        return None
    known = score_cells(held_out, truth, n_samples=n_samples, seed=seed)
    zero_shot = score_cells(held_out, truth, zero_shot=True, n_samples=n_samples, seed=seed)
    if known is None or zero_shot is None:
        return None
    clean = np.where(part[held_out.obs_names] == "test", known.log_likelihood, np.nan)
    likelihoods = (zero_shot.log_likelihood, known.log_likelihood, clean)
    columns = dict(zip(LIKELIHOODS, likelihoods, strict=True))
    columns["effective_samples"] = known.effective_samples
    return pd.DataFrame(columns, index=held_out.obs_names).reindex(dataset.obs_names)
