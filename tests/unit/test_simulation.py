import dataclasses
import hashlib
import subprocess
import sys

import anndata as ad
import numpy as np
import pytest
import torch

from svae.contracts.dataset import read_dataset, write_dataset
from svae.contracts.truth import read_truth, validate_truth, write_truth
from svae.errors import BenchmarkError
from svae.posterior.observed import ObservedCells
from svae.simulation import SIMULATORS, build_simulator, parameters, simulate
from svae.simulation.assemble import assemble
from svae.simulation.decoder import CountDecoder
from svae.simulation.network_screen import NetworkScreen
from svae.simulation.posterior import count_network

NETWORKS = ["lopez2023", "corrected"]
SMALL = {"perturbations": 12, "cells_per_perturbation": 20, "latents": 4, "hidden": 8, "genes": 30}


def decoder_of(truth):
    return CountDecoder.restore(truth.uns["likelihood"], "the truth")


def digest(values, dtype):
    """Checksum of numbers as little-endian bytes of `dtype`, row by row."""
    return hashlib.sha256(np.ascontiguousarray(values).astype(dtype).tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("name", "changed", "counts", "latents", "shifts"),
    [
        (
            "lopez2023",
            {},
            "e7b43a7099c7a73d32c69a248a69420a9678e439444dc86e174f147ba69480e0",
            "17fb659b3803fd855b9e7406b4f506853d3ccc6a2cb52f1156cf34b99653a914",
            "4593f4dff5103646a03328175e1aa63a1596da150c6dff827967611bf364c60d",
        ),
        (
            "corrected",
            {},
            "86411f37ae7d5fadc8fdb8faf5f818d2ee461ba45e48cb0d7c20f6de8ff1168e",
            "e9b2b376f0b9d718768cd70889ba5885865dd077bb13ab06525873e43f5bd6bd",
            "c3ef0d35f52a67f69e71080709688de052000c458aafde088b793fba9c3d003b",
        ),
        (
            "corrected",
            SMALL | {"dispersion": 2.0},
            "9f8b99ec2710808e7daeb80343dc5a0f2bd44f48ad0ddd338801052bd91e8689",
            "a290e520d0398b2eb8aa8949f235870f109d1267969d1b49ccc6db764a0e7a1e",
            "db6de76e0aaea49fbed0bf0b270aaffe4fa753f05e882eff4e2b6b6ecc54b4e5",
        ),
    ],
    ids=["lopez2023", "corrected", "corrected_with_dispersion"],
)
def test_the_numbers_of_seed_0_never_change(name, changed, counts, latents, shifts):
    # Those of lopez2023 are the numbers that the code released with the paper draws at its size,
    # 25,000 × 100; test_lopez2023_is_the_released_simulator compares them where its file is at hand.
    dataset, truth = simulate(name, seed=0, **changed)
    assert digest(dataset.X.toarray(), "<i4") == counts
    assert digest(truth.obsm["latents"], "<f4") == latents
    assert digest(truth.uns["shifts"], "<f8") == shifts
    np.testing.assert_array_equal(truth.uns["targets"], truth.uns["shifts"] != 0)


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
    rates = np.exp(decoder_of(truth).log_rates(truth.obsm["latents"].astype(float)))
    np.testing.assert_allclose(rates.sum(axis=0), 1e6, rtol=1e-5)


def test_depth_of_lopez2023_falls_as_cells_are_added():
    # 100 genes of 10⁶ counts over 100 perturbations: 4000 at 250 cells each and 2000 at 500. A tenth of both.
    for cells, library in ((25, 4000), (50, 2000)):
        dataset, _ = simulate("lopez2023", seed=1, cells_per_perturbation=cells, depth=1e5)
        assert dataset.X.sum(axis=1).mean() == pytest.approx(library, rel=0.01)


