"""The discrepancy-VAE: steps on a graph of latents, learnt from samples that are not paired."""

import numpy as np
import pytest
import torch
from test_scgen import screen

from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.expression import profile, pseudobulk
from svae.methods.discrepancy_vae import DiscrepancyVAE, discrepancy, fit_discrepancy_vae, schedule
from svae.methods.options import DiscrepancyVAEOptions

OPTIONS = {"n_latent": 4, "n_hidden": 32, "max_epochs": 60, "learning_rate": 5e-3, "kl_weight": 0.01}


def fit(dataset, held_out, **options):
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=held_out), seed=0)
    return fit_discrepancy_vae(dataset, parts, Setting("s", 0, OPTIONS | options))


def test_the_discrepancy_is_that_of_the_paper():
    torch.manual_seed(0)
    a, b = torch.randn(4, 3) * 5, torch.randn(3, 3) * 5 + 2

    def kernel(one, other):
        distance = float((one - other).square().sum())
        return sum(np.exp(-distance / (2**i * 100 / 32)) for i in range(10))

    def mean(of_these, and_those):
        return np.mean([[kernel(one, other) for other in and_those] for one in of_these])

    expected = mean(a, a) + mean(b, b) - 2 * mean(a, b)
    assert float(discrepancy(a, b, 100.0)) == pytest.approx(expected, rel=1e-4)


def test_the_discrepancy_is_zero_for_equal_samples_and_grows_with_their_distance():
    a = torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    found = [float(discrepancy(a, a + shift, 1000.0)) for shift in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert found[0] == pytest.approx(0, abs=1e-5)
    assert found == sorted(found)
    assert found[1] > 1e-3


def test_latents_pass_their_steps_on_along_a_triangular_graph():
    torch.manual_seed(0)
    model = DiscrepancyVAE(6, 2, DiscrepancyVAEOptions(n_latent=3, n_hidden=4))
    model.edges.data = torch.randn(3, 3)
    assert torch.equal(model.graph(), torch.triu(model.graph(), 1))
    z = torch.randn(5, 3)
    u = z @ torch.linalg.inv(torch.eye(3) - model.graph())
    torch.testing.assert_close(u, z + u @ model.graph())
    torch.testing.assert_close(model.decode(z), model.decoder(u))
    targets, steps = model.parts(temperature=2.0)
    torch.testing.assert_close(targets.sum(1), torch.ones(2))
    torch.testing.assert_close(steps, targets)  # the strength begins at 1


def test_weights_rise_to_their_largest():
    options = DiscrepancyVAEOptions(n_latent=2, max_epochs=101)
    assert schedule(5, options)[0] == 0
    assert schedule(50, options)[0] == schedule(100, options)[0] == 10
    assert schedule(10, options)[1] == 0
    assert schedule(100, options)[1:] == (2, 5)
    assert schedule(0, options)[2] == 1


def test_steps_predict_combinations_and_perturbations_that_they_are_fitted_to():
    """Nearer to the perturbed cells than the control is."""
    dataset = screen(["control", "A", "B", "C", "A+B"])
    real = profile(pseudobulk(dataset, dataset.obs["perturbation"].astype(str)))
    made = fit(dataset, ["A+B"])
    wrong = np.abs(real.loc["control"] - real.loc["A+B"]).mean()
    for basis in ("adapted", "combination"):
        assert np.abs(made.predictions[basis].loc["A+B"] - real.loc["A+B"]).mean() < 0.8 * wrong, basis
    assert "zero_shot" not in made.predictions
    np.testing.assert_allclose(made.targets.sum(axis=1), 1, rtol=1e-5)
    assert list(made.targets.index) == ["A", "B", "C"]
    assert list(made.shifts.index) == ["A", "B", "C", "A+B"]
    assert made.targets.idxmax(axis=1).is_unique, "they move different genes"


def test_a_combination_that_was_trained_on_has_the_steps_of_its_parts():
    made = fit(screen(["control", "A", "B", "C", "A+B"]), ["C"], max_epochs=1)
    np.testing.assert_allclose(made.shifts.loc["A+B"], made.shifts.loc[["A", "B"]].sum(), rtol=1e-5)
    either = 1 - (1 - made.targets.loc[["A", "B"]]).prod()
    np.testing.assert_allclose(made.targets.loc["A+B"], either, rtol=1e-5)


def test_without_control_cells_it_does_not_apply():
    made = fit(screen(["A", "B", "C"]), ["C"])
    assert (made.run.status, made.run.message) == (
        "not_applicable",
        "it moves control cells, and there are no control cells to train on",
    )
