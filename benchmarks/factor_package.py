"""Compare our perturbVI with the package of its authors, on draws of a linear simulator.

Needs the package, which `make factor-package` installs beside the environment. Both get the same
standardised expression, start from principal components, and stop at the same gain. The package has no
baseline; the variant ``package, with a baseline`` is given a further perturbation that all cells have.

Writes one row per draw and implementation: implementation, seed (of the draw), bound (nats per cell; higher
is better), target_f1, mcc_pearson and correlation (of the matched latents with ours: the least of them).
"""

import argparse
from dataclasses import replace

import anndata as ad
import jax
import numpy as np
import pandas as pd
from perturbvi import infer

from svae.contracts.fit import Fit
from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.matching import match_latents
from svae.files import write_table
from svae.methods.factors.expression import Standardisation
from svae.methods.factors.fit import design_of, fit_factors
from svae.methods.options import PerturbVIOptions
from svae.simulation import simulate

LATENTS = 3
SIZES = {
    "perturbations": 20,
    "cells_per_perturbation": 100,
    "control_cells": 200,
    "genes": 100,
    "loading_density": 0.15,
    "noise_sd": 0.5,
    "depth": 3,
    "shift_low": 1,
    "shift_high": 2,
}
"""Sizes at which the simulator leaves no doubt about targets."""


def fit_package(dataset: ad.AnnData, parts: pd.DataFrame, has_baseline: bool) -> tuple[Fit, float]:
    """Fit with the package; returns its fit, whose latents know the perturbation, and its bound."""
    design = design_of(parts)
    seen = dataset[design.index]
    expression = Standardisation.of(seen).apply(seen)
    given = np.column_stack([design, np.ones(len(design))]) if has_baseline else design.to_numpy()
    options = PerturbVIOptions(n_latent=LATENTS)
    found = infer(
        expression.astype(float),
        given.astype(float),
        z_dim=options.n_latent,
        l_dim=options.effects,
        init="pca",
        p_prior=0.5,
        max_iter=options.iterations,
        tol=options.tolerance * len(seen),
        verbose=False,
    )
    # The package leaves out the constant of the normal density.
    bound = float(found.elbo.elbo) / len(seen) - 0.5 * seen.n_vars * np.log(2 * np.pi)
    latents = pd.DataFrame(np.asarray(found.params.mean_z), design.index)
    inclusion = np.asarray(found.params.p_hat).T[: design.shape[1]]
    targets = pd.DataFrame(inclusion, pd.Index(design.columns, name="perturbation"))
    targets.columns = [f"z{latent + 1}" for latent in targets.columns]
    latents = latents.reindex(dataset.obs_names, fill_value=0.0).to_numpy(np.float32)
    return Fit(dataset.obs_names, latents, targets=targets), bound


def rows(seed: int) -> pd.DataFrame:
    """Fit one draw with each implementation."""
    dataset, truth = simulate("gsfa_linear", seed=seed, latents=LATENTS, **SIZES)
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="random", held_out=0.2), seed=seed)
    setting = Setting("default", seed, {"n_latent": LATENTS})
    ours = fit_factors("perturbvi", dataset, parts, setting)
    assert ours.history is not None
    losses = ours.history["train"]
    # Ours reports latents without, and the package with knowledge of the perturbation.
    ours = replace(ours, latents=ours.latent_modes)
    fits = {
        "ours": (ours, -losses.iloc[-1]),
        "package": fit_package(dataset, parts, has_baseline=False),
        "package, with a baseline": fit_package(dataset, parts, has_baseline=True),
    }
    is_seen = dataset.obs_names.isin(design_of(parts).index)
    latents = {implementation: np.asarray(fit.latents)[is_seen] for implementation, (fit, _) in fits.items()}
    found = []
    for implementation, (fit, bound) in fits.items():
        similarity, *pairs = match_latents(latents["ours"], latents[implementation])
        metrics = compute_metrics(fit, parts, truth).set_index("metric")["value"]
        found.append(
            {
                "implementation": implementation,
                "seed": seed,
                "bound": bound,
                "target_f1": metrics["target_f1"],
                "mcc_pearson": metrics["mcc_pearson"],
                "correlation": similarity[tuple(pairs)].min(),
            }
        )
    return pd.DataFrame(found)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(100, 105), help="draws of the data")
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    write_table(pd.concat([rows(seed) for seed in given.seeds], ignore_index=True), given.output)


if __name__ == "__main__":
    main()
