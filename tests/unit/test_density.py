"""The density of counts against double and higher precision, from overdispersed to Poisson."""

import mpmath
import numpy as np
import pytest
import torch

from svae.models.module import PerturbationVAE
from svae.models.priors import StandardNormal
from svae.posterior import density

DISPERSIONS = np.logspace(-4, 9, 27)
MEANS = np.logspace(-6, 5, 12)
COUNTS = np.array([0, 1, 2, 3, 5, 10, 30, 100, 1_000, 10_000, 100_000], dtype=float)


@pytest.fixture(scope="module")
def grid():
    """Every count with every mean and dispersion; logarithms in single precision, as in training."""
    x, mean, theta = (axis.ravel() for axis in np.meshgrid(COUNTS, MEANS, DISPERSIONS))
    return [torch.as_tensor(v, dtype=torch.float32) for v in (x, np.log(mean), np.log(theta))]


def in_single_precision(x, log_mean, log_theta):
    return density.constant(x, log_theta) + density.kernel(x, log_mean, log_theta)


def exact(x, log_mean, log_theta):
    """The density to 40 digits."""
    values = []
    with mpmath.workdps(40):
        for count, log_mu, log_t in zip(x.tolist(), log_mean.tolist(), log_theta.tolist(), strict=True):
            mu, theta = mpmath.exp(log_mu), mpmath.exp(log_t)
            ratio = mpmath.loggamma(count + theta) - mpmath.loggamma(theta) - mpmath.loggamma(count + 1)
            values.append(
                float(ratio + count * (log_mu - log_t) - (count + theta) * mpmath.log1p(mu / theta))
            )
    return np.array(values)


def exact_gradients(x, log_mean, log_theta):
    """Derivatives by log μ and by log θ, to 40 digits."""
    by_mean, by_theta = [], []
    with mpmath.workdps(40):
        for count, log_mu, log_t in zip(x.tolist(), log_mean.tolist(), log_theta.tolist(), strict=True):
            mu, theta = mpmath.exp(log_mu), mpmath.exp(log_t)
            rest = (count - mu) / (mu + theta)
            by_mean.append(float(theta * rest))
            gammas = mpmath.digamma(count + theta) - mpmath.digamma(theta)
            by_theta.append(float(theta * (gammas - mpmath.log1p(mu / theta) - rest)))
    return np.array(by_mean), np.array(by_theta)


def test_density_is_right_over_the_whole_range(grid):
    """Within 1e-5 of its value, and 3e-6 of the count, which is what single precision holds."""
    x, expected = grid[0].numpy(), exact(*grid)
    error = np.abs(in_single_precision(*grid).numpy() - expected)
    assert (error < 2e-5 * (1 + np.abs(expected)) + 3e-6 * x).all()


def test_no_count_has_a_probability_above_one(grid):
    assert (in_single_precision(*grid) <= 1e-6).all()


def test_gradients_are_right_over_the_whole_range(grid):
    x, log_mean, log_theta = grid
    leaves = log_mean.clone().requires_grad_(), log_theta.clone().requires_grad_()
    found = torch.autograd.grad(in_single_precision(x, *leaves).sum(), leaves)
    size = 1 + (x + log_mean.exp()).numpy()  # of the terms that a derivative is the difference of
    for gradient, expected in zip(found, exact_gradients(*grid), strict=True):
        error = np.abs(gradient.numpy() - expected)
        assert (error < 1e-4 * np.abs(expected) + 1e-5 * size).all()


def test_a_large_dispersion_is_the_poisson(grid):
    x, log_mean, _ = grid
    poisson = torch.distributions.Poisson(log_mean.double().exp()).log_prob(x.double())
    largest = torch.full_like(x, np.log(density.LARGEST_DISPERSION))
    near = (x <= 1000) & (log_mean <= np.log(1000))
    found = in_single_precision(x, log_mean, largest).double()
    assert torch.allclose(found[near], poisson[near], rtol=1e-5, atol=5e-3)


def test_density_runs_under_vmap(grid):
    x, log_mean, log_theta = (values[:200].view(2, 100) for values in grid)
    assert torch.equal(
        torch.vmap(in_single_precision)(x, log_mean, log_theta), in_single_precision(x, log_mean, log_theta)
    )


@pytest.mark.parametrize("log_dispersion", [-50.0, 12.0, 19.0, 60.0])
def test_a_module_whose_dispersion_ran_away_still_tells_probabilities(log_dispersion):
    """At 19 the reconstruction once came out millions of nats too good."""
    torch.manual_seed(0)
    module = PerturbationVAE(8, StandardNormal(1, 2), n_hidden=8).eval()
    torch.nn.init.constant_(module.log_dispersion, log_dispersion)
    x, logit = (
        torch.poisson(torch.full((50, 8), 0.5)) + torch.eye(8)[torch.arange(50) % 8],
        torch.randn(50, 8),
    )
    log_mean = torch.log_softmax(logit, 1) + x.sum(1, keepdim=True).log()
    bounded = torch.full_like(x, np.clip(log_dispersion, np.log(1e-4), np.log(1e9)))
    expected = exact(*(values.flatten() for values in (x, log_mean, bounded))).reshape(x.shape).sum(1)
    assert module.log_probability(x, logit).detach().numpy() == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_a_cell_without_counts_is_certain_and_breaks_nothing():
    module = PerturbationVAE(8, StandardNormal(1, 2), n_hidden=8).eval()
    logit = torch.randn(1, 8, requires_grad=True)
    value = module.log_probability(torch.zeros(1, 8), logit)
    value.sum().backward()
    assert value.item() == pytest.approx(0.0, abs=1e-4)
    assert logit.grad.isfinite().all()
    assert module.log_dispersion.grad.isfinite().all()
