import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import nbinom, poisson

from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.evaluation.evaluate import compute_metrics
from svae.methods.anchors import fit_oracle
from svae.simulation import simulate
from svae.simulation.decoder import CountDecoder
from svae.simulation.likelihood import score_cells
from svae.simulation.posterior import importance_sample

SIZES = {"perturbations": 6, "cells_per_perturbation": 5, "hidden": 8, "genes": 20}


def decoder_of(truth):
    return CountDecoder.restore(truth.uns["likelihood"], "the truth")


def by_quadrature(decoder, counts, mean, library):
    """Log p(x) of one cell on a fine grid of two latents."""
    axis = np.linspace(-9, 9, 181)
    grid = np.stack(np.meshgrid(mean[0] + axis, mean[1] + axis), axis=-1).reshape(-1, 2)
    spread = None if library is None else np.full(len(grid), library)
    rates, theta = np.exp(decoder.log_rates(grid, spread)), decoder.dispersion
    law = poisson(rates) if theta is None else nbinom(theta, theta / (theta + rates))
    likelihood = law.logpmf(counts).sum(axis=1)
    prior = -0.5 * ((grid - mean) ** 2).sum(axis=1) - np.log(2 * np.pi)
    return logsumexp(likelihood + prior) + 2 * np.log(axis[1] - axis[0])


@pytest.mark.parametrize(
    ("simulator", "parameters"),
    [
        ("lopez2023", {"depth": 300.0}),
        ("corrected", {"library_mean": 200.0, "library_sd": 50.0}),
        ("corrected", {"library_mean": 200.0, "library_sd": 50.0, "dispersion": 2.0}),
    ],
)
@pytest.mark.parametrize("zero_shot", [False, True])
def test_the_likelihood_is_that_of_numerical_integration(simulator, parameters, zero_shot):
    dataset, truth = simulate(simulator, seed=2, latents=2, **SIZES, **parameters)
    cells = dataset[:5]
    score = score_cells(cells, truth, zero_shot=zero_shot, n_samples=20_000)
    decoder = decoder_of(truth)
    means = truth.uns["shifts"].loc[cells.obs["perturbation"].astype(str)].to_numpy()
    library = truth.obs["library"].to_numpy() if "library" in truth.obs else [None] * 5
    expected = [
        by_quadrature(decoder, cells.X[i].toarray()[0], 0 * means[i] if zero_shot else means[i], library[i])
        for i in range(5)
    ]
    np.testing.assert_allclose(score.log_likelihood, expected, atol=0.1)
    assert ((score.effective_samples >= 1) & (score.effective_samples <= 20_000)).all()


def test_latents_are_recovered_and_zero_shot_is_worse():
    dataset, truth = simulate("lopez2023", seed=0, perturbations=20, cells_per_perturbation=5)
    informed, zero_shot = (score_cells(dataset, truth, zero_shot=z, n_samples=200) for z in (False, True))
    correlations = [np.corrcoef(informed.means[:, j], truth.obsm["latents"][:, j])[0, 1] for j in range(15)]
    assert np.mean(correlations) > 0.97
    assert informed.log_likelihood.mean() > zero_shot.log_likelihood.mean() + 5


def test_a_seed_is_an_estimate():
    dataset, truth = simulate("lopez2023", seed=0, latents=2, **SIZES)
    first, again, other = (
        score_cells(dataset, truth, n_samples=50, seed=seed).log_likelihood for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_cells_of_another_dataset_and_wrong_shapes_are_refused():
    dataset, truth = simulate("lopez2023", seed=0, latents=2, **SIZES)
    strangers = dataset.copy()
    strangers.obs_names = [f"other{i}" for i in range(dataset.n_obs)]
    with pytest.raises(BenchmarkError, match="cell 'other0' is not a cell of the truth"):
        score_cells(strangers, truth)
    decoder = decoder_of(truth)
    with pytest.raises(BenchmarkError, match=r"means have shape \(30, 3\), but must have \(30, 2\)"):
        importance_sample(decoder, dataset.X, np.zeros((30, 3)))
    _, corrected = simulate("corrected", seed=0, latents=2, **SIZES)
    with pytest.raises(BenchmarkError, match="each cell needs one"):
        importance_sample(decoder_of(corrected), dataset.X, np.zeros((30, 2)), n_samples=10)


def test_a_likelihood_that_cannot_be_restored_is_told():
    dataset, truth = simulate("lopez2023", seed=0, latents=2, **SIZES)
    del truth.uns["likelihood"]["W2"]
    with pytest.raises(BenchmarkError, match=r'the truth: uns\["likelihood"\]\["W2"\] is missing'):
        score_cells(dataset, truth)
    truth.uns["likelihood"] |= {"W2": np.zeros((3, 8))}
    with pytest.raises(BenchmarkError, match=r'\["W1"\] has 8 outputs, but the next layer takes 3'):
        score_cells(dataset, truth)
    truth.uns["likelihood"] = {"simulator": "lopez2032"}
    with pytest.raises(BenchmarkError, match="'lopez2032', did you mean 'lopez2023'"):
        score_cells(dataset, truth)


def test_without_a_likelihood_the_oracle_still_knows_the_rest():
    dataset, truth = simulate("lopez2023", seed=0, latents=2, **SIZES)
    del truth.uns["likelihood"]
    assert score_cells(dataset, truth) is None
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="random", held_out=0.3), seed=0)
    fit = fit_oracle(dataset, parts, truth, Setting("default"), likelihood_samples=10)
    assert fit.run.status == "ok"
    assert fit.scores is None
    values = compute_metrics(fit, parts, truth).set_index("metric")["value"]
    assert values["target_f1"] == 1
    assert values.filter(like="inll").isna().all()
