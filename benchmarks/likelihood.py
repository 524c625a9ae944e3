"""Measure what an exact likelihood costs, and how exact it is, as ratios taken on one machine in one run.

sVAE+ is trained by preset `tuned` on draw 0 of the paper's simulator. Held-out cells are then scored, after
adaptation to all cells of their perturbation, by

``encoder``
    1,000 samples of the encoder's posterior, as the released code does it,
``posterior``
    samples around each cell's own posterior, as the benchmark does it,

and under the true generator by the second. `difference` is that to 10,000 samples around each cell's own
posterior. Seconds are those of the processor, on one thread, and the fastest of some runs.

Run as `make bench`; columns: subject, estimator, samples, cells, seconds, log_likelihood (nats per
cell), effective_samples (median over cells), ratio (seconds / those of `encoder`), difference (nats per
cell).
"""

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeVar

import anndata as ad
import numpy as np
import pandas as pd
import torch

import svae
from svae.contracts.split import cells_of, held_out_cells, seen_cells
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.files import write_table
from svae.methods.anchors import FLOOR_FACTOR
from svae.models import transfer
from svae.models.model import PerturbationModel
from svae.posterior.likelihood import Likelihood
from svae.simulation import simulate
from svae.simulation.simulators.lopez2023 import Lopez2023

Result = TypeVar("Result")

HELD_OUT = SplitPlan(kind="named", held_out=["p80..p99"])
ENCODER_SAMPLES, EXACT_SAMPLES = 1_000, 10_000


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--cells", type=int, default=400, help="held-out cells to score")
    parser.add_argument("--samples", nargs="+", type=int, default=[250], help="samples of the posterior")
    parser.add_argument("--epochs", type=int, help="epochs of each stage instead of the preset's")
    parser.add_argument("--repeats", type=int, default=5, help="timings, of which the fastest counts")
    return parser.parse_args()


def trained_model(dataset: ad.AnnData, parts: pd.DataFrame, epochs: int | None) -> PerturbationModel:
    """Train sVAE+ by preset `tuned`, both stages, and adapt it to the held-out cells."""
    seen = dataset[dataset.obs_names.isin(seen_cells(parts).index)].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    svae.SVAEPlus.setup_anndata(seen, "perturbation")
    torch.manual_seed(0)
    model = svae.SVAEPlus(seen, penalty=50)
    indices = [
        np.flatnonzero(seen.obs_names.isin(cells_of(parts, part).index)) for part in ("train", "validation")
    ]
    model.train(epochs, external_indexing=indices, accelerator="cpu", seed=1)
    model.refit(accelerator="cpu", seed=2, **({} if epochs is None else {"refit_epochs": epochs}))
    model.adapt(dataset[dataset.obs_names.isin(held_out_cells(parts).index)].copy())
    return model


def timed(functions: Mapping[int, Callable[[], Result]], repeats: int) -> dict[int, tuple[float, Result]]:
    """Seconds of the processor of the fastest call of each function, and what it returned.

    The functions take turns, so that what else the machine does slows all of them.
    """
    times: dict[int, list[float]] = {key: [] for key in functions}
    results = {}
    for _ in range(repeats):
        for key, function in functions.items():
            start = time.process_time()
            results[key] = function()
            times[key].append(time.process_time() - start)
    return {key: (min(times[key]), results[key]) for key in functions}


def row(
    subject: str, estimator: str, samples: int, seconds: float, values: np.ndarray, effective: np.ndarray
) -> dict:
    """Describe estimates of cells, which have `effective` samples each."""
    return {
        "subject": subject,
        "estimator": estimator,
        "samples": samples,
        "cells": len(values),
        "seconds": seconds,
        "log_likelihood": values.mean(),
        "effective_samples": np.median(effective),
    }


def of_model(model: PerturbationModel, cells: ad.AnnData, samples: list[int], repeats: int) -> list[dict]:
    """Measure both estimators on a trained model."""
    observed, names = model.read_cells(cells)
    means = model.known_of(names)

    def encoder() -> Likelihood:
        estimate = transfer.estimate_by_encoder(model.module, observed, means, ENCODER_SAMPLES)
        unknown = torch.full_like(estimate.elbo, float("nan"))
        return Likelihood(estimate.log_likelihood, unknown, means)

    def exact(n_samples: int) -> Likelihood:
        return transfer.marginal_log_likelihood(model.module, observed, {"": means}, n_samples)[""]

    functions = {ENCODER_SAMPLES: encoder} | {n: partial(exact, n) for n in samples}
    results = timed(functions, repeats) | timed({EXACT_SAMPLES: partial(exact, EXACT_SAMPLES)}, 1)
    return [
        row(
            "sVAE+",
            "encoder" if n_samples == ENCODER_SAMPLES else "posterior",
            n_samples,
            seconds,
            estimate.log_likelihood.numpy(),
            estimate.effective_samples.numpy(),
        )
        for n_samples, (seconds, estimate) in results.items()
    ]


def of_simulator(cells: ad.AnnData, truth: ad.AnnData, samples: list[int]) -> list[dict]:
    """Measure the estimator on the true generator."""
    numbers = (*samples, FLOOR_FACTOR * samples[0], EXACT_SAMPLES)
    functions = {n: partial(Lopez2023.log_likelihood, cells, truth, n_samples=n) for n in numbers}
    return [
        row("true generator", "posterior", n, seconds, posterior.log_likelihood, posterior.effective_samples)
        for n, (seconds, posterior) in timed(functions, 1).items()
    ]


def compared(rows: list[dict]) -> pd.DataFrame:
    """Add the difference to the estimate with most samples, and the ratio to the time of the first row."""
    table = pd.DataFrame(rows)
    table["ratio"] = table["seconds"] / table["seconds"].iloc[0]
    table["difference"] = table["log_likelihood"] - table.groupby("subject")["log_likelihood"].transform(
        "last"
    )
    return table


def main() -> None:
    """Train, measure and write the table."""
    chosen = arguments()
    torch.set_num_threads(1)
    dataset, truth = simulate("lopez2023", seed=0)
    parts = split(dataset.obs["perturbation"], HELD_OUT, seed=0)
    model = trained_model(dataset, parts, chosen.epochs)
    scored = held_out_cells(parts).sample(chosen.cells, random_state=0).index
    cells = dataset[scored].copy()
    rows = of_model(model, cells, chosen.samples, chosen.repeats)
    rows += of_simulator(cells, truth[scored], chosen.samples)
    table = compared(rows)
    print(table.to_string())
    write_table(table, chosen.output)


if __name__ == "__main__":
    main()
