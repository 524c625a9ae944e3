from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

import svae
from svae.contracts.fit import validate
from svae.contracts.fit_parts import LIKELIHOODS
from svae.contracts.setting import Setting
from svae.contracts.split import seen_cells
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.expression import TARGET_SUM
from svae.methods import grid
from svae.methods.grid import fit_grid
from svae.methods.held_out import PROFILE_SAMPLES
from svae.models import transfer
from svae.seeds import seed_from
from svae.simulation import simulate

SHORT = {"n_latent": 3, "n_hidden": 16, "max_epochs": 3, "refit_epochs": 1}


@pytest.fixture(scope="module")
def data():
    dataset = simulate(
        "lopez2023", seed=0, perturbations=6, latents=3, genes=20, hidden=8, cells_per_perturbation=30
    ).dataset
    return dataset, split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["p4", "p5"]), seed=0)


def fit(data, settings, model=svae.SVAEPlus):
    return fit_grid(model, *data, settings, likelihood_samples=50, accelerator="cpu")


def test_every_setting_gives_a_fit_that_keeps_the_contract(data):
    settings = [
        Setting("small.r0", 1, SHORT | {"penalty": 2.0}),
        Setting("small.r1", 2, SHORT | {"penalty": 2.0}, restart=1),
        Setting("wide", 3, SHORT | {"penalty": 9.0, "n_latent": 4, "max_epochs": 2}),
    ]
    fits = fit(data, settings)
    assert list(fits) == [setting.name for setting in settings]
    for name, result in fits.items():
        validate(result, name, data[0].obs_names)
        assert result.run.status == "ok"
        assert np.isfinite(result.selection["validation_likelihood"])
    assert fits["wide"].latents.shape[1] == 4
    assert len(fits["wide"].history) == 2


def test_a_model_that_is_kept_predicts_what_its_fit_does(data, tmp_path):
    dataset, parts = data
    settings = [Setting("a", 1, SHORT | {"penalty": 2.0}), Setting("b", 2, SHORT | {"beta": 1e9})]
    folders = {setting.name: tmp_path / setting.name for setting in settings}
    fits = fit_grid(svae.SVAEPlus, *data, settings, accelerator="cpu", model_folders=folders)
    seen = dataset[dataset.obs_names.isin(seen_cells(parts).index)].copy()
    model = svae.SVAEPlus.load(folders["a"], seen)
    predicted = fits["a"].predictions["adapted"]
    seed = seed_from(1, "profiles")
    pd.testing.assert_frame_equal(model.get_profiles(list(predicted.index), PROFILE_SAMPLES, seed), predicted)
    assert folders["b"].is_dir() == (fits["b"].run.status == "ok")


def test_the_company_of_other_settings_changes_nothing(data):
    chosen = Setting("a", 1, SHORT | {"penalty": 2.0})
    alone = fit(data, [chosen])["a"]
    together = fit(data, [Setting("b", 7, SHORT | {"penalty": 5.0}), chosen])["a"]
    assert together.latents == pytest.approx(alone.latents, abs=1e-3)


def test_scores_are_where_the_protocols_put_them(data):
    dataset, parts = data
    result = fit(data, [Setting("a", 1, SHORT)])["a"]
    part = parts.set_index("cell")["part"].loc[dataset.obs_names].to_numpy()
    for column in LIKELIHOODS:
        scored = {"test"} if column.endswith("clean") else {"adapt", "test"}
        assert set(part[result.scores[column].notna().to_numpy()]) == scored
    means = result.scores.mean()
    assert means["log_likelihood_same_cells"] > means["elbo"]
    assert means["log_likelihood_same_cells"] != means["log_likelihood_zero_shot"]
    assert result.scores["effective_samples"].max() <= 50


def test_predictions_move_with_the_shift_that_the_cells_of_a_perturbation_suggest(data):
    dataset, _ = data
    result = fit(data, [Setting("a", 1, SHORT)])["a"]
    zero_shot, adapted = result.predictions["zero_shot"], result.predictions["adapted"]
    for table in (zero_shot, adapted):
        assert table.index.tolist() == ["p4", "p5"]
        assert table.columns.equals(dataset.var_names)
        np.testing.assert_allclose(np.expm1(table).sum(axis=1), TARGET_SUM, rtol=1e-5)
    np.testing.assert_array_equal(zero_shot.loc["p4"], zero_shot.loc["p5"])
    assert not np.allclose(adapted.loc["p4"], adapted.loc["p5"], atol=1e-4)
    again = fit(data, [Setting("a", 1, SHORT)])["a"]
    np.testing.assert_array_equal(again.predictions["adapted"], adapted)


