"""Does preset `paper` behave like the released code? One simulated dataset, the paper's size.

Data: the paper's simulator, seed 0; perturbations p80 to p99 are held out. Writes one row per number:
method, penalty, epochs (of the first stage), seed (of the model), metric, value. Run as `make fidelity`.
"""

import argparse

import pandas as pd
import torch

import svae
from svae.datasets.splits import split
from svae.files import write_table
from svae.grid import Setting, fit_grid
from svae.metrics import evaluate
from svae.simulation import simulate

METHODS = {
    "svae_plus": ("SVAEPlus", {"penalty": 100.0}),
    "ivae": ("IVAE", {}),
    "vae": ("VAE", {}),
}


SEEDS = (0, 1, 2)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--epochs", type=int, default=300, help="epochs of each stage")
    parser.add_argument("--samples", type=int, default=1000, help="Monte-Carlo samples of the likelihood")
    return parser.parse_args()


def rows(method: str, dataset, truth, parts: pd.DataFrame, chosen: argparse.Namespace) -> pd.DataFrame:
    """Fit one method with every seed, and measure it."""
    name, options = METHODS[method]
    options = options | {"preset": "paper", "max_epochs": chosen.epochs, "refit_epochs": chosen.epochs}
    settings = [Setting(f"seed {seed}", seed, options, restart=seed) for seed in SEEDS]
    fits = fit_grid(getattr(svae, name), dataset, parts, settings, chosen.samples)
    tables = []
    for setting in settings:
        fit = fits[setting.name]
        assert fit.history is not None
        keys = {"method": method, "penalty": options.get("penalty", ""), "epochs": len(fit.history)}
        values = evaluate(fit, parts, truth).dropna()
        tables.append(values.assign(**keys, seed=setting.seed)[[*keys, "seed", "metric", "value"]])
    return pd.concat(tables)


def main() -> None:
    """Fit all methods, and write the table after each, so that none is lost."""
    torch.set_num_threads(1)
    chosen = arguments()
    dataset, truth = simulate("lopez2023", seed=0)
    held_out = [f"p{k}" for k in range(80, 100)]
    parts = split(dataset.obs["perturbation"], "named", seed=0, held_out=held_out)
    tables = []
    for method in METHODS:
        tables.append(rows(method, dataset, truth, parts, chosen))
        write_table(pd.concat(tables), chosen.output)


if __name__ == "__main__":
    main()
