"""scGen: arithmetic with mean latents."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from svae.contracts.setting import Setting
from svae.contracts.split import cells_of
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.expression import profile, pseudobulk
from svae.methods.autoencoders.fit import fit_autoencoder
from svae.methods.autoencoders.scgen import ScGen, log_expression
from svae.methods.options import ScGenOptions

OPTIONS = {
    "n_latent": 4,
    "n_hidden": 64,
    "n_layers": 1,
    "dropout_rate": 0.0,
    "max_epochs": 80,
    "patience": 80,
    "learning_rate": 5e-3,
    "batch_size": 16,
}


def screen(labels, seed=0):
    """Counts of cells in whose log rates the effects of A and B add up."""
    random = np.random.default_rng(seed)
    labels = np.repeat(labels, 60)
    log_rates = np.full((len(labels), 20), 1.5) + random.normal(0, 0.2, (len(labels), 1))
    for part, genes in (("A", slice(0, 5)), ("B", slice(5, 10)), ("C", slice(10, 15))):
        log_rates[[part in label.split("+") for label in labels], genes] += 1.0
    obs = pd.DataFrame(
        {"perturbation": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(len(labels))]
    )
    return ad.AnnData(random.poisson(np.exp(log_rates)).astype(np.float32), obs)


def test_the_loss_is_that_of_the_paper():
    x = torch.as_tensor(screen(["control"]).X[:7])
    torch.manual_seed(0)
    module = ScGen(x, ScGenOptions(n_latent=3, n_hidden=8, kl_weight=0.5)).eval()
    mean, log_variance = module.posterior(module.encoder(log_expression(x))).chunk(2, -1)
    noise = torch.randn(7, 3)
    decoded = module.decode(mean + (log_variance / 2).exp() * noise)
    kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
    expected = 0.5 * (log_expression(x) - decoded).square().sum(1) + 0.5 * 0.5 * kl
    torch.testing.assert_close(module.losses(x, {"z": noise}), expected)


def test_steps_that_add_up_predict_a_combination():
    """Nearer to its cells than the control is, and than either part alone."""
    dataset = screen(["control", "A", "B", "C", "A+B"])
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["A+B"]), seed=0)
    fit = fit_autoencoder("scgen", dataset, parts, Setting("s", 0, OPTIONS), "cpu")
    real = profile(pseudobulk(dataset, dataset.obs["perturbation"].astype(str)))
    combination = fit.predictions["combination"].loc["A+B"]

    def error(predicted):
        return np.abs(predicted - real.loc["A+B"]).mean()

    assert error(combination) < 0.8 * error(real.loc["control"])
    assert error(combination) < min(error(real.loc["A"]), error(real.loc["B"]))
    assert error(fit.predictions["adapted"].loc["A+B"]) < 0.8 * error(real.loc["control"])


def test_shifts_are_steps_away_from_the_control():
    dataset = screen(["control", "A", "B"])
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["B"]), seed=0)
    fit = fit_autoencoder("scgen", dataset, parts, Setting("s", 0, {**OPTIONS, "max_epochs": 2}), "cpu")
    np.testing.assert_allclose(fit.shifts.loc["control"], 0, atol=1e-5)
    seen = cells_of(parts, "train").index.union(cells_of(parts, "validation").index)
    latents = pd.DataFrame(fit.latents, dataset.obs_names).loc[seen]
    labels = dataset.obs["perturbation"][seen]
    step = latents[labels == "A"].mean() - latents[labels == "control"].mean()
    np.testing.assert_allclose(fit.shifts.loc["A"], step, atol=1e-4)


def test_without_control_cells_it_does_not_apply():
    dataset = screen(["A", "B", "C"])
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["C"]), seed=0)
    fit = fit_autoencoder("scgen", dataset, parts, Setting("s", 0, OPTIONS), "cpu")
    assert (fit.run.status, fit.run.message) == (
        "not_applicable",
        "it steps away from control cells, and there are no control cells",
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_equal_seeds_give_equal_latents(seed):
    dataset = screen(["control", "A", "B"])
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["B"]), seed=0)
    setting = Setting("s", seed, {**OPTIONS, "dropout_rate": 0.2, "max_epochs": 2})
    first, second = (
        fit_autoencoder("scgen", dataset, parts, setting, "cpu"),
        fit_autoencoder("scgen", dataset, parts, setting, "cpu"),
    )
    np.testing.assert_array_equal(first.latents, second.latents)