def test_a_vae_scores_the_same_whatever_the_protocol(data):
    result = fit(data, [Setting("a", 1, SHORT)], svae.VAE)["a"]
    assert result.targets is None
    pd.testing.assert_frame_equal(result.predictions["adapted"], result.predictions["zero_shot"])
    assert result.scores["log_likelihood_same_cells"].equals(result.scores["log_likelihood_zero_shot"])


def test_a_setting_that_diverges_is_marked_and_the_others_are_kept(data):
    settings = [Setting("wild", 1, SHORT | {"learning_rate": 1e12}), Setting("calm", 2, SHORT)]
    fits = fit(data, settings)
    assert fits["wild"].run.status == "diverged"
    assert "NaN" in fits["wild"].run.message
    assert fits["calm"].run.status == "ok"


def test_without_validation_cells_fits_end_well_and_have_no_score_to_choose_by(data):
    dataset, _ = data
    plan = SplitPlan(kind="named", held_out=["p4", "p5"], validation=0)
    parts = split(dataset.obs["perturbation"], plan, seed=0)
    result = fit((dataset, parts), [Setting("a", 1, SHORT)])["a"]
    assert result.run.status == "ok"
    assert result.selection == {}


def with_likelihoods(change):
    """Likelihoods as they are, then changed."""
    right = transfer.marginal_log_likelihood

    def changed(*arguments):
        return {
            name: replace(estimate, log_likelihood=change(estimate.log_likelihood))
            for name, estimate in right(*arguments).items()
        }

    return changed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values.abs(), "a probability above 1"),
        (lambda values: values * float("nan"), "NaN"),
        (lambda values: values - 1e4, "above their likelihood"),
    ],
)
def test_a_fit_with_an_impossible_likelihood_does_not_end_well(data, monkeypatch, change, words):
    monkeypatch.setattr(transfer, "marginal_log_likelihood", with_likelihoods(change))
    result = fit(data, [Setting("a", 1, SHORT)])["a"]
    assert result.run.status == "diverged"
    assert words in result.run.message
    assert result.scores is None


def test_each_purpose_has_its_own_seed(data, monkeypatch):
    """Weights, training, second stage, bound and likelihood draw different numbers."""
    used = []
    for module, name, place in ((grid, "train_together", 1), (grid, "refit_together", 1)):
        right = getattr(module, name)

        def noted(*arguments, right=right, place=place):
            used.extend(arguments[place])
            return right(*arguments)

        monkeypatch.setattr(module, name, noted)
    manual_seed, likelihood = torch.manual_seed, transfer.marginal_log_likelihood
    monkeypatch.setattr(torch, "manual_seed", lambda seed: (used.append(seed), manual_seed(seed))[1])
    monkeypatch.setattr(
        transfer, "marginal_log_likelihood", lambda *a: (used.append(a[4]), likelihood(*a))[1]
    )
    fit(data, [Setting("a", 5, SHORT)])
    assert len(used) == len(set(used)) >= 4
    assert 5 not in used


def test_an_unknown_option_names_the_nearest(data):
    with pytest.raises(BenchmarkError, match="did you mean 'penalty'"):
        fit(data, [Setting("a", 1, SHORT | {"penalt": 2.0})])


def test_a_fit_says_where_it_ran_and_what_it_took(data):
    run = fit(data, [Setting("a", 1, SHORT)])["a"].run
    assert run.device == "cpu"
    assert run.seconds > 0
    assert 10 < run.peak_memory_mb < 1e6


def test_memory_is_that_of_the_gpu_where_one_is_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**20)
    assert grid.peak_memory_mb(torch.device("cuda")) == 3
    assert grid.peak_memory_mb(torch.device("cpu")) > 3


def test_a_gpu_that_is_not_there_is_one_sentence(data, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BenchmarkError, match="a GPU was asked for, but torch sees none"):
        fit_grid(svae.VAE, *data, [Setting("a", 1, SHORT)], accelerator="cuda")
