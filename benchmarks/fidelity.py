"""Measure what a training preset gives on one simulated dataset of the paper's size.

With preset `original` it tells whether our models behave like the released code (`make fidelity`), with
`tuned` what better training is worth (`make tuned`), and with `--options` what anything else would be.
Data: the paper's simulator, seed 0; perturbations p80 to p99 are held out. Writes one row per number:
method, penalty, epochs (of the first stage), seed (of the model), metric, value; label-free scores are
among the metrics.
"""

import argparse
from ast import literal_eval

import pandas as pd
import torch

import svae
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.restarts import agreement_of_restarts
from svae.files import write_table
from svae.methods.grid import Setting, fit_grid
from svae.simulation import simulate

METHODS = {"svae_plus": "SVAEPlus", "ivae": "IVAE", "vae": "VAE"}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS, help="what to fit")
    parser.add_argument("--preset", default="original", help="training preset")
    parser.add_argument("--penalty", type=float, default=100.0, help="s of sVAE+")
    parser.add_argument("--restarts", type=int, default=3, help="seeds of the models: 0, 1, …")
    parser.add_argument(
        "--options", nargs="*", default=[], help="of model or plan, as in dense=0 n_hidden=256"
    )
    parser.add_argument("--samples", type=int, default=1000, help="Monte-Carlo samples of the likelihood")
    return parser.parse_args()


def rows(method: str, dataset, truth, parts: pd.DataFrame, chosen: argparse.Namespace) -> pd.DataFrame:
    """Fit one method with every seed, and measure it."""
    penalty = {"penalty": chosen.penalty} if method == "svae_plus" else {}
    changes = {name: literal_eval(value) for name, value in (text.split("=") for text in chosen.options)}
    options = {"preset": chosen.preset, **penalty, **changes}
    settings = [Setting(f"seed {seed}", seed, options, restart=seed) for seed in range(chosen.restarts)]
    fits = fit_grid(getattr(svae, METHODS[method]), dataset, parts, settings, chosen.samples)
    agreement = agreement_of_restarts(fits, parts)
    tables = []
    for setting in settings:
        fit = fits[setting.name]
        assert fit.history is not None
        keys = {"method": method, "penalty": penalty.get("penalty", ""), "epochs": len(fit.history)}
        label_free = fit.selection | {"udr": agreement.get(setting.name, float("nan"))}
        scores = pd.DataFrame({"metric": label_free.keys(), "value": label_free.values()})
        values = pd.concat([compute_metrics(fit, parts, truth).dropna(), scores])
        tables.append(values.assign(**keys, seed=setting.seed)[[*keys, "seed", "metric", "value"]])
    return pd.concat(tables)


def main() -> None:
    """Fit all methods, and write the table after each, so that none is lost."""
    torch.set_num_threads(1)
    chosen = arguments()
    dataset, truth = simulate("lopez2023", seed=0)
    held_out = SplitPlan(kind="named", held_out=["p80..p99"])
    parts = split(dataset.obs["perturbation"], held_out, seed=0)
    tables = []
    for method in chosen.methods:
        tables.append(rows(method, dataset, truth, parts, chosen))
        write_table(pd.concat(tables), chosen.output)


if __name__ == "__main__":
    main()
