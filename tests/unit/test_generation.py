"""Cells that a model draws: of the mean that it predicts, and of the spread of its distribution."""

import numpy as np
import pandas as pd
import pytest

import svae
from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.expression import profile
from svae.methods.grid import fit_grid
from svae.models import transfer
from svae.models.generation import draw_counts
from svae.simulation import simulate

SIZES = {"perturbations": 6, "latents": 2, "genes": 12, "hidden": 8, "cells_per_perturbation": 30}
OPTIONS = {"n_latent": 2, "n_hidden": 8, "max_epochs": 3, "refit_epochs": 1}


@pytest.fixture(scope="module")
def data():
    dataset, _ = simulate("screen", seed=0, control_cells=40, **SIZES)
    plan = SplitPlan(kind="named", held_out=["p4", "p5"])
    return dataset, split(dataset.obs["perturbation"], plan, seed=0)


@pytest.fixture(scope="module")
def model(data):
    dataset, parts = data
    seen = dataset[parts["part"].isin(["train", "validation"]).to_numpy()].copy()
    svae.SVAEPlus.setup_anndata(seen, "perturbation")
    model = svae.SVAEPlus(seen, n_latent=2, n_hidden=8)
    model.train(max_epochs=3, accelerator="cpu", seed=0)
    held_out = dataset[dataset.obs["perturbation"].isin(["p4"])].copy()
    model.adapt(held_out)
    model.adapted_ = {"p4": [20.0, -20.0]}
    return model


def test_the_mean_of_many_cells_is_the_predicted_profile(model):
    counts = draw_counts(model, ["p4", "nothing known"], 20_000, seed=0).toarray()
    found = profile(np.array([counts[:20_000].sum(axis=0), counts[20_000:].sum(axis=0)]))
    expected = model.get_profiles(["p4", "nothing known"], 20_000, seed=1).to_numpy()
    np.testing.assert_allclose(found, expected, atol=0.06)
    assert np.abs(expected[0] - expected[1]).max() > 0.2


def test_libraries_are_those_of_unperturbed_cells(model, data):
    dataset, _ = data
    libraries = np.asarray(dataset[dataset.obs["perturbation"] == "control"].X.sum(axis=1)).ravel()
    found = draw_counts(model, ["p4"], 5000, seed=0).sum(axis=1)
    assert found.mean() == pytest.approx(libraries.mean(), rel=0.05)


def test_counts_vary_as_the_negative_binomial_does(model, monkeypatch):
    """With the decoder at one place, variance = mean + mean² / dispersion."""
    module, one = model.module, model.read_cells(indices=[0])
    monkeypatch.setattr(module, "decode", lambda z, batch, known: z.new_zeros(len(z), 12))
    monkeypatch.setattr(type(model), "read_cells", lambda *_, **__: one)
    counts = draw_counts(model, ["p4"], 40_000, seed=0).toarray().astype(float)
    mean = one[0].x.sum().item() / 12
    dispersion = module.bounded_log_dispersion().exp().detach().numpy()
    np.testing.assert_allclose(counts.mean(axis=0), mean, rtol=0.1)
    np.testing.assert_allclose(counts.var(axis=0), mean + mean**2 / dispersion, rtol=0.15)


def test_a_fit_has_cells_on_each_basis(data):
    one, other = (
        fit_grid(model, *data, [Setting("a", 1, OPTIONS)], likelihood_samples=5, accelerator="cpu")["a"]
        for model in (svae.SVAEPlus, svae.VAE)
    )
    for fit in (one, other):
        assert set(fit.generated) == set(fit.predictions) == {"zero_shot", "adapted"}
        for cells in fit.generated.values():
            assert cells.counts.shape == (200, 12)
            assert pd.Series(cells.perturbation).value_counts().to_dict() == {"p4": 100, "p5": 100}
    assert (one.generated["zero_shot"].counts != one.generated["adapted"].counts).nnz > 0
    assert (other.generated["zero_shot"].counts != other.generated["adapted"].counts).nnz == 0, "no shifts"


def test_a_model_that_has_diverged_draws_nothing(data, monkeypatch):
    right = transfer.expected_shares
    monkeypatch.setattr(transfer, "expected_shares", lambda *a, **k: right(*a, **k) * float("nan"))
    fits = fit_grid(svae.VAE, *data, [Setting("a", 1, OPTIONS)], likelihood_samples=5, accelerator="cpu")
    assert (fits["a"].run.status, fits["a"].generated) == ("diverged", None)
    assert fits["a"].run.message == "a predicted profile is not finite"
