"""Measure how many of the genes that a model calls moved are not, and how many moved genes it calls.

Screens are drawn whose perturbations shift their latents by about one standard deviation, which leaves some
genes moved and others not. Truth are the counts that the simulator expects. Writes one row per draw, approach
and nominal FDR: draw, approach, nominal, realised, power. The approaches:

cells
    the Bayesian bootstrap of the cells as they were counted, without a model;
scvi, populations
    the same of what scVI expects of the cells;
scvi, pairs of cells
    the library's own test of scVI, which compares pairs of cells;
svae_plus, populations
    that of the models of this library, for sVAE+.
"""

import argparse
from collections.abc import Iterator

import anndata as ad
import numpy as np
import pandas as pd
import scvi
import torch

from svae.contracts.setting import Setting
from svae.differential import DELTA, called, drawn_weights, log2_fold_changes
from svae.evaluation.metrics.differential import call_scores
from svae.files import write_table
from svae.methods.grid import fit_grid
from svae.methods.scvi_tools.screen import Screen
from svae.methods.scvi_tools.trained import TrainedSCVI
from svae.models import model_class
from svae.simulation import simulate
from svae.simulation.likelihood import true_changes
from svae.words import CONTROL

SCREEN = {
    "perturbations": 20,
    "cells_per_perturbation": 100,
    "control_cells": 400,
    "latents": 5,
    "hidden": 20,
    "genes": 60,
    "shift_mean": 1.0,
    "shift_sd": 0.2,
}
SEEDS = range(3)
NOMINAL = (0.01, 0.05, 0.1, 0.2)
EPOCHS = 100


def split_of(dataset: ad.AnnData, random: np.random.Generator) -> pd.DataFrame:
    """Train on nine cells in ten, and validate on the others."""
    part = np.where(random.uniform(size=dataset.n_obs) < 0.9, "train", "validation")
    labels = dataset.obs["perturbation"].astype(str).to_numpy()
    return pd.DataFrame({"cell": dataset.obs_names, "perturbation": labels, "part": part})


def of_populations(shares: np.ndarray, labels: pd.Series, random: np.random.Generator) -> pd.DataFrame:
    """Probability that a gene is moved, perturbation × gene, by shares of cells × genes."""
    means = {
        name: drawn_weights(int((labels == name).sum()), random) @ shares[labels == name]
        for name in sorted(labels.unique())
    }
    control = means.pop(CONTROL)
    rows = {
        name: (np.abs(log2_fold_changes(own, control)) > DELTA).mean(axis=0) for name, own in means.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def probabilities(dataset: ad.AnnData, seed: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each approach, and its probability that a gene is moved, perturbation × gene."""
    random = np.random.default_rng(seed)
    labels, split = dataset.obs["perturbation"].astype(str), split_of(dataset, random)
    counts = dataset.X.toarray()
    yield "cells", of_populations(counts / counts.sum(axis=1, keepdims=True), labels, random)
    scvi.settings.seed = seed
    options = {"n_latent": SCREEN["latents"], "max_epochs": EPOCHS}
    trained = TrainedSCVI(Screen.of(dataset, split), options, "cpu")
    yield "scvi, populations", of_populations(trained.shares(dataset.copy()), labels, random)
    by_library = trained.differential()
    assert by_library is not None  # there are control cells
    yield "scvi, pairs of cells", by_library["probability"]
    settings = [Setting("default", seed, {"n_latent": SCREEN["latents"]})]
    fit = fit_grid(model_class("svae_plus"), dataset, split, settings, accelerator="cpu")["default"]
    assert fit.differential is not None
    yield "svae_plus, populations", fit.differential["probability"]


def rows(seed: int) -> Iterator[tuple[int, str, float, float, float]]:
    """Draw a screen, and yield what each approach gives at each nominal FDR."""
    dataset, truth = simulate("screen", seed=seed, **SCREEN)
    for approach, probability in probabilities(dataset, seed):
        changes = true_changes(truth, list(probability.index), seed=seed)
        assert changes is not None  # the simulator tells
        moved = np.abs(changes) > DELTA
        for nominal in NOMINAL:
            scores = call_scores(called(probability, nominal).to_numpy(), moved)
            yield seed, approach, nominal, round(scores["fdr"], 4), round(scores["power"], 4)


def main() -> None:
    """Measure every draw, and write the table after each, so that none is lost."""
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    output, columns = parser.parse_args().output, ["draw", "approach", "nominal", "realised", "power"]
    tables = []
    for seed in SEEDS:
        tables.append(pd.DataFrame(rows(seed), columns=columns))
        write_table(pd.concat(tables), output)


if __name__ == "__main__":
    main()
