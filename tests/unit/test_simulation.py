import anndata as ad
import numpy as np
import pytest

from svae.contracts.dataset import read_dataset, write_dataset
from svae.contracts.truth import read_truth, validate_truth, write_truth
from svae.errors import BenchmarkError
from svae.simulation.presets import PRESETS
from svae.simulation.simulate import Generator, simulate

SMALL = {"perturbations": 12, "cells_per_perturbation": 20, "latents": 4, "hidden": 8, "genes": 30}


def test_lopez2023_is_the_released_simulator_number_by_number(shared_data):
    reference = ad.read_h5ad(shared_data / "lopez2023_seed0.h5ad")
    dataset, truth = simulate("lopez2023", seed=0)
    assert (dataset.X != reference.X).nnz == 0
    assert dataset.X.dtype == np.int32
    assert list(dataset.obs_names) == list(reference.obs_names)
    assert list(dataset.var_names) == list(reference.var_names)
    assert (dataset.obs["perturbation"].astype(str) == reference.obs["perturbation"].astype(str)).all()
    np.testing.assert_array_equal(truth.obsm["latents"], reference.obsm["latents"].astype(np.float32))
    np.testing.assert_array_equal(truth.uns["shifts"], reference.uns["shifts"])
    assert list(truth.uns["shifts"].index) == list(reference.uns["shifts"].index)
    np.testing.assert_array_equal(truth.uns["targets"], reference.uns["shifts"] != 0)


def test_every_gene_of_lopez2023_totals_a_million():
    _, truth = simulate("lopez2023", seed=3, **SMALL)
    rates = np.exp(Generator.from_dict(truth.uns["generator"]).log_rates(truth.obsm["latents"].astype(float)))
    np.testing.assert_allclose(rates.sum(axis=0), 1e6, rtol=1e-5)


def test_depth_of_lopez2023_falls_as_cells_are_added():
    # 100 genes of 10⁶ counts over 100 perturbations: 4000 at 250 cells each and 2000 at 500. A tenth of both.
    for cells, library in ((25, 4000), (50, 2000)):
        dataset, _ = simulate("lopez2023", seed=1, cells_per_perturbation=cells, depth=1e5)
        assert dataset.X.sum(axis=1).mean() == pytest.approx(library, rel=0.01)


def test_targets_are_one_to_three_and_repeat_only_in_lopez2023():
    sizes = {
        preset: simulate(preset, seed=0, perturbations=3000, cells_per_perturbation=1)
        .truth.uns["targets"]
        .drop(index="control", errors="ignore")
        .sum(axis=1)
        for preset in PRESETS
    }
    for counts in sizes.values():
        assert set(counts) == {1, 2, 3}
    np.testing.assert_allclose(sizes["corrected"].value_counts(normalize=True), 1 / 3, atol=0.03)
    # With replacement, two draws of 15 coincide with probability 1/15 and three are distinct with 14·13/15².
    p = 15
    expected = np.array([1 + 1 / p + 1 / p**2, 1 - 1 / p + 3 * (p - 1) / p**2, (p - 1) * (p - 2) / p**2]) / 3
    found = sizes["lopez2023"].value_counts(normalize=True).sort_index()
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_shifts_are_five_on_the_targets_and_zero_elsewhere():
    truth = simulate("lopez2023", seed=5, perturbations=400, cells_per_perturbation=2).truth
    shifts, targets = truth.uns["shifts"].to_numpy(), truth.uns["targets"].to_numpy()
    np.testing.assert_array_equal(shifts != 0, targets == 1)
    on = shifts[targets == 1]
    assert np.abs(on).mean() == pytest.approx(5.0, abs=0.1)
    assert np.abs(on).std() == pytest.approx(0.5, abs=0.1)
    assert (on > 0).mean() == pytest.approx(0.5, abs=0.06)


def test_latents_are_normal_around_the_shift_of_the_cells_own_label():
    dataset, truth = simulate("corrected", seed=2, **SMALL, control_cells=40)
    residual = truth.obsm["latents"] - truth.uns["shifts"].loc[dataset.obs["perturbation"].astype(str)]
    assert residual.to_numpy().mean() == pytest.approx(0, abs=0.1)
    assert residual.to_numpy().std() == pytest.approx(1, abs=0.1)


def test_corrected_has_controls_libraries_and_rates_that_sum_to_them():
    dataset, truth = simulate("corrected", seed=4, **SMALL, control_cells=2000)
    assert (dataset.obs["perturbation"] == "control").sum() == 2000
    assert (truth.uns["shifts"].loc["control"] == 0).all()
    library = truth.obs["library"].to_numpy()
    assert library.mean() == pytest.approx(4000, rel=0.03)
    assert library.std() == pytest.approx(1600, rel=0.1)
    generator = Generator.from_dict(truth.uns["generator"])
    rates = np.exp(generator.log_rates(truth.obsm["latents"].astype(float), library))
    np.testing.assert_allclose(rates.sum(axis=1), library)
    counts = dataset.X.toarray()
    pearson = (counts - rates) / np.sqrt(rates)
    assert pearson.var() == pytest.approx(1.0, abs=0.05)


def test_dispersion_gives_the_variance_of_a_negative_binomial():
    dataset, truth = simulate("corrected", seed=4, **SMALL, control_cells=2000, dispersion=3.0)
    generator = Generator.from_dict(truth.uns["generator"])
    rates = np.exp(generator.log_rates(truth.obsm["latents"].astype(float), truth.obs["library"].to_numpy()))
    pearson = (dataset.X.toarray() - rates) / np.sqrt(rates + rates**2 / 3.0)
    assert pearson.var() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("dispersion", [None, 2.0])
