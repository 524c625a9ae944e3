"""The estimator of likelihoods: against integrals on a grid, derivatives by differences, and itself."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from svae.models.folded import count_network, observe
from svae.models.module import PerturbationVAE
from svae.models.priors import StandardNormal
from svae.posterior import likelihood, observed
from svae.posterior.likelihood import marginal_log_likelihood
from svae.posterior.modes import log_joint, posterior_modes
from svae.posterior.network import Affine, CountNetwork
from svae.posterior.observed import ObservedCells
from svae.posterior.prior import NormalPrior
from svae.posterior.proposal import StudentMixture, propose
from svae.simulation.decoder import CountDecoder
from svae.simulation.posterior import count_network as network_of_simulator
from svae.training.cells import Cells

KINDS = ["poisson within cells", "poisson over cells", "negative binomial"]


def network(kind, latents=2, genes=6, hidden=5, batches=1, slope=0.2):
    """A random network with two hidden layers, in double precision."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    sizes = [latents, hidden, hidden, genes]
    layers = [
        Affine(draw(fan_in, fan_out) / fan_in**0.5, draw(batches, fan_out) / 2)
        for fan_in, fan_out in pairwise(sizes)
    ]
    dispersion = draw(genes).exp() + 1 if kind == "negative binomial" else None
    return CountNetwork(layers, slope, dispersion, within_cells=kind != "poisson over cells")


def cells_of(kind, n_cells=5, **changes):
    net = network(kind, **changes)
    batches = len(net.layers[0].bias)
    generator = torch.Generator().manual_seed(1)
    counts = torch.poisson(torch.full((n_cells, net.genes), 4.0, dtype=torch.float64), generator)
    library = counts.sum(1).clamp(min=1e-6) if net.within_cells else None
    return ObservedCells.of(net, counts, torch.arange(n_cells) % batches, library)


def means_of(cells, shift=0.5):
    return torch.full((len(cells), cells.network.latents), shift, dtype=torch.float64)


