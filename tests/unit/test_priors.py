import pytest
import torch

from svae.models.priors import DenseShift, MaskedShift, SpikeAndSlabShift, StandardNormal


def test_standard_normal_ignores_the_perturbation():
    prior = StandardNormal(3, 2)
    assert torch.equal(prior.mean(torch.tensor([0, 2])), torch.zeros(2, 2))
    assert prior.penalty(10) == 0


def test_control_is_held_at_zero():
    for prior in (DenseShift(3, 2, control=1), MaskedShift(3, 2, control=1)):
        means = prior.mean(torch.tensor([0, 1]))
        assert torch.equal(means[0], prior.shift[0])
        assert torch.equal(means[1], torch.zeros(2))
    assert torch.equal(prior.targets()[1], torch.zeros(2))


def test_masks_are_drawn_with_their_probability():
    prior = MaskedShift(1, 1, initial_logit=1.0)
    torch.manual_seed(0)
    perturbation = torch.zeros(20_000, dtype=torch.long)
    drawn = (prior.mean(perturbation, torch.rand(20_000, 1, 1)) / prior.shift).round(decimals=5)
    assert set(drawn.unique().tolist()) <= {0.0, 1.0}
    assert drawn.mean().item() == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item(), abs=0.02)


def test_masks_are_the_more_probable_ones_without_noise_and_once_binarised():
    prior = MaskedShift(1, 2)
    prior.logit.data = torch.tensor([[-3.0, 3.0]])
    perturbation, noise = torch.zeros(50, dtype=torch.long), torch.full((50, 1, 2), 0.5)
    expected = prior.shift[0] * torch.tensor([0.0, 1.0])
    assert torch.equal(prior.mean(perturbation)[0], expected)
    prior.binarise()
    noise.uniform_()
    assert torch.equal(prior.mean(perturbation, noise), expected.expand(50, 2))
    assert prior.penalty(10) == 0


def test_the_gradient_passes_straight_through_a_drawn_mask():
    prior = MaskedShift(1, 1, initial_logit=0.0)
    prior.mean(torch.tensor([0]), torch.tensor([[[0.7]]])).sum().backward()
    soft = torch.sigmoid(torch.logit(torch.tensor(0.7)))
    assert prior.logit.grad.item() == pytest.approx((prior.shift * soft * (1 - soft)).item(), rel=1e-5)


def test_penalty_of_svae_is_the_mean_probability():
    prior = MaskedShift(4, 3, penalty=2.0, initial_logit=0.0)
    assert prior.penalty(100, kl_weight=0.1).item() == pytest.approx(1.0)  # never warmed up


def test_penalty_of_svae_plus_is_a_beta_density():
    prior = SpikeAndSlabShift(4, 3, penalty=7.0, initial_logit=0.3)
    density = torch.distributions.Beta(1.0, 7.0).log_prob(torch.sigmoid(prior.logit)).sum()
    assert prior.penalty(50, kl_weight=0.5).item() == pytest.approx(-0.5 * density.item() / 50, rel=1e-5)


def test_a_flat_beta_prior_penalises_nothing():
    assert SpikeAndSlabShift(4, 3, penalty=1.0).penalty(50).item() == pytest.approx(0.0, abs=1e-7)