def test_targets_are_one_to_three_and_repeat_only_in_lopez2023():
    sizes = {
        name: simulate(name, seed=0, perturbations=3000, cells_per_perturbation=1)
        .truth.uns["targets"]
        .drop(index="control", errors="ignore")
        .sum(axis=1)
        for name in NETWORKS
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
    decoder = decoder_of(truth)
    rates = np.exp(decoder.log_rates(truth.obsm["latents"].astype(float), library))
    np.testing.assert_allclose(rates.sum(axis=1), library)
    counts = dataset.X.toarray()
    pearson = (counts - rates) / np.sqrt(rates)
    assert pearson.var() == pytest.approx(1.0, abs=0.05)


def test_dispersion_gives_the_variance_of_a_negative_binomial():
    dataset, truth = simulate("corrected", seed=4, **SMALL, control_cells=2000, dispersion=3.0)
    decoder = decoder_of(truth)
    rates = np.exp(decoder.log_rates(truth.obsm["latents"].astype(float), truth.obs["library"].to_numpy()))
    pearson = (dataset.X.toarray() - rates) / np.sqrt(rates + rates**2 / 3.0)
    assert pearson.var() == pytest.approx(1.0, abs=0.05)


def likelihood(decoder, counts, z, library):
    """Log p(x | z) of each cell, by the network that the decoder is handed over as."""
    cells = ObservedCells.of(
        count_network(decoder), torch.as_tensor(counts, dtype=torch.float64), library=torch.as_tensor(library)
    )
    return cells.log_likelihood(torch.as_tensor(z)[:, None])[:, 0].numpy()


@pytest.mark.parametrize("dispersion", [None, 2.0])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_likelihood_is_that_of_the_distribution_drawn_from(name, dispersion):
    from scipy import stats

    _, truth = simulate(name, seed=0, **SMALL)
    changed = {} if dispersion is None else {"dispersion": dispersion}
    decoder = CountDecoder.restore(truth.uns["likelihood"] | changed, "the truth")
    random = np.random.RandomState(0)
    z, library = random.normal(size=(5, SMALL["latents"])), np.full(5, 300.0)
    log_rates = decoder.log_rates(z, library)
    counts = decoder.sample(log_rates, random)
    rates = np.exp(log_rates)
    expected = (
        stats.poisson(rates).logpmf(counts)
        if dispersion is None
        else stats.nbinom(dispersion, dispersion / (dispersion + rates)).logpmf(counts)
    )
    np.testing.assert_allclose(likelihood(decoder, counts, z, library), expected.sum(axis=1), atol=1e-3)


def test_a_large_dispersion_is_the_poisson_limit():
    _, truth = simulate("corrected", seed=0, **SMALL)
    poisson = decoder_of(truth)
    random = np.random.RandomState(0)
    z, library = random.normal(size=(4, SMALL["latents"])), np.array([0.1, 30.0, 3_000.0, 300_000.0])
    counts = poisson.sample(poisson.log_rates(z, library), random)
    for dispersion in (1e12, 1e15):
        limit = dataclasses.replace(poisson, dispersion=dispersion)
        np.testing.assert_allclose(
            likelihood(limit, counts, z, library), likelihood(poisson, counts, z, library), atol=1e-2
        )


@pytest.mark.parametrize("name", NETWORKS)
def test_files_give_back_what_was_drawn(name, tmp_path):
    dataset, truth = simulate(name, seed=1, **SMALL)
    write_dataset(dataset, tmp_path / "data.h5ad")
    write_truth(truth, tmp_path / "truth.h5ad")
    cells = read_dataset(tmp_path / "data.h5ad").obs_names
    again = read_truth(tmp_path / "truth.h5ad", cells)
    np.testing.assert_array_equal(again.uns["shifts"], truth.uns["shifts"])
    z, library = truth.obsm["latents"].astype(float), np.full(len(cells), 10.0)
    np.testing.assert_array_equal(
        decoder_of(again).log_rates(z, library),
        decoder_of(truth).log_rates(z, library),
    )
    with pytest.raises(BenchmarkError, match="not the cells of the dataset"):
        read_truth(tmp_path / "truth.h5ad", cells[::-1])


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("lopez2032", {}, "unknown simulator 'lopez2032', did you mean 'lopez2023'"),
        ("lopez2023", {"latent": 3}, "unknown parameter 'latent', did you mean 'latents'"),
        ("lopez2023", {"control_cells": 3}, "unknown parameter 'control_cells'"),
        ("lopez2023", {"latents": 41}, r"latents \(41\) must not exceed hidden \(40\)"),
        ("corrected", {"genes": 39}, r"hidden \(40\) must not exceed genes \(39\)"),
        ("corrected", {"perturbations": 0}, "perturbations is 0, but must be at least 1"),
        ("lopez2023", {"depth": 0}, "depth is 0.0, but must be above 0"),
        ("corrected", {"dispersion": 0}, "dispersion is 0.0, but must be above 0"),
        (
            "corrected",
            {"cells_per_perturbation": None},
            "cells_per_perturbation is None, but must be a number",
        ),
        (
            "corrected",
            {"cells_per_perturbation": True},
            "cells_per_perturbation is True, but must be a number",
        ),
        ("corrected", {"genes": 50.5}, "genes is 50.5, but must be a whole number"),
        ("corrected", {"library_mean": "high"}, "library_mean is 'high', but must be a number"),
        ("corrected", {"library_mean": 0.5}, "has no counts"),
        ("corrected", {"dispersion": 10**400}, r"dispersion is 10+\.\.\.0+, but must be a number"),
        ("corrected", {"library_mean": 1e30}, r"library_mean is 1e\+30, but must be at most 1000000000.0"),
        ("lopez2023", {"depth": 1e30}, r"depth is 1e\+30, but must be at most"),
        ("corrected", {"genes": 10**10}, "genes is 10000000000, but must be at most 1,000,000,000"),
        ("screen", {"escapers": 1.2}, "escapers is 1.2, but must be at most 1"),
        ("screen", {"target_density": 0}, "target_density is 0.0, but must be above 0"),
    ],
)
def test_bad_parameters_are_one_sentence(name, parameters, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        simulate(name, seed=0, **({"perturbations": 3, "cells_per_perturbation": 5} | parameters))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, "a", None, True])
def test_a_bad_seed_is_one_sentence(seed):
    said = f"simulator 'corrected': seed is {seed!r}, but must be a whole number from 0 to {2**32 - 1}"
    with pytest.raises(BenchmarkError) as caught:
        simulate("corrected", seed, perturbations=3, cells_per_perturbation=5)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("targets", None, r'uns\["targets"\] is missing'),
        ("likelihood", {"W1": np.ones((4, 8))}, r'uns\["likelihood"\]\["simulator"\] is missing'),
        ("shifts", np.nan, r'uns\["shifts"\] holds NaN'),
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
    elif key in ("targets", "shifts"):
        truth.uns[key] = truth.uns[key] * value
    else:
        truth.uns[key] = value
    with pytest.raises(BenchmarkError, match=message) as caught:
        validate_truth(truth, "truth/rep0.h5ad")
    assert str(caught.value).startswith("truth/rep0.h5ad")