def by_quadrature(cells, prior):
    """Log p(x) of each cell, summed over a fine grid of two latents."""
    axis = torch.linspace(-9, 9, 181, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis).expand(len(cells), -1, -1)
    return torch.logsumexp(log_joint(cells, prior, grid), 1) + 2 * np.log(float(axis[1] - axis[0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("precision", [None, torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)])
def test_the_estimate_is_the_integral(kind, precision):
    cells = cells_of(kind)
    means = means_of(cells)
    priors = {"near": NormalPrior(means, precision), "far": NormalPrior(means - 3, precision)}
    estimates = marginal_log_likelihood(cells, priors, means, n_samples=6_000)
    for name, prior in priors.items():
        torch.testing.assert_close(
            estimates[name].log_likelihood, by_quadrature(cells, prior), atol=0.1, rtol=0
        )
        assert (estimates[name].effective_samples > 150).all()
        assert (estimates[name].effective_samples <= 6_000).all()


def test_cells_may_have_priors_of_different_precision():
    cells = cells_of("poisson within cells", n_cells=2)
    of_cells = torch.stack([2 * torch.eye(2), 0.5 * torch.eye(2)]).double()
    prior = NormalPrior(means_of(cells), of_cells)
    estimate = marginal_log_likelihood(cells, {"": prior}, prior.mean, 6_000)[""]
    torch.testing.assert_close(estimate.log_likelihood, by_quadrature(cells, prior), atol=0.1, rtol=0)
    each = [by_quadrature(cells[[i]], NormalPrior(prior.mean[[i]], of_cells[i])) for i in range(2)]
    torch.testing.assert_close(by_quadrature(cells, prior), torch.cat(each))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batches", [1, 2])
def test_scores_and_information_are_derivatives(kind, batches):
    cells = cells_of(kind, batches=batches)
    z = means_of(cells)[:, None] + torch.tensor([[0.0, 0.1], [0.7, -0.2]], dtype=torch.float64)
    nudges = 1e-6 * torch.eye(2, dtype=torch.float64)
    slopes = [(cells.log_likelihood(z + nudge) - cells.log_likelihood(z - nudge)) / 2e-6 for nudge in nudges]
    torch.testing.assert_close(cells.score(z), torch.stack(slopes, -1), atol=1e-5, rtol=1e-5)
    score, information = cells.score_and_information(z[:, 0])
    torch.testing.assert_close(score, cells.score(z)[:, 0])
    # Within a piece of the network, the information is what the score loses when the counts are the means.
    logit, _ = cells.network.run(z[:, :1], cells.batch)
    mean = logit.exp()
    if cells.network.within_cells:
        mean = torch.softmax(logit, -1) * cells.library[:, None, None]
    expected = ObservedCells.of(cells.network, mean[:, 0], cells.batch, cells.library)
    losses = [
        (expected.score(z[:, :1] - nudge) - expected.score(z[:, :1] + nudge))[:, 0] / 2e-6 for nudge in nudges
    ]
    torch.testing.assert_close(information, torch.stack(losses, 1), atol=1e-4, rtol=1e-4)


def test_modes_are_stationary():
    cells = cells_of("poisson within cells", n_cells=40, latents=3, genes=20)
    prior = NormalPrior(means_of(cells))
    modes = posterior_modes(cells, prior, prior.mean)
    nudges = 1e-3 * torch.randn(40, 30, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    at_mode = log_joint(cells, prior, modes[:, None])
    better = log_joint(cells, prior, modes[:, None] + nudges).amax(1) > at_mode[:, 0] + 1e-2
    assert better.double().mean() < 0.05  # at a kink, no step along the Hessian may lead up


def model(slope=0.2, normalised=True, n_batch=2):
    """A model whose BatchNorm has seen data, so that folding it changes something."""
    torch.manual_seed(0)
    module = PerturbationVAE(6, StandardNormal(1, 2), n_batch, n_hidden=5, slope=slope, batch_norm=normalised)
    module.decode(torch.randn(100, 2) + 1, torch.randint(max(1, n_batch), (100,)))
    return module.eval()


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("n_batch", [0, 2])
def test_a_model_is_handed_over_as_it_is(normalised, n_batch):
    module = model(normalised=normalised, n_batch=n_batch)
    cells = Cells(torch.poisson(torch.full((4, 6), 5.0)), torch.zeros(4).long(), torch.tensor([0, 1, 0, 1]))
    z = torch.randn(4, 3, 2)
    with torch.no_grad():
        expected = torch.stack(
            [module.log_probability(cells.x, module.decode(z[:, s], cells.batch)) for s in range(3)], 1
        )
    torch.testing.assert_close(observe(module, cells).log_likelihood(z), expected, atol=1e-4, rtol=1e-5)


def estimate_with(net, counts, library):
    cells = ObservedCells.of(net, counts, library=library)
    prior = NormalPrior(torch.zeros(len(counts), net.latents, dtype=counts.dtype))
    return marginal_log_likelihood(cells, {"": prior}, prior.mean, 6_000)[""].log_likelihood


def test_a_model_and_a_simulator_with_one_network_have_one_likelihood():
    random = np.random.default_rng(0)
    weights = tuple(random.normal(size=shape) / 2 for shape in [(2, 5), (5, 5), (5, 5), (5, 6)])
    decoder = CountDecoder(weights, dispersion=3.0)
    module = PerturbationVAE(6, StandardNormal(1, 2), n_hidden=5, n_layers=3, slope=0.2, batch_norm=False)
    with torch.no_grad():
        for linear, weight in zip([*module.decoder.linear, module.expression_logit], weights, strict=True):
            linear.weight.copy_(torch.as_tensor(weight.T))
            linear.bias.zero_()
        module.log_dispersion.fill_(np.log(3.0))
    counts = random.poisson(5.0, (4, 6)).astype(float)
    library = counts.sum(1)
    of_simulator, of_model = (
        estimate_with(net, torch.tensor(counts, dtype=dtype), torch.tensor(library, dtype=dtype))
        for net, dtype in (
            (network_of_simulator(decoder), torch.float64),
            (count_network(module), torch.float32),
        )
    )
    np.testing.assert_allclose(of_simulator, of_model, atol=0.05)
    # The simulator's own rates are those of the network it hands over.
    z = random.normal(size=(4, 1, 2))
    logit, _ = network_of_simulator(decoder).run(torch.as_tensor(z), torch.zeros(4).long())
    np.testing.assert_allclose(
        torch.log_softmax(logit, -1) + np.log(library)[:, None, None], decoder.log_rates(z, library[:, None])
    )


def test_a_seed_is_an_estimate():
    cells = cells_of("negative binomial")
    prior = NormalPrior(means_of(cells))
    first, again, other = (
        marginal_log_likelihood(cells, {"": prior}, prior.mean, 50, seed)[""].log_likelihood
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_chunks_change_nothing_but_the_draws(monkeypatch):
    cells = cells_of("negative binomial", n_cells=7)
    prior = NormalPrior(means_of(cells))
    whole = marginal_log_likelihood(cells, {"": prior}, prior.mean, 3000)[""].log_likelihood
    z = torch.randn(7, 11, 2, dtype=torch.float64)
    terms, scores = cells.log_likelihood(z), cells.score(z)
    monkeypatch.setattr(likelihood, "DRAWN", {"cpu": 12_000})
    monkeypatch.setattr(observed, "NUMBERS", {"cpu": 20})  # tiles of three samples, less than a cell has
    torch.testing.assert_close(cells.log_likelihood(z), terms)
    torch.testing.assert_close(cells.score(z), scores)
    in_parts = marginal_log_likelihood(cells, {"": prior}, prior.mean, 3000)[""].log_likelihood
    torch.testing.assert_close(whole, in_parts, atol=0.1, rtol=0)


def test_samples_are_drawn_from_the_density_that_weighs_them():
    """The mean of density ratios between two mixtures is 1, and the share of each component is even."""
    generator = torch.Generator().manual_seed(0)
    root = torch.tensor([[[1.0, 0.0], [0.5, 0.7]]], dtype=torch.float64)
    here = StudentMixture(torch.tensor([[[0.0, 0.0], [3.0, 1.0]]], dtype=torch.float64), root, root.inverse())
    wide = StudentMixture(here.location + 0.3, 1.3 * root, (1.3 * root).inverse())
    z = wide.draw(200_000, generator)
    assert torch.exp(here.log_density(z) - wide.log_density(z)).mean() == pytest.approx(1, abs=0.01)
    assert (here.draw(40_000, generator)[0, :, 0] > 1.5).double().mean() == pytest.approx(0.5, abs=0.03)


def test_proposals_of_several_priors_cover_each_posterior():
    cells = cells_of("poisson within cells", n_cells=20, latents=3, genes=30)
    priors = [NormalPrior(means_of(cells, shift)) for shift in (-2.0, 2.0)]
    mixture = propose(cells, priors, means_of(cells, 0.0), 10, torch.Generator().manual_seed(0)).students
    alone = [posterior_modes(cells, prior, prior.mean) for prior in priors]
    away = [(mixture.location[:, i] - mode).norm(dim=1).median() for i, mode in enumerate(alone)]
    crossed = [(mixture.location[:, 1 - i] - mode).norm(dim=1).median() for i, mode in enumerate(alone)]
    assert max(away) < min(crossed)


def test_cells_without_counts_and_networks_of_nan_do_not_stop_the_others():
    cells = cells_of("negative binomial")
    cells = ObservedCells.of(
        cells.network,
        cells.counts * torch.tensor([1.0, 0, 1, 1, 1])[:, None],
        library=(cells.library * torch.tensor([1.0, 0, 1, 1, 1])).clamp(min=1e-6),
    )
    prior = NormalPrior(means_of(cells))
    estimate = marginal_log_likelihood(cells, {"": prior}, prior.mean, 100)[""]
    assert estimate.log_likelihood[1] == pytest.approx(0, abs=0.1)  # no counts were expected of it
    start = prior.mean.clone()
    start[2] = float("nan")
    estimate = marginal_log_likelihood(cells, {"": prior}, start, 100)[""]
    assert estimate.log_likelihood.isnan().tolist() == [False, False, True, False, False]
    spoilt = network("negative binomial")
    spoilt.layers[1].weight.fill_(float("nan"))
    cells = ObservedCells.of(spoilt, cells.counts, library=cells.library)
    assert marginal_log_likelihood(cells, {"": prior}, prior.mean, 100)[""].log_likelihood.isnan().all()


def test_posterior_means_come_with_the_estimate():
    cells = cells_of("poisson over cells")
    prior = NormalPrior(means_of(cells))
    axis = torch.linspace(-9, 9, 181, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    weights = torch.softmax(log_joint(cells, prior, grid.expand(len(cells), -1, -1)), 1)
    estimate = marginal_log_likelihood(cells, {"": prior}, prior.mean, 6_000)[""]
    torch.testing.assert_close(estimate.means, weights @ grid, atol=0.1, rtol=0)
