import numpy as np
import pytest
import torch
from scvi import REGISTRY_KEYS
from scvi.distributions import NegativeBinomial
from torch import nn

import svae
from svae.models.module import PerturbationVAE
from svae.models.priors import MaskedShift, SpikeAndSlabShift, StandardNormal
from svae.simulation import simulate


@pytest.fixture
def module():
    torch.manual_seed(0)
    return PerturbationVAE(6, SpikeAndSlabShift(3, 2, penalty=5.0), n_batch=2, n_hidden=8).eval()


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.poisson(torch.full((12, 6), 4.0)) + 1


def test_likelihood_is_that_of_the_negative_binomial_of_scvi(module, x):
    logit = torch.randn(12, 6)
    mean = x.sum(1, keepdim=True) * torch.softmax(logit, -1)
    expected = NegativeBinomial(mu=mean, theta=module.log_dispersion.exp()).log_prob(x).sum(-1)
    assert torch.allclose(module.log_probability(x, logit), expected, rtol=1e-4)


def test_kl_is_that_of_torch(module, x):
    prior_mean = torch.randn(12, 2)
    _, kl = module.elbo_terms(x, torch.zeros(12).long(), prior_mean, {"z": torch.zeros(12, 2)})
    q = torch.distributions.Normal(*module.encode(x))
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(prior_mean, 1.0)).sum(-1)
    assert torch.allclose(kl, expected, rtol=1e-4, atol=1e-5)


def test_the_batch_reaches_the_decoder_but_never_the_encoder(module, x):
    z = torch.randn(12, 2)
    assert not torch.allclose(
        module.decode(z, torch.zeros(12).long()), module.decode(z, torch.ones(12).long())
    )
    assert module.encoder.linear[0].in_features == 6


def test_batches_that_say_nothing_do_not_keep_a_model_from_its_data():
    """Steps and decay of a weight matrix depend on its shape, so covariates may not lengthen it."""
    cells = simulate(
        "screen",
        seed=987,
        perturbations=8,
        cells_per_perturbation=60,
        control_cells=60,
        latents=4,
        hidden=10,
        genes=30,
        shift_mean=2.0,
    ).dataset
    ends = {}
    for n_batches in (1, 30):
        cells.obs["batch"] = np.random.default_rng(0).integers(n_batches, size=cells.n_obs).astype(str)
        svae.VAE.setup_anndata(cells, "perturbation", batch_key="batch")
        torch.manual_seed(0)
        model = svae.VAE(cells, n_latent=4)
        model.train(max_epochs=30, accelerator="cpu", seed=0)
        ends[n_batches] = model.get_elbo(seed=0)
    assert ends[30] > ends[1] - 1


def test_the_perturbation_reaches_the_prior_alone(module, x):
    noise = {"z": torch.zeros(12, 2)}
    batch, means = torch.zeros(12).long(), torch.randn(2, 12, 2)
    first, second = (module.elbo_terms(x, batch, mean, noise) for mean in means)
    assert torch.equal(first[0], second[0])
    assert not torch.allclose(first[1], second[1])


def test_a_rotated_module_says_the_same(module, x):
    """Rotation moves latents, shifts and decoder together: what is decoded and every distance stay."""
    batch, perturbation = torch.arange(12) % 2, torch.arange(12) % 3
    mean, _ = module.encode(x)
    logit, shift = module.decode(mean, batch), module.prior.shift[perturbation]
    module.rotate_to_sparse_shifts(seed=0)
    rotated, _ = module.encode(x)
    assert not torch.allclose(rotated, mean, atol=1e-2)
    assert torch.allclose(module.decode(rotated, batch), logit, atol=1e-4)
    distance = (rotated - module.prior.shift[perturbation]).norm(dim=1)
    assert torch.allclose(distance, (mean - shift).norm(dim=1), atol=1e-4)


def test_the_dropout_that_is_passed_in_is_that_of_torch():
    torch.manual_seed(0)
    module = PerturbationVAE(5, StandardNormal(1, 2), n_hidden=4000, n_layers=1, dropout_rate=0.3)
    h, keep = torch.ones(2, 5), torch.rand(2, 1, 4000)
    without, dropped = module.encoder(h), module.encoder(h, keep=keep)
    alive = without > 0
    share = (dropped[alive] == 0).float().mean().item()
    assert share == pytest.approx(0.3, abs=0.03)
    scale = nn.Dropout(0.3)(torch.ones(10)).max()
    assert torch.allclose(dropped[dropped > 0], scale * without[dropped > 0])


def test_lightning_and_fleet_minimise_the_same_loss(module, x):
    tensors = {
        REGISTRY_KEYS.X_KEY: x,
        REGISTRY_KEYS.BATCH_KEY: torch.zeros(12, 1),
        REGISTRY_KEYS.LABELS_KEY: torch.ones(12, 1),
    }
    inference, _, output = module(tensors, loss_kwargs={"kl_weight": 0.3, "n_obs": 40})
    noise = {"z": (inference["z"] - inference["qz"].mean) / inference["qz"].stddev}
    loss = module.objective(x, torch.ones(12).long(), torch.zeros(12).long(), noise, 0.3, 40)
    assert output.loss.item() == pytest.approx(loss.item(), rel=1e-5)


def test_noise_is_the_generators_own():
    module = PerturbationVAE(6, MaskedShift(3, 2), n_hidden=8, dropout_rate=0.1)
    draws = [module.draw_noise(4, torch.Generator().manual_seed(5)) for _ in range(2)]
    assert set(draws[0]) == {"z", "mask", "keep"}
    assert all(torch.equal(draws[0][name], draws[1][name]) for name in draws[0])
