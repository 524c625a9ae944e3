"""Models in which the shifts of a combination are the sums of those of its parts."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

import svae
from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.evaluation.comparison import Comparison
from svae.evaluation.metrics.targets import target_scores
from svae.methods.grid import fit_grid
from svae.models.priors import BernoulliNormalShift, MaskedShift, NormalShift
from svae.simulation import simulate

PARTS = [[0], [], [0, 1], [1]]  # A, the control, A+B, B


def test_a_perturbation_has_the_shifts_of_its_parts():
    prior = NormalShift(4, 3, control=1, parts=PARTS)
    means = prior.mean(torch.tensor([0, 1, 2, 3]))
    assert prior.shift.shape == (2, 3)
    assert torch.equal(means[0], prior.shift[0])
    assert torch.equal(means[1], torch.zeros(3))
    torch.testing.assert_close(means[2], prior.shift[0] + prior.shift[1])


def test_a_combination_has_the_targets_of_any_of_its_parts():
    prior = MaskedShift(4, 2, control=1, parts=PARTS)
    prior.logit.data = torch.logit(torch.tensor([[0.9, 0.1], [0.5, 0.1]]))
    expected = [[0.9, 0.1], [0.0, 0.0], [1 - 0.1 * 0.5, 1 - 0.9 * 0.9], [0.5, 0.1]]
    torch.testing.assert_close(prior.targets(), torch.tensor(expected))


def test_the_masks_of_both_parts_are_drawn():
    prior = MaskedShift(4, 1, control=1, initial_logit=0.0, parts=PARTS)
    prior.shift.data = torch.tensor([[1.0], [10.0]])
    noise = torch.tensor([[[0.9], [0.1]], [[0.1], [0.9]], [[0.9], [0.9]]])
    assert prior.mean(torch.tensor([2, 2, 2]), noise)[:, 0].tolist() == pytest.approx([1, 10, 11])


def test_the_cost_of_a_normal_shift_is_its_distance_from_the_prior():
    prior = NormalShift(2, 2)
    prior.shift.data = torch.tensor([[3.0, 0.0], [0.0, 1.0]])
    assert prior.penalty(10, kl_weight=0.5).item() == pytest.approx(0.5 * 5 / 10)


def test_the_cost_of_an_open_mask_is_the_best_that_a_normal_posterior_of_the_shift_can_do():
    """The penalty is compared with a search over the variance of the posterior."""
    n, shift, rate = 40, 1.7, 0.2
    prior = BernoulliNormalShift(1, 1, target_probability=rate, initial_logit=0.4)
    prior.shift.data.fill_(shift)
    is_open = torch.sigmoid(torch.tensor(0.4))
    variance = torch.linspace(1e-3, 0.2, 20_000)
    of_shift = (n * variance + variance + shift**2 - 1 - variance.log()).min() / 2
    bernoulli = torch.distributions.Bernoulli
    of_mask = torch.distributions.kl_divergence(bernoulli(is_open), bernoulli(rate))
    assert prior.penalty(n).item() * n == pytest.approx((is_open * of_shift + of_mask).item(), rel=1e-4)


def test_a_mask_pays_for_the_cells_that_have_its_part():
    prior = BernoulliNormalShift(2, 1, shares=[0.1, 0.9], initial_logit=1.0)
    prior.shift.data.zero_()
    prior.penalty(1000).backward()
    rare, common = prior.logit.grad[:, 0].tolist()
    assert common > rare


def pairs(seed=0):
    """Counts of A, B, C, A+B and the control; each part moves genes of its own."""
    random = np.random.default_rng(seed)
    labels = np.repeat(["A", "B", "C", "A+B", "control"], 40)
    log_mean = np.full((len(labels), 12), 1.0)
    for part, genes in (("A", slice(0, 4)), ("B", slice(4, 8)), ("C", slice(8, 12))):
        log_mean[[part in label.split("+") for label in labels], genes] += 1.5
    obs = pd.DataFrame(
        {"perturbation": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(len(labels))]
    )
    return ad.AnnData(random.poisson(np.exp(log_mean)).astype(np.float32), obs)


@pytest.mark.parametrize("model_class", [svae.SAMSVAE, svae.CPAVAE])
def test_an_unseen_combination_has_a_shift_before_it_is_adapted_to(model_class):
    cells = pairs()
    seen = cells[cells.obs["perturbation"] != "A+B"].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    model_class.setup_anndata(seen, "perturbation")
    model = model_class(seen, n_latent=3)
    model.train(max_epochs=3, accelerator="cpu", seed=0)
    shifts = model.get_shifts()
    means = model.known_of(np.array(["A+B", "A", "A+D"]))
    assert [model.adds_up(name) for name in ("A+B", "A", "A+D", "control")] == [True, False, False, False]
    np.testing.assert_allclose(means[0], shifts.loc["A"] + shifts.loc["B"], rtol=1e-5)
    np.testing.assert_allclose(means[1], shifts.loc["A"], rtol=1e-5)
    np.testing.assert_array_equal(means[2], np.zeros(3))
    model.adapt(cells[cells.obs["perturbation"] == "A+B"])
    assert not np.allclose(model.known_of(np.array(["A+B"]))[0], means[0])


def test_parts_and_shares_are_those_of_the_cells():
    cells = pairs()
    svae.SAMSVAE.setup_anndata(cells, "perturbation")
    model = svae.SAMSVAE(cells, n_latent=2)
    assert model.perturbations_ == ["A", "A+B", "B", "C", "control"]
    found = model.prior_arguments()
    assert found["parts"] == [[0], [0, 1], [1], [2], []]
    assert found["shares"] == pytest.approx([0.4, 0.4, 0.2])


def test_a_screen_may_call_its_control_otherwise_and_a_perturbation_control():
    cells = pairs()
    cells.obs["perturbation"] = cells.obs["perturbation"].cat.rename_categories({"A+B": "D"})
    svae.SAMSVAE.setup_anndata(cells, "perturbation")
    model = svae.SAMSVAE(cells, n_latent=2, control="D")
    parts = dict(zip(model.perturbations_, model.prior_arguments()["parts"], strict=True))
    assert parts["D"] == []
    assert sorted(parts[name] for name in ("A", "B", "C", "control")) == [[0], [1], [2], [3]]


@pytest.mark.slow
def test_sams_vae_recovers_what_it_assumes():
    """Sparse shifts that add up: the targets of the parts, and pairs that it was not trained on."""
    sizes = {"perturbations": 50, "combinations": 10, "cells_per_perturbation": 100, "control_cells": 300}
    dataset, truth = simulate("screen", seed=0, latents=5, genes=100, hidden=20, shift_mean=2.0, **sizes)
    pairs = ["p00+p01", "p02+p03", "p04+p05", "p06+p07"]
    split = split_dataset(dataset, SplitPlan(kind="named", held_out=pairs), seed=0)
    options = {"preset": "tuned", "n_latent": 5, "n_hidden": 64, "max_epochs": 60, "refit_epochs": 8}
    setting = Setting("s", 1, {**options, "target_probability": 0.001})
    fit = fit_grid(svae.SAMSVAE, dataset, split, [setting], likelihood_samples=50, accelerator="cpu")["s"]

    seen = Comparison(fit, split, truth, 0)
    targets = [truth.uns["targets"].loc[seen.trained], fit.targets.loc[seen.trained]]
    scores = target_scores(*targets, seen.true_latents, seen.latents)
    assert scores["average_precision"] > 0.95
    assert scores["f1"] > 0.8
    for pair in pairs:
        adapted, first, second = fit.shifts.loc[[pair, *pair.split("+")]].to_numpy()
        cosine = adapted @ (first + second) / np.linalg.norm(adapted) / np.linalg.norm(first + second)
        assert cosine > 0.95, pair
