"""The latent additive model on folds that multiply, where the sum of effects is right."""

import numpy as np
import pandas as pd
import pytest
import torch
from test_predictors import drawn, profiles_of
from test_splits import plan

from svae.contracts.combinations import multi_hot
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.methods.latent_additive import Cells, LatentAdditive, fit_latent_additive, train
from svae.methods.options import LatentAdditiveOptions

OPTIONS = {"n_latent": 4, "n_hidden": 32, "n_layers": 1, "max_epochs": 80, "batch_size": 64}
OPTIONS |= {"learning_rate": 0.003}


@pytest.fixture(scope="module")
def screen():
    dataset = drawn("A", "B", "C", "D", "A+B", "A+D", "B+D", "control", cells=60)
    return dataset, split(dataset.obs["perturbation"], plan("combinations", ["A+B"]), 0)


def test_it_predicts_a_combination_that_it_never_saw(screen):
    dataset, parts = screen
    predicted = fit_latent_additive(dataset, parts, Setting("s", 1, OPTIONS)).predictions["combination"]
    assert list(predicted.index) == ["A+B"]
    real = profiles_of(dataset, dataset.obs["perturbation"])
    deltas = [table.loc["A+B"] - real.loc["control"] for table in (predicted, real)]
    assert np.corrcoef(*deltas)[0, 1] > 0.9
    singles = [np.corrcoef(real.loc[part] - real.loc["control"], deltas[1])[0, 1] for part in "AB"]
    assert np.corrcoef(*deltas)[0, 1] > max(singles)


def test_training_keeps_the_weights_that_predict_validation_cells_best(screen):
    dataset, split_table = screen
    parts = multi_hot(dataset.obs["perturbation"].astype(str))
    training, validation = (
        Cells.of(dataset, cells_of(split_table, p), parts) for p in ("train", "validation")
    )
    options = LatentAdditiveOptions(**OPTIONS | {"max_epochs": 3, "learning_rate": 5.0})
    torch.manual_seed(0)
    model = LatentAdditive(dataset.n_vars, parts.shape[1], options)
    errors = []
    score = torch.nn.functional.mse_loss

    def remember(predicted, actual):
        error = score(predicted, actual)
        if not error.requires_grad:
            errors.append(float(error))
        return error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "mse_loss", remember)
        train(model, training, validation, options, seed=0)
    partners = np.random.default_rng(0).choice(training.controls, len(validation.expression))
    with torch.no_grad():
        kept = score(model(training.expression[partners], validation.perturbation), validation.expression)
    assert len(errors) == 3
    assert float(kept) == pytest.approx(min(errors), rel=1e-5)


def test_it_does_not_apply_where_there_is_nothing_to_add_up(screen):
    dataset, _ = screen
    parts = split(dataset.obs["perturbation"], plan("named", ["C"]), 0)
    fit = fit_latent_additive(dataset, parts, Setting("s", 1, OPTIONS))
    assert fit.run.status == "not_applicable"
    assert fit.run.message.startswith("no held-out perturbation is a combination of trained ones")


def test_fits_leave_the_random_numbers_of_others_alone(screen):
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    fit_latent_additive(*screen, Setting("s", 1, OPTIONS | {"max_epochs": 1}))
    pd.testing.assert_frame_equal(pd.DataFrame(torch.rand(2)), pd.DataFrame(wanted))


def test_wrong_options_are_told(screen):
    with pytest.raises(BenchmarkError, match="setting 's': unknown key 'n_layer', did you mean 'n_layers'"):
        fit_latent_additive(*screen, Setting("s", 1, {"n_layer": 3}))
