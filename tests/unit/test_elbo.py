"""The best ELBO of a posterior with independent latents lies between any other and the likelihood."""

import pytest
import torch

from svae.models import transfer
from svae.models.module import PerturbationVAE
from svae.models.priors import DenseShift
from svae.training.cells import Cells


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    module = PerturbationVAE(12, DenseShift(2, 2), n_hidden=8).eval()
    torch.nn.init.normal_(module.expression_logit.weight, std=0.5)
    counts = torch.poisson(torch.full((30, 12), 20.0))
    return module, Cells(counts, torch.zeros(30).long(), torch.zeros(30).long()), torch.full((30, 2), 0.3)


def test_it_is_above_the_encoder_s_and_below_the_likelihood(model):
    encoder = transfer.estimate_by_encoder(*model, n_samples=500)
    best = transfer.independent_elbo(*model, n_samples=500)
    module, cells, means = model
    exact = transfer.marginal_log_likelihood(module, cells, {"": means}, 2000)[""]
    assert best.mean() > encoder.elbo.mean() + 0.05
    assert (best < exact.log_likelihood + 0.1).all()


def test_descent_finds_no_posterior_that_is_much_better(model):
    """Stochastic ascent of the ELBO over means and variances of each cell, from the encoder's."""
    module, cells, means = model
    best = transfer.independent_elbo(*model, n_samples=2000)
    with torch.no_grad():
        start, sd = module.encode(cells.x)
    location = start.clone().requires_grad_()
    log_sd = sd.log().clone().requires_grad_()
    noise = torch.randn(30, 64, 2, generator=torch.Generator().manual_seed(1))

    def elbo():
        z = location[:, None] + log_sd.exp()[:, None] * noise
        logit = module.decode(z.flatten(0, 1), torch.zeros(30 * 64).long())
        log_p = module.log_probability(cells.x.repeat_interleave(64, 0), logit).view(30, 64).mean(1)
        kl = 0.5 * (torch.exp(2 * log_sd) + (location - means) ** 2 - 1).sum(1) - log_sd.sum(1)
        return log_p - kl

    ascent = torch.optim.Adam([location, log_sd], lr=0.05)
    for _ in range(200):
        ascent.zero_grad()
        (-elbo().sum()).backward()
        ascent.step()
    assert (elbo().detach() - best).mean() < 0.15


def test_modes_are_the_model_s_own(model):
    module, cells, means = model
    modes = transfer.posterior_modes(module, cells, means)

    def log_joint(z):
        with torch.no_grad():
            log_p = module.log_probability(cells.x, module.decode(z, cells.batch))
        return log_p - 0.5 * (z - means).square().sum(1)

    nudges = 0.3 * torch.randn(20, 30, 2, generator=torch.Generator().manual_seed(0))
    nearby = torch.stack([log_joint(modes + nudge) for nudge in nudges]).amax(0)
    assert (nearby <= log_joint(modes) + 0.2).double().mean() > 0.9
    assert (log_joint(modes) > log_joint(transfer.posterior_means(module, cells, means))).all()
