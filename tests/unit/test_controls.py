"""Controls of predictions: what they look at, and where they stand on the calibrated scale."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts import fit as fits
from svae.contracts.generated import GeneratedCells
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.response import summarise_responses
from svae.expression import profile, pseudobulk
from svae.methods.controls import PREDICT, fit_control
from svae.methods.options import CONTROLS
from svae.simulation import simulate
from svae.simulation.likelihood import expected_counts

SIZES = {"perturbations": 20, "cells_per_perturbation": 40, "latents": 4, "hidden": 10, "genes": 40}


@pytest.fixture(scope="module")
def simulation():
    return simulate("corrected", seed=3, control_cells=100, **SIZES)


@pytest.fixture(scope="module")
def screen(simulation):
    dataset, _ = simulation
    return dataset, split_dataset(dataset, SplitPlan(kind="random", held_out=6), seed=0)


def predict(method, dataset, split, **options):
    return fit_control(method, dataset, split, Setting("default", 7, {"n_latent": 4, **options}))


def test_every_control_has_its_options():
    assert tuple(PREDICT) == CONTROLS


@pytest.mark.parametrize("method", CONTROLS)
def test_a_control_keeps_the_contract_and_does_not_see_test_cells(screen, method, tmp_path):
    dataset, split = screen
    fits.write(predict(method, dataset, split), tmp_path / "fit.h5ad")
    fit = fits.read(tmp_path / "fit.h5ad", dataset.obs_names, dataset.var_names)
    assert (fit.run.status, fit.run.seed, fit.latents) == ("ok", 7, None)
    held_out = sorted(split.loc[split["part"] == "test", "perturbation"].unique())
    changed = dataset.copy()
    changed.X[np.flatnonzero(split["part"] == "test")] = 3
    again = predict(method, changed, split)
    for basis, table in fit.predictions.items():
        assert table.index.tolist() == held_out
        pd.testing.assert_frame_equal(again.predictions[basis], table, check_names=False)
    assert (fit.generated is None) == (method == "interpolated_duplicate")
    for basis, cells in (fit.generated or {}).items():
        assert (again.generated[basis].counts != cells.counts).nnz == 0


def test_the_ends_of_the_scale_are_the_controls(screen):
    dataset, split = screen
    response = summarise_responses(dataset, split)
    values = {
        method: compute_metrics(predict(method, dataset, split), split, response=response)
        .set_index("metric")["value"]
        .dropna()
        for method in CONTROLS
    }
    scale = [name for name in values["technical_duplicate"].index if name.endswith("_adapted_calibrated")]
    assert len(scale) >= 8
    assert "energy_distance_adapted_calibrated" in scale
    np.testing.assert_allclose(values["technical_duplicate"][scale], 1)
    np.testing.assert_allclose(values["mean_response"][scale], 0, atol=1e-9)
    assert values["no_change"]["discrimination_zero_shot"] == 0.5
    assert values["no_change"]["pearson_delta_zero_shot"] == 0
    assert values["interpolated_duplicate"]["weighted_mse_adapted_calibrated"] > 0.5
    assert not any("zero_shot" in name for name in values["technical_duplicate"].index)


def test_the_generators_own_profiles_are_at_least_as_good_as_the_duplicate(simulation, screen):
    """The test of the scale itself: nothing predicts better than what drew the cells."""
    dataset, truth = simulation
    _, split = screen
    response = summarise_responses(dataset, split)
    counts = expected_counts(truth, response.test.index)
    profiles = profile(pd.DataFrame(counts, response.test.index, dataset.var_names))
    fit = fits.Fit(dataset.obs_names, predictions={"adapted": profiles})
    values = compute_metrics(fit, split, response=response).set_index("metric")["value"].dropna()
    scale = values[values.index.str.endswith("_calibrated")]
    assert len(scale) >= 8
    assert scale.min() > 0.95
    assert scale["weighted_mse_adapted_calibrated"] > 1
    assert scale["pearson_delta_adapted_calibrated"] > 1


def test_fresh_cells_of_the_generator_are_as_good_as_the_duplicate(screen):
    """Half of the cells of part ``adapt`` are taken out: who knows the truth draws such cells."""
    dataset, split = screen
    adapt = cells_of(split, "adapt")
    fresh = adapt.iloc[::2]
    split = split.assign(part=split["part"].mask(split["cell"].isin(fresh.index), "unused"))
    response = summarise_responses(dataset, split)
    same = np.repeat(response.test.index, 10)  # the right profile, in cells that do not differ
    cells = {
        "fresh": GeneratedCells.of(dataset, fresh),
        "another perturbation": GeneratedCells.of(dataset, pd.Series(np.roll(fresh, 10), fresh.index)),
        "no spread": GeneratedCells(sparse.csr_matrix(np.expm1(response.test.loc[same])), same),
    }
    values = {}
    for name, generated in cells.items():
        fit = fits.Fit(
            dataset.obs_names, predictions={"adapted": response.adapt}, generated={"adapted": generated}
        )
        values[name] = compute_metrics(fit, split, response=response).set_index("metric")["value"]
    found = {name: table["energy_distance_adapted_calibrated"] for name, table in values.items()}
    assert found["fresh"] == pytest.approx(1, abs=0.1)
    assert found["another perturbation"] < 0.5
    assert found["no spread"] < 0.9


def test_what_a_simulator_expects_is_the_mean_of_many_cells():
    many = {**SIZES, "perturbations": 2, "cells_per_perturbation": 4000}
    for name in ("corrected", "lopez2023"):
        dataset, truth = simulate(name, seed=0, **many)
        labels = dataset.obs["perturbation"].astype(str)
        names = ["p0", "p1"]
        found = profile(pseudobulk(dataset, labels)).loc[names].to_numpy()
        expected = profile(expected_counts(truth, names))
        np.testing.assert_allclose(found, expected, atol=0.05)
        assert np.abs(expected[0] - expected[1]).max() > 0.5


def test_a_control_that_does_not_apply_says_why(screen):
    dataset, split = screen
    for method, cells, said in (
        ("no_change", split["perturbation"] != "control", "the dataset has no unperturbed cells"),
        ("technical_duplicate", split["part"].isin(["train", "validation"]), "no perturbation is held out"),
        (
            "mean_response",
            (split["perturbation"] == "control") | split["part"].isin(["adapt", "test"]),
            "no perturbation is trained on",
        ),
    ):
        run = predict(method, dataset, split[cells]).run
        assert (run.status, run.message) == ("not_applicable", said)


def test_a_control_has_no_options(screen):
    with pytest.raises(BenchmarkError, match="unknown key 'half'"):
        predict("no_change", *screen, half=1)
    with pytest.raises(BenchmarkError, match="unknown control 'nochange', did you mean 'no_change'"):
        predict("nochange", *screen)
