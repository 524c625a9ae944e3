"""Measure what fleets and batched likelihoods are worth, as ratios taken on one machine in one run.

Training: milliseconds per step and replica, on batches of 128 of 18,000 × 100 simulated cells, of the
Lightning trainer of scvi-tools on our module, and of fleets. Likelihood: microseconds per cell and
Monte-Carlo sample, of a loop over samples with the distributions of scvi-tools, and of ours.

Run as `make bench`; columns: benchmark, device, threads, baseline, value, unit, ratio (value / that of the
baseline).
"""

import argparse
import logging
import resource
import time
import warnings
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from scvi.distributions import NegativeBinomial
from torch.distributions import Normal

import svae
from svae.files import write_table
from svae.models import transfer
from svae.models.module import PerturbationVAE
from svae.models.priors import SpikeAndSlabShift
from svae.simulation import simulate
from svae.training import fleet
from svae.training.cells import count_tensor
from svae.training.presets import PRESETS, plan_with
from svae.training.stack import Stack

BATCH, LIKELIHOOD_CELLS, SAMPLES = 128, 200, 100
PRESET = "original"
"""The preset whose training both trainers can do."""


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--epochs", type=int, default=2, help="epochs of each timed training")
    parser.add_argument("--repeats", type=int, default=3, help="timings, of which the fastest counts")
    return parser.parse_args()


def fastest(function, repeats: int) -> float:
    """Seconds of the fastest of some calls: the one that others on the machine disturbed the least."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def lightning_step(adata, epochs: int, repeats: int) -> float:
    """Milliseconds per training step of the Lightning trainer, which does not validate here."""
    svae.SVAEPlus.setup_anndata(adata, "perturbation")
    cells = np.arange(adata.n_obs)

    def train(n_epochs):
        model = svae.SVAEPlus(adata, preset=PRESET)
        model.train(
            n_epochs,
            external_indexing=[cells, cells[:0]],
            accelerator="auto",
            trainer="lightning",
            batch_size=BATCH,
        )

    # The difference of two lengths leaves the cost of starting a trainer out.
    steps = epochs * (adata.n_obs // BATCH)
    long, short = (fastest(lambda n=n: train(n), repeats) for n in (2 * epochs, epochs))
    return 1000 * (long - short) / steps


def fleet_step(adata, cells: fleet.Cells, size: int, epochs: int, repeats: int) -> float:
    """Milliseconds per training step and replica of a fleet of the same models."""
    modules = [svae.SVAEPlus(adata, preset=PRESET).module for _ in range(size)]
    plan = plan_with(PRESETS[PRESET].plan, max_epochs=epochs, batch_size=BATCH)
    training = np.arange(len(cells))

    def train():
        fleet.train(modules, range(size), cells, training, training[:0], plan)

    return 1000 * fastest(train, repeats) / (epochs * (len(cells) // BATCH) * size)


@torch.no_grad()
def loop_over_samples(module: PerturbationVAE, cells: fleet.Cells) -> torch.Tensor:
    """Importance-weighted likelihood, one sample at a time, as the released code has it."""
    log_w = []
    for _ in range(SAMPLES):
        q = Normal(*module.encode(cells.x))
        z = q.sample()
        mean = cells.x.sum(1, keepdim=True) * torch.softmax(module.decode(z, cells.batch), -1)
        log_p = NegativeBinomial(mu=mean, theta=module.log_dispersion.exp()).log_prob(cells.x).sum(-1)
        log_w.append(log_p + Normal(0.0, 1.0).log_prob(z).sum(-1) - q.log_prob(z).sum(-1))
    return torch.logsumexp(torch.stack(log_w), 0) - np.log(SAMPLES)


def likelihood_costs(cells: fleet.Cells, n_perturbations: int, repeats: int) -> tuple[float, float]:
    """Microseconds per cell and sample of the loop and of ours, after checking that they agree."""
    module = PerturbationVAE(cells.x.shape[1], SpikeAndSlabShift(n_perturbations, 15)).to(cells.device).eval()
    part = cells[torch.arange(LIKELIHOOD_CELLS)]
    means = torch.zeros(LIKELIHOOD_CELLS, 15, device=cells.device)

    def ours():
        return transfer.estimate_by_encoder(module, part, means, SAMPLES).log_likelihood

    difference = (ours() - loop_over_samples(module, part)).mean().abs()
    assert difference < 1, f"the two estimates differ by {difference} nats"
    unit = 1e6 / (LIKELIHOOD_CELLS * SAMPLES)
    return (
        unit * fastest(lambda: loop_over_samples(module, part), repeats),
        unit * fastest(ours, repeats),
    )


def main() -> None:
    """Measure everything, print it, and write it down."""
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    chosen = arguments()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    adata = simulate("lopez2023", seed=0, perturbations=72).dataset
    n_perturbations = adata.obs["perturbation"].nunique()
    cells = fleet.Cells(
        count_tensor(adata.X),
        torch.as_tensor(adata.obs["perturbation"].cat.codes.to_numpy(), dtype=torch.int64),
        torch.zeros(adata.n_obs, dtype=torch.int64),
    ).to(device)

    rows: list[dict] = []

    def add(benchmark: str, value: float, unit: str, baseline: str | None = None):
        base = next((row["value"] for row in rows if row["benchmark"] == baseline), value)
        row = {"benchmark": benchmark, "device": device.type, "threads": torch.get_num_threads()}
        rows.append(row | {"baseline": baseline or "", "value": value, "unit": unit, "ratio": value / base})
        print(f"{benchmark}: {value:.3g} {unit}, {value / base:.2f} of {baseline or 'itself'}", flush=True)

    add("lightning", lightning_step(adata, chosen.epochs, chosen.repeats), "ms/step/replica")
    for size in (1, 4, 8, 16, *((64, 256) if device.type == "cuda" else ())):
        value = fleet_step(adata, cells, size, chosen.epochs, chosen.repeats)
        add(f"fleet of {size}", value, "ms/step/replica", "lightning")
    with patch.object(Stack, "is_alone", False):
        value = fleet_step(adata, cells, 1, chosen.epochs, chosen.repeats)
        add("fleet of 1, under vmap", value, "ms/step/replica", "fleet of 1")
    loop, ours = likelihood_costs(cells, n_perturbations, chosen.repeats)
    add("likelihood, loop over samples", loop, "µs/cell/sample")
    add("likelihood, batched", ours, "µs/cell/sample", "likelihood, loop over samples")
    add("peak memory", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "MB")
    write_table(pd.DataFrame(rows), chosen.output)


if __name__ == "__main__":
    main()
