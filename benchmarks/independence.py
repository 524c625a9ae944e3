"""Measure what it costs to keep latents independent of the batch.

Small screens of two batches are drawn, and HSIC-VAE is trained with several weights λ, of which 0 is the VAE.
Writes one row per fit: draw, independence (λ), the dependence of the latents of all cells on the batch
(√HSIC), and of held-out cells the evidence lower bound and the log-likelihood (zero-shot) in nats per cell.
"""

import argparse

import numpy as np
import pandas as pd
import torch

from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.files import write_table
from svae.methods.grid import fit_grid
from svae.models import model_class
from svae.models.independence import hsic
from svae.simulation import simulate

SCREEN = {
    "perturbations": 30,
    "cells_per_perturbation": 80,
    "control_cells": 400,
    "latents": 5,
    "genes": 60,
    "library_mean": 10000,
    "library_sd": 4000,
    "dispersion": 10,
    "batch_effect": 1.0,
    "batch_confounding": 0.0,
}
"""The screen of `config/robustness.yaml`, half as large, with the batches that differ most there."""

TRAINING = {"n_latent": 5, "n_hidden": 64, "max_epochs": 40, "refit_epochs": 8}
WEIGHTS = (0, 3, 10, 30, 100, 300)


def rows(draw: int) -> pd.DataFrame:
    """Train with every weight on one draw, and measure."""
    dataset, truth = simulate("screen", seed=draw, **SCREEN)
    dataset.obs["batch"] = pd.Categorical(truth.obs["batch"].astype(str))  # in scopes no method is told
    parts = split_dataset(dataset, SplitPlan(kind="random", held_out=0.2), seed=draw)
    settings = [Setting(f"{weight}", draw, {**TRAINING, "independence": weight}) for weight in WEIGHTS]
    fits = fit_grid(model_class("hsic_vae"), dataset, parts, settings, 100, "cpu")
    batch = torch.as_tensor(pd.get_dummies(dataset.obs["batch"]).to_numpy(np.float32))
    table = []
    for weight, fit in zip(WEIGHTS, fits.values(), strict=True):
        assert fit.latents is not None
        assert fit.scores is not None
        dependence = hsic(torch.as_tensor(fit.latents), batch).clamp(min=0).sqrt().item()
        means = fit.scores[["elbo", "log_likelihood_zero_shot"]].mean()
        table.append({"draw": draw, "independence": weight, "dependence": dependence, **means})
    return pd.DataFrame(table)


def main() -> None:
    """Write the table after each draw, so that none is lost."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    chosen = parser.parse_args()
    tables = []
    for draw in chosen.draws:
        tables.append(rows(draw))
        write_table(pd.concat(tables), chosen.output)


if __name__ == "__main__":
    main()
