"""DCA: a count autoencoder that denoises."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scvi.distributions import ZeroInflatedNegativeBinomial
from torch.nn.functional import softplus

from svae.contracts.setting import Setting
from svae.contracts.split import cells_of
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.methods.autoencoders.dca import DCA
from svae.methods.autoencoders.fit import fit_autoencoder, train
from svae.methods.options import DCAOptions
from svae.training.plan import TrainingPlan

N_CELLS, N_GENES = 400, 30


@pytest.fixture(scope="module")
def screen():
    """Counts whose rates follow two latents, the rates themselves, and a split of the cells."""
    random = np.random.default_rng(0)
    labels = np.resize(["control", "A", "B", "C"], N_CELLS)
    latents = (
        random.normal(size=(N_CELLS, 2)) + np.select([labels == "A", labels == "B"], [1.0, -1.0])[:, None]
    )
    rates = np.exp(0.5 + 0.6 * latents @ random.normal(size=(2, N_GENES)))
    obs = pd.DataFrame({"perturbation": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(N_CELLS)])
    dataset = ad.AnnData(random.poisson(rates).astype(np.float32), obs)
    dataset.X[dataset.X.sum(1) == 0, 0] = 1
    return dataset, split(obs["perturbation"], SplitPlan(kind="named", held_out=["C"]), seed=0), rates


def test_the_loss_is_that_of_a_zero_inflated_negative_binomial(screen):
    torch.manual_seed(0)
    x = torch.as_tensor(screen[0].X[:50])
    module = DCA(x, DCAOptions(n_latent=2)).eval()
    h = module.decode(x)
    parameters = {
        "mu": module.mean(h, x),
        "theta": softplus(module.dispersion(h)),
        "zi_logits": module.dropout(h),
    }
    known = ZeroInflatedNegativeBinomial(**parameters).log_prob(x)
    torch.testing.assert_close(module.losses(x, {}), -known.mean(-1), rtol=1e-4, atol=1e-4)


def test_denoised_shares_are_nearer_to_the_true_rates_than_counts_are(screen):
    dataset, parts, rates = screen
    torch.manual_seed(0)
    is_training = dataset.obs_names.isin(cells_of(parts, "train").index)
    module = DCA(torch.as_tensor(dataset.X[is_training]), DCAOptions(n_latent=2, zero_inflated=False))
    plan = TrainingPlan(max_epochs=40, batch_size=32, warmup_epochs=0, keep="best")
    train(module, dataset, parts, plan, seed=0, accelerator="cpu")
    true = rates / rates.sum(1, keepdims=True)
    counted = dataset.X / dataset.X.sum(1, keepdims=True)
    tested = dataset.obs_names.isin(cells_of(parts, "test").index)
    error = np.abs(module.shares(dataset) - true)[tested].mean()
    assert error < 0.6 * np.abs(counted - true)[tested].mean()


def test_a_fit_has_latents_and_predictions(screen):
    dataset, parts, _ = screen
    fit = fit_autoencoder("dca", dataset, parts, Setting("s", 1, {"n_latent": 3, "max_epochs": 2}), "cpu")
    assert fit.latents.shape == (N_CELLS, 3)
    assert list(fit.predictions["adapted"].index) == ["C"]
    assert fit.history["validation"].notna().all()


def test_an_unknown_option_is_told(screen):
    with pytest.raises(BenchmarkError, match="method 'dca', setting 's': unknown key 'widht'"):
        fit_autoencoder("dca", *screen[:2], Setting("s", 1, {"widht": 3}), "cpu")
