"""Latents that are kept independent of a nuisance."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import svae
from svae.errors import BenchmarkError
from svae.models.independence import hsic


def test_the_criterion_is_that_of_its_definition():
    """The mean of products of centred kernels, written out."""
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(30, 3, generator=random), torch.randn(30, 1, generator=random)

    def centred(points, width):
        kernel = torch.exp(-(torch.cdist(points, points) ** 2) / (2 * width**2))
        centring = torch.eye(30) - 1 / 30
        return centring @ kernel @ centring

    # Mean distances of two standard normal vectors, of three dimensions and of one.
    widths = np.sqrt(16 / np.pi), np.sqrt(4 / np.pi)
    expected = (centred(a, widths[0]) * centred(b, widths[1])).mean()
    assert hsic(a, b).item() == pytest.approx(expected.item(), rel=1e-4)


def test_the_criterion_tells_dependence_that_no_correlation_shows():
    a = torch.linspace(-2, 2, 200)[:, None]
    shuffled = a[torch.randperm(200, generator=torch.Generator().manual_seed(0))]
    assert hsic(a, a.square()) > 10 * hsic(a, shuffled.square())


def batches(seed=0):
    """Counts of two batches, in one of which half of the genes are higher."""
    random = np.random.default_rng(seed)
    batch = np.tile(["one", "two"], 150)
    log_mean = np.full((300, 20), 1.0) + random.normal(0, 0.5, (300, 1)) * np.linspace(-1, 1, 20)
    log_mean[batch == "two", :10] += 1
    obs = pd.DataFrame(
        {"guide": pd.Categorical(np.resize(["A", "control"], 300)), "batch": pd.Categorical(batch)}
    )
    obs.index = [f"cell{i}" for i in range(300)]
    return ad.AnnData(random.poisson(np.exp(log_mean)).astype(np.float32), obs)


def test_dependence_on_the_batch_falls_and_the_elbo_pays_for_it():
    cells, dependence, elbo = batches(), {}, {}
    for independence in (0.0, 300.0):
        svae.HSICVAE.setup_anndata(cells, "guide", batch_key="batch")
        model = svae.HSICVAE(cells, n_latent=2, n_hidden=32, n_layers=1, independence=independence)
        model.train(max_epochs=40, accelerator="cpu", seed=0)
        latents = torch.as_tensor(model.get_latent_representation())
        one_hot = torch.as_tensor(pd.get_dummies(cells.obs["batch"]).to_numpy(dtype=np.float32))
        dependence[independence] = hsic(latents, one_hot).sqrt().item()
        elbo[independence] = model.get_elbo()
    assert dependence[300.0] < 0.5 * dependence[0.0]
    assert elbo[300.0] < elbo[0.0]


def test_the_trainers_minimise_one_loss():
    cells = batches()
    svae.HSICVAE.setup_anndata(cells, "guide", batch_key="batch")
    module = svae.HSICVAE(cells, n_latent=2, independence=50.0).module.eval()
    x, batch = torch.as_tensor(cells.X), torch.as_tensor(cells.obs["batch"].cat.codes.to_numpy()).long()
    mean, sd = module.encode(x)
    z = mean + sd
    before = super(type(module), module).objective(x, batch, batch, {"z": torch.ones_like(z)}, 1.0, 300)
    after = module.objective(x, batch, batch, {"z": torch.ones_like(z)}, 1.0, 300)
    assert (after - before).item() == pytest.approx(module.dependence(z, x, batch).item(), rel=1e-4)


def test_a_weight_below_zero_is_refused():
    cells = batches()
    svae.HSICVAE.setup_anndata(cells, "guide")
    with pytest.raises(BenchmarkError, match=r"HSICVAE: independence: .*greater than or equal to 0"):
        svae.HSICVAE(cells, independence=-1)
