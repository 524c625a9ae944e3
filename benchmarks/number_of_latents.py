"""Measure whether the agreement of restarts finds the number of latents.

Small screens with five latents are drawn, and sVAE+ is trained with other numbers of latents, three restarts
each. Writes one row per fit: draw, n_latent, restart, its agreement with the other restarts (udr), its
validation likelihood, and, with the truth, its MCC and the F1 score of its targets.
"""

import argparse

import pandas as pd
import torch

from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.metrics import choose_metrics
from svae.evaluation.restarts import agreement_of_restarts
from svae.files import write_table
from svae.methods.grid import fit_grid
from svae.models import model_class
from svae.simulation import simulate

LATENTS = 5
SCREEN = {
    "perturbations": 60,
    "cells_per_perturbation": 100,
    "control_cells": 400,
    "latents": LATENTS,
    "genes": 60,
    "library_mean": 10000,
    "library_sd": 4000,
    "dispersion": 10,
}
"""The screen of `config/robustness.yaml`."""

TRAINING = {"penalty": 10, "n_hidden": 64, "max_epochs": 24, "refit_epochs": 8}
NUMBERS = (2, 3, 4, 5, 6, 8, 12)
RESTARTS = 3
METRICS = ["mcc_pearson", "target_f1"]


def rows(draw: int, n_latent: int) -> pd.DataFrame:
    """Fit all restarts with one number of latents on one draw, and measure them."""
    screen = simulate("screen", seed=draw, **SCREEN)
    parts = split_dataset(screen.dataset, SplitPlan(kind="random", held_out=0.2), seed=draw)
    options = {"n_latent": n_latent, **TRAINING}
    settings = [Setting(f"restart{k}", seed=k, options=options, restart=k) for k in range(RESTARTS)]
    fits = fit_grid(model_class("svae_plus"), screen.dataset, parts, settings, 100, "cpu")
    udr = agreement_of_restarts(fits, parts)
    table = []
    for restart, (name, fit) in enumerate(fits.items()):
        scores = compute_metrics(fit, parts, screen.truth, choose_metrics(METRICS, "benchmark"))
        values = scores.set_index("metric")["value"]
        likelihood = fit.selection["validation_likelihood"]
        row = {"draw": draw, "n_latent": n_latent, "restart": restart, "udr": udr[name]}
        table.append({**row, "validation_likelihood": likelihood, **values[METRICS]})
    return pd.DataFrame(table)


def main() -> None:
    """Write the table after each number of latents, so that none is lost."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    chosen = parser.parse_args()
    tables = []
    for draw in chosen.draws:
        for n_latent in NUMBERS:
            tables.append(rows(draw, n_latent))
            write_table(pd.concat(tables), chosen.output)


if __name__ == "__main__":
    main()
