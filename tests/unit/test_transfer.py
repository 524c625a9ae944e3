import numpy as np
import pytest
import torch

from svae.models import transfer
from svae.models.module import PerturbationVAE
from svae.models.priors import DenseShift
from svae.training.cells import Cells


@pytest.fixture
def module():
    """One latent, so that every integral over it can be done on a grid."""
    torch.manual_seed(0)
    module = PerturbationVAE(5, DenseShift(2, 1), n_hidden=8).eval()
    torch.nn.init.normal_(module.expression_logit.weight, std=0.5)
    return module


@pytest.fixture
def cells():
    torch.manual_seed(1)
    return Cells(torch.poisson(torch.full((6, 5), 5.0)) + 1, torch.zeros(6).long(), torch.zeros(6).long())


@torch.no_grad()
def integral(module, cells, mean):
    """log ∫ p(x | z) Normal(z; mean, 1) dz on a fine grid."""
    z = torch.linspace(-12, 12, 4001)[:, None]
    logit = module.decode(z, torch.zeros(len(z)).long())[:, None, :]
    log_p = module.log_probability_constant(cells.x) + module.log_probability_kernel(cells.x, logit)
    log_prior = torch.distributions.Normal(mean, 1.0).log_prob(z)
    return torch.logsumexp(log_p + log_prior, 0) + np.log(24 / 4000)


def test_both_estimates_are_the_integral(module, cells):
    means = {"zero": torch.zeros(6, 1), "shifted": torch.full((6, 1), 0.5)}
    exact = transfer.marginal_log_likelihood(module, cells, means, n_samples=2000)
    for name, mean in (("zero", 0.0), ("shifted", 0.5)):
        expected = integral(module, cells, mean)
        assert torch.allclose(exact[name].log_likelihood, expected, atol=0.05)
        effective = exact[name].effective_samples
        assert ((effective >= 1) & (effective <= 2000)).all()
        by_encoder = transfer.estimate_by_encoder(module, cells, means[name], n_samples=20_000)
        assert torch.allclose(by_encoder.log_likelihood, expected, atol=0.05)


def test_more_samples_of_the_encoder_never_lower_the_bound_by_much(module, cells):
    few, many = (
        transfer.estimate_by_encoder(module, cells, torch.zeros(6, 1), n).log_likelihood.mean()
        for n in (1, 2000)
    )
    assert many > few


def test_chunks_change_nothing_but_the_draws(module, cells, monkeypatch):
    whole = transfer.estimate_by_encoder(module, cells, torch.zeros(6, 1), 5000).log_likelihood
    monkeypatch.setattr(transfer, "ROWS", {"cpu": 100_000})
    parts = transfer.estimate_by_encoder(module, cells, torch.zeros(6, 1), 5000).log_likelihood
    assert torch.allclose(whole, parts, atol=0.1)


def test_the_encoder_gives_reconstruction_and_elbo(module, cells):
    estimate = transfer.estimate_by_encoder(module, cells, torch.zeros(6, 1), n_samples=5000)
    mean, sd = module.encode(cells.x)
    z = mean + sd * torch.randn(5000, 6, 1)
    with torch.no_grad():
        logit = module.decode(z.flatten(0, 1), torch.zeros(30_000).long()).view(5000, 6, 5)
        expected = -(
            module.log_probability_constant(cells.x) + module.log_probability_kernel(cells.x, logit)
        ).mean(0)
    assert torch.allclose(estimate.reconstruction, expected, atol=0.2)
    draws = torch.stack([transfer.elbo(module, cells, torch.zeros(6, 1), seed) for seed in range(500)])
    assert torch.allclose(estimate.elbo, draws.mean(0), atol=0.2)
    assert (estimate.elbo < estimate.log_likelihood).all()


def test_adapted_shifts_are_where_gradient_descent_ends(module, cells):
    groups = torch.tensor([0, 0, 1, 1, 1, 0])
    shifts = transfer.adapted_shifts(module, cells, groups, 2)
    walked = torch.zeros(2, 1, requires_grad=True)
    descent = torch.optim.SGD([walked], lr=0.25)
    for _ in range(40):
        _, kl = module.elbo_terms(cells.x, cells.batch, walked[groups], {"z": torch.zeros(6, 1)})
        descent.zero_grad()
        kl.sum().backward()
        descent.step()
    assert torch.allclose(shifts, walked.detach(), atol=1e-3)