def test_parameters_are_the_defaults_of_a_simulator():
    assert parameters("lopez2023") == {
        "perturbations": 100,
        "cells_per_perturbation": 250,
        "latents": 15,
        "hidden": 40,
        "genes": 100,
        "shift_mean": 5.0,
        "shift_sd": 0.5,
        "depth": 1e6,
    }
    assert parameters("corrected")["dispersion"] is None


@pytest.mark.parametrize("name", SIMULATORS)
def test_every_simulator_draws_the_same_from_a_seed_and_keeps_the_contracts(name, tmp_path):
    changed = SMALL if issubclass(SIMULATORS[name], NetworkScreen) else {}
    (dataset, truth), (again, _), (other, _) = (simulate(name, seed=seed, **changed) for seed in (1, 1, 2))
    assert (dataset.X != again.X).nnz == 0
    assert dataset.X.shape != other.X.shape or (dataset.X != other.X).nnz > 0
    write_dataset(dataset, tmp_path / "data.h5ad")
    write_truth(truth, tmp_path / "truth.h5ad")
    read_truth(tmp_path / "truth.h5ad", read_dataset(tmp_path / "data.h5ad").obs_names)


@pytest.mark.parametrize("name", SIMULATORS)
def test_every_simulator_is_made_of_its_defaults(name):
    simulator = build_simulator(name)
    assert simulator.name() == name
    for parameter, default in parameters(name).items():
        assert getattr(simulator, parameter) == default, "a default that its own checks change"


def test_whole_numbers_may_be_written_as_floats():
    assert build_simulator("corrected", genes=60.0) == build_simulator("corrected", genes=60)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"shifts": np.zeros((12, 3))}, r"shifts has shape \(12, 3\), but must have \(12, 4\)"),
        ({"cell_facts": {"library": np.ones(3)}}, r"cell_facts\['library'\] has shape \(3,\)"),
        ({"names": ["twin"] * 12}, "two perturbations have the same name"),
        ({"perturbation": np.full(240, 12)}, "perturbation has values other than the places 0 to 11"),
        ({"targets": np.full((12, 4), 0.5)}, "targets has values other than 0 and 1"),
        ({"counts": np.full((240, 30), 0.5)}, "X holds fractions"),
    ],
)
def test_a_draw_that_does_not_fit_together_is_refused(changed, message):
    simulator = build_simulator("lopez2023", **SMALL)
    with pytest.raises(BenchmarkError, match=message) as caught:
        assemble(simulator, dataclasses.replace(simulator.draw(0), **changed), seed=0)
    assert str(caught.value).startswith("simulator 'lopez2023': ")


def test_names_and_parameters_cost_no_library_but_numpy():
    code = "import sys, svae.simulation; print(*(set(sys.modules) & {'scipy', 'pandas', 'anndata', 'torch'}))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert loaded.strip() == ""
