"""Measure how well the true latents can be recovered at all, on draws of the paper's simulator.

Two limits, for cells of the trained perturbations:

``posterior``
    The mean of the latents given the counts, under the true generator.
``supervised``
    A network that is trained on the true latents of the cells of part `train`.

Both are scored by the MCC on the cells of part `validation`. Writes one row per draw and limit: limit,
seed (of the draw), metric, value, cells (how many were scored).
"""

import argparse

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.neural_network import MLPRegressor

from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.metrics.latents import mean_matched_correlation
from svae.expression import log_normalised
from svae.files import write_table
from svae.simulation import simulate
from svae.simulation.simulators.lopez2023 import Lopez2023

HELD_OUT = SplitPlan(kind="named", held_out=["p80..p99"])
LIBRARY = 1e4


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--seeds", nargs="+", type=int, default=range(100, 110), help="draws of the data")
    parser.add_argument(
        "--samples", type=int, default=300, help="importance samples per cell of the posterior"
    )
    return parser.parse_args()


def posterior_mean(unseen: ad.AnnData, truth: ad.AnnData, samples: int) -> np.ndarray:
    """Return the mean of p(z | x) under the true generator, cells × latents."""
    return Lopez2023.log_likelihood(unseen, truth[unseen.obs_names], n_samples=samples).means


def supervised(trained: ad.AnnData, latents: np.ndarray, unseen: ad.AnnData) -> np.ndarray:
    """Return what a network that was shown the true `latents` of `trained` predicts for `unseen`."""
    expression = log_normalised(trained, LIBRARY)
    centre, scale = expression.mean(axis=0), expression.std(axis=0) + 1e-6
    network = MLPRegressor(hidden_layer_sizes=(256, 256), batch_size=256, early_stopping=True, random_state=0)
    network.fit((expression - centre) / scale, latents)
    return network.predict((log_normalised(unseen, LIBRARY) - centre) / scale)


def rows(seed: int, samples: int) -> pd.DataFrame:
    """Measure both limits on one draw."""
    dataset, truth = simulate("lopez2023", seed=seed)
    part = split(dataset.obs["perturbation"], HELD_OUT, seed=0)["part"]
    is_trained, is_unseen = (part == "train").to_numpy(), (part == "validation").to_numpy()
    true = np.asarray(truth.obsm["latents"])
    unseen = dataset[is_unseen]
    estimates = {
        "posterior": posterior_mean(unseen, truth, samples),
        "supervised": supervised(dataset[is_trained], true[is_trained], unseen),
    }
    return pd.DataFrame(
        {
            "limit": list(estimates),
            "seed": seed,
            "metric": "mcc_pearson",
            "value": [mean_matched_correlation(true[is_unseen], estimate) for estimate in estimates.values()],
            "cells": int(is_unseen.sum()),
        }
    )


def main() -> None:
    """Measure every draw, and write the table after each, so that none is lost."""
    chosen = arguments()
    tables = []
    for seed in chosen.seeds:
        tables.append(rows(seed, chosen.samples))
        write_table(pd.concat(tables), chosen.output)


if __name__ == "__main__":
    main()
