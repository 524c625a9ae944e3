"""Measure what training gives on screens with few cells, or few counts per cell.

A screen is thinned: cells are drawn without replacement, and the counts of each cell binomially. Some
perturbations are held out. All models are then trained twice: with preset `tuned` of today, and as it was
before, with Adam and BatchNorm. Does the validation loss rise again towards the end, and how likely are the
cells of held-out perturbations? Writes one row per number: training, cells, counts (share), method, metric,
perturbation (of a likelihood, nats per cell), value. The metric `validation_rise` is the share by which the
validation loss ends above its best epoch.
"""

import argparse

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse

from svae.datasets.preparation import Bounds, Preparation
from svae.datasets.prepare import prepare
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.evaluate import evaluate_fit
from svae.evaluation.metrics import choose_metrics
from svae.evaluation.warning import validation_rise
from svae.files import write_table
from svae.methods.grid import Setting, fit_grid
from svae.models import FAMILY, model_class

SCREENS = [(500, 1.0), (1000, 1.0), (1000, 0.2), (5000, 1.0), (5000, 0.2), (20000, 1.0)]
"""Cells and share of the counts."""

TRAININGS = {
    "today": {},
    "before": {
        "matrix_learning_rate": None,
        "mask_travel": None,
        "n_layers": 2,
        "slope": 0.0,
        "batch_norm": True,
        "learning_rate": 1e-2,
        "warmup_epochs": 20,
        "max_epochs": 120,
        "refit_epochs": 30,
        "refit_rate": 1.0,
        "dense": 0.4,
        "decay": 0.6,
    },
}
PENALTIES = {"svae_plus": {"penalty": 20.0}, "svae": {"penalty": 10.0}, "beta_vae": {"beta": 2.0}}
LIKELIHOODS = ["inll_zero_shot", "inll_clean"]
MIN_CELLS = 50
"""Perturbations with fewer cells in the whole screen are left out."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("screen", help="h5ad file of raw counts")
    parser.add_argument("output", help="table to write")
    parser.add_argument("--label", default="perturbation", help="column of obs with the perturbation")
    parser.add_argument("--control", default="control", help="label of unperturbed cells")
    parser.add_argument("--at-least", nargs="*", default=[], help="cells to keep, as in guide_frac=0.6")
    parser.add_argument("--latents", type=int, default=10)
    parser.add_argument("--methods", nargs="+", default=list(FAMILY), choices=FAMILY)
    parser.add_argument("--trainings", nargs="+", default=list(TRAININGS), choices=TRAININGS)
    return parser.parse_args()


def thinned(dataset: ad.AnnData, n_cells: int, share: float, random: np.random.Generator) -> ad.AnnData:
    """Draw cells and, within cells, counts; cells without counts are left out."""
    chosen = np.sort(random.permutation(dataset.n_obs)[:n_cells])
    drawn = dataset[chosen].copy()
    counts = random.binomial(drawn.X.toarray().astype(int), share)
    drawn.X = sparse.csr_matrix(counts.astype(np.float32))
    drawn = drawn[counts.sum(axis=1) > 0].copy()
    drawn.obs["perturbation"] = drawn.obs["perturbation"].cat.remove_unused_categories()
    return drawn


def rows(dataset: ad.AnnData, method: str, training: str, n_latent: int) -> pd.DataFrame:
    """Fit one method, and measure it."""
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="random", held_out=5), seed=1)
    options = {"n_latent": n_latent, **PENALTIES.get(method, {}), **TRAININGS[training]}
    fits = fit_grid(model_class(method), dataset, parts, [Setting("default", 0, options)], 250, "cpu")
    fit = fits["default"]
    evaluation = evaluate_fit(fit, parts, None, choose_metrics(LIKELIHOODS, "benchmark"), seed=0)
    rise = {"metric": "validation_rise", "value": validation_rise(fit.history)}
    return pd.concat([evaluation.held_out, pd.DataFrame([rise])], ignore_index=True)


def main() -> None:
    """Thin the screen, train every method on it, and write the table after each, so that none is lost."""
    torch.set_num_threads(1)
    chosen = arguments()
    bounds = dict(text.split("=") for text in chosen.at_least)
    preparation = Preparation(
        label=chosen.label,
        control=chosen.control,
        min_cells=MIN_CELLS,
        filters={column: Bounds(min=float(low)) for column, low in bounds.items()},
    )
    screen = prepare(chosen.screen, preparation)
    tables = []
    for n_cells, share in SCREENS:
        dataset = thinned(screen, n_cells, share, np.random.default_rng(0))
        for method in chosen.methods:
            for training in chosen.trainings:
                keys = {"training": training, "cells": n_cells, "counts": share, "method": method}
                table = rows(dataset, method, training, chosen.latents)
                tables.append(table.assign(**keys)[[*keys, "metric", "perturbation", "value"]])
                write_table(pd.concat(tables), chosen.output)


if __name__ == "__main__":
    main()