def test_the_generator_is_its_own_likelihood(dispersion):
    from scipy import stats

    _, truth = simulate("corrected", seed=0, **SMALL, dispersion=dispersion)
    generator = Generator.from_dict(truth.uns["generator"])
    random = np.random.RandomState(0)
    z = random.normal(size=(5, SMALL["latents"]))
    log_rates = generator.log_rates(z, np.full(5, 300.0))
    counts = generator.sample(log_rates, random)
    rates = np.exp(log_rates)
    expected = (
        stats.poisson(rates).logpmf(counts)
        if dispersion is None
        else stats.nbinom(dispersion, dispersion / (dispersion + rates)).logpmf(counts)
    )
    np.testing.assert_allclose(generator.log_likelihood(counts, log_rates), expected.sum(axis=1))


@pytest.mark.parametrize("dispersion", [None, 2.0])
@pytest.mark.parametrize("preset", list(PRESETS))
def test_derivatives_agree_with_finite_differences(preset, dispersion):
    _, truth = simulate(preset, seed=0, **SMALL)
    stored = truth.uns["generator"] | ({} if dispersion is None else {"dispersion": dispersion})
    generator = Generator.from_dict(stored)
    random = np.random.RandomState(1)
    z, library = random.normal(size=(6, SMALL["latents"])), np.full(6, 500.0)
    counts = generator.sample(generator.log_rates(z, library), random)
    score, _ = generator.score(counts, generator.log_rates(z, library))
    gradient = np.einsum("njg,ng->nj", generator.jacobian(z), score)
    for j in range(SMALL["latents"]):
        step = np.zeros(SMALL["latents"])
        step[j] = 1e-6
        above, below = (
            generator.log_likelihood(counts, generator.log_rates(at, library)) for at in (z + step, z - step)
        )
        np.testing.assert_allclose(gradient[:, j], (above - below) / 2e-6, rtol=1e-4, atol=1e-3)


def test_a_seed_is_a_dataset():
    first, again, other = (simulate("corrected", seed=seed, **SMALL).dataset.X for seed in (1, 1, 2))
    assert (first != again).nnz == 0
    assert (first != other).nnz > 0


@pytest.mark.parametrize("preset", list(PRESETS))
def test_files_give_back_what_was_drawn(preset, tmp_path):
    dataset, truth = simulate(preset, seed=1, **SMALL)
    write_dataset(dataset, tmp_path / "data.h5ad")
    write_truth(truth, tmp_path / "truth.h5ad")
    cells = read_dataset(tmp_path / "data.h5ad").obs_names
    again = read_truth(tmp_path / "truth.h5ad", cells)
    np.testing.assert_array_equal(again.uns["shifts"], truth.uns["shifts"])
    z, library = truth.obsm["latents"].astype(float), np.full(len(cells), 10.0)
    np.testing.assert_array_equal(
        Generator.from_dict(again.uns["generator"]).log_rates(z, library),
        Generator.from_dict(truth.uns["generator"]).log_rates(z, library),
    )
    with pytest.raises(BenchmarkError, match="not the cells of the dataset"):
        read_truth(tmp_path / "truth.h5ad", cells[::-1])


@pytest.mark.parametrize(
    ("preset", "parameters", "message"),
    [
        ("lopez2032", {}, "unknown preset 'lopez2032', did you mean 'lopez2023'"),
        ("lopez2023", {"latent": 3}, "unknown parameter 'latent', did you mean 'latents'"),
        ("lopez2023", {"control_cells": 3}, "unknown parameter 'control_cells'"),
        ("lopez2023", {"latents": 41}, r"latents \(41\) must not exceed hidden \(40\)"),
        ("corrected", {"genes": 39}, r"hidden \(40\) must not exceed genes \(39\)"),
        ("corrected", {"perturbations": 0}, "perturbations is 0, but must be positive"),
        ("corrected", {"genes": 50.5}, "genes is 50.5, but must be a whole number"),
        ("corrected", {"library_mean": "high"}, "library_mean is 'high', but must be a number"),
        ("corrected", {"library_mean": 0.5}, "has no counts"),
    ],
)
def test_bad_parameters_are_one_sentence(preset, parameters, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        simulate(preset, seed=0, **({"perturbations": 3, "cells_per_perturbation": 5} | parameters))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("targets", None, r'uns\["targets"\] is missing'),
        ("generator", {"W1": np.ones((4, 8))}, r'uns\["generator"\]\["W2"\] is missing'),
        ("targets", 0.5, "values other than 0 and 1"),
        ("latents", np.nan, "NaN or infinite"),
    ],
)
def test_a_broken_truth_is_told_by_its_file(key, value, message):
    truth = simulate("lopez2023", seed=1, **SMALL).truth
    if key == "latents":
        truth.obsm["latents"][0, 0] = value
    elif value is None:
        del truth.uns[key]
    elif key == "targets":
        truth.uns["targets"] = truth.uns["targets"] * value
    else:
        truth.uns[key] = value
    with pytest.raises(BenchmarkError, match=message) as caught:
        validate_truth(truth, "truth/rep0.h5ad")
    assert str(caught.value).startswith("truth/rep0.h5ad")
