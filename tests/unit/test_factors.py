"""Linear factor models with sparse shifts: they recover what they assume, and their shortcuts are exact."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from svae.contracts.setting import Setting
from svae.contracts.split import held_out_cells, seen_cells, trained_perturbations
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.evaluation.metrics.targets import target_scores
from svae.evaluation.response import summarise_responses
from svae.methods.factors import expression
from svae.methods.factors.expression import PseudoCells, Standardisation
from svae.methods.factors.fit import METHODS, fit_factors
from svae.methods.factors.gsfa import Chain, wishart_root
from svae.methods.factors.model import Factors, Posterior, first_factors
from svae.methods.factors.perturbvi import climb
from svae.methods.factors.predictions import Decoder, adapted_shifts, predictions
from svae.methods.options import OPTIONS
from svae.simulation import simulate

LINEAR = {
    "perturbations": 20,
    "cells_per_perturbation": 100,
    "control_cells": 200,
    "latents": 3,
    "genes": 100,
    "loading_density": 0.15,
    "noise_sd": 0.5,
    "depth": 3,
    "shift_low": 1,
    "shift_high": 2,
}
"""Sizes at which the simulator of GSFA leaves no doubt about targets."""
FAST = {"gsfa": {"sweeps": 200}, "perturbvi": {}}


def drawn(seed, **changed):
    dataset, truth = simulate("gsfa_linear", seed=seed, **{**LINEAR, **changed})
    return dataset, split_dataset(dataset, SplitPlan(kind="random", held_out=3), seed=0), truth


@pytest.fixture(scope="module")
def screen():
    return drawn(seed=0)


@pytest.fixture(scope="module")
def fits(screen):
    dataset, split, _ = screen
    return {
        method: fit_factors(method, dataset, split, Setting("s", 1, {"n_latent": 3, **options}))
        for method, options in FAST.items()
    }


def made_up(seed=0, cells=300, genes=12, perturbations=5, latents=2, together=False):
    """Standardised expression of the model itself, its design and its factors.

    Each cell is given one perturbation at most, or several `together`.
    """
    random = np.random.default_rng(seed)
    design = np.eye(perturbations + 1)[random.integers(0, perturbations + 1, cells)][:, :-1]
    if together:
        design[: cells // 2] = random.random((cells // 2, perturbations)) < 0.4
    factors = Factors(
        loadings=random.normal(size=(genes, latents)) * (random.random((genes, latents)) < 0.5),
        noise=random.uniform(0.3, 1, genes),
        baseline=random.normal(size=latents),
        shifts=random.normal(0, 2, (perturbations, latents))
        * (random.random((perturbations, latents)) < 0.5),
    )
    z = factors.baseline + design @ factors.shifts + random.normal(size=(cells, latents))
    standardised = z @ factors.loadings.T + random.normal(size=(cells, genes)) * np.sqrt(factors.noise)
    return standardised, design, factors


def mean_f1(method):
    """Target F1 on three draws of the linear simulator."""
    scores = []
    for seed in range(3):
        dataset, split, truth = drawn(seed)
        fit = fit_factors(method, dataset, split, Setting("s", 1, {"n_latent": 3, **FAST[method]}))
        cells = seen_cells(split).index
        true_targets, true_latents = truth.uns["targets"].loc[fit.targets.index], truth[cells].obsm["latents"]
        latents = fit.latents[fit.cells.get_indexer(cells)]
        scores.append(target_scores(true_targets, fit.targets, true_latents, latents)["f1"])
    return np.mean(scores)


@pytest.mark.parametrize("method", METHODS)
def test_targets_are_found_where_the_assumptions_hold(method):
    assert mean_f1(method) >= 0.95


def test_targets_are_lost_when_the_library_is_the_size_of_a_cell(monkeypatch):
    monkeypatch.setattr(expression, "FEWEST_GENES", 1000)
    assert mean_f1("perturbvi") < 0.9


@pytest.mark.parametrize("method", METHODS)
def test_held_out_profiles_are_predicted_from_their_adapt_cells(method, screen, fits):
    dataset, split, _ = screen
    response = summarise_responses(dataset, split)
    found = fits[method].predictions
    error = {
        basis: ((found[basis] - response.test) ** 2).mean(axis=None) for basis in ("zero_shot", "adapted")
    }
    assert error["adapted"] < 0.5 * ((response.mean - response.test) ** 2).mean(axis=None)
    assert error["adapted"] < 0.5 * error["zero_shot"]
    pd.testing.assert_series_equal(*(found["zero_shot"].iloc[row] for row in (0, 1)), check_names=False)
    near_control = ((found["zero_shot"].iloc[0] - response.control) ** 2).mean()
    assert near_control < ((response.mean - response.control) ** 2).mean()


def test_pseudo_cells_are_few_and_have_the_products_of_all_cells():
    standardised, design, _ = made_up()
    cells = PseudoCells.of(standardised, design)
    few = np.column_stack([cells.expression, cells.design, cells.ones])
    every = np.column_stack([standardised, design, np.ones(len(design))])
    assert len(few) == every.shape[1] < len(every)
    np.testing.assert_allclose(few.T @ few, every.T @ every, atol=1e-9 * len(every))


def test_columns_that_say_nothing_make_no_pseudo_cells():
    standardised, design, _ = made_up()
    without_control = design.any(axis=1)  # the design then sums to one in every cell
    cells = PseudoCells.of(standardised[without_control], design[without_control])
    assert len(cells.expression) == standardised.shape[1] + design.shape[1]


def test_latents_drawn_for_pseudo_cells_have_the_moments_of_all_cells():
    standardised, design, factors = made_up(cells=60)
    cells = PseudoCells.of(standardised, design)
    chain = Chain(cells, factors, np.random.default_rng(0))
    chain.factors = factors
    drawn = [chain._draw_latents() for _ in range(2000)]

    covariance = np.linalg.inv(np.eye(2) + factors.loadings.T / factors.noise @ factors.loadings)
    means = (
        standardised @ (factors.loadings / factors.noise[:, None])
        + factors.baseline
        + design @ factors.shifts
    )
    random = np.random.default_rng(1)
    noise = random.standard_normal((2000, len(means), 2)) @ np.linalg.cholesky(covariance).T
    latents = means @ covariance + noise
    squares = latents.transpose(0, 2, 1) @ latents
    for one, all_of_them in (
        (np.array([draw.latents for draw in drawn]), squares),
        (np.array([draw.total for draw in drawn]), latents.sum(axis=1)),
        (np.array([draw.design for draw in drawn]), design.T @ latents),
    ):
        error = all_of_them.std(axis=0) / np.sqrt(2000)
        assert (np.abs(one.mean(axis=0) - all_of_them.mean(axis=0)) < 6 * error).all()
        np.testing.assert_allclose(one.std(axis=0), all_of_them.std(axis=0), rtol=0.1)


@pytest.mark.parametrize("freedom", [0, 1, 2, 7])
def test_a_wishart_matrix_has_its_mean(freedom):
    random = np.random.default_rng(0)
    roots = [wishart_root(freedom, 3, random) for _ in range(2000)]
    mean = sum(root.T @ root for root in roots) / len(roots)
    np.testing.assert_allclose(mean, freedom * np.eye(3), atol=0.1 * np.sqrt(freedom))


@pytest.mark.parametrize("together", [False, True])
def test_inclusion_is_the_posterior_odds_of_a_shift(together):
    """Those of the last part to be drawn, given the shifts of all others."""
    standardised, design, factors = made_up(together=together)
    chain = Chain(PseudoCells.of(standardised, design), factors, np.random.default_rng(0))
    products, share, variance = chain._draw_latents(), chain.shifted_share.copy(), chain.shift_variance.copy()
    baseline, shifts = chain._draw_shifts(products)
    last = chain.cells.rounds[-1][-1]
    count = design[:, last].sum()
    of_others = design[:, last] @ (np.delete(design, last, 1) @ np.delete(shifts, last, 0))
    mean = (products.design[last] - of_others) / count - baseline  # normal around the shift
    on = share[last] * norm.pdf(mean, scale=np.sqrt(variance[last] + 1 / count))
    off = (1 - share[last]) * norm.pdf(mean, scale=np.sqrt(1 / count))
    np.testing.assert_allclose(chain.inclusion[last], on / (on + off), atol=1e-9)


def test_parts_of_a_round_were_given_to_no_cell_together():
    standardised, design, _ = made_up(together=True)
    design[design.sum(axis=1) > 2] = 0
    cells = PseudoCells.of(standardised, design)
    assert sorted(np.concatenate(cells.rounds)) == list(range(design.shape[1]))
    assert all(design[:, parts].sum(axis=1).max() <= 1 for parts in cells.rounds)
    alone = PseudoCells.of(*made_up()[:2])
    assert len(alone.rounds) == 1


@pytest.mark.parametrize("method", METHODS)
def test_combinations_in_training_share_the_shifts_of_their_parts(method):
    sizes = {"perturbations": 8, "combinations": 6, "cells_per_perturbation": 60, "control_cells": 100}
    dataset, _ = simulate("screen", seed=0, latents=2, genes=30, hidden=8, **sizes)
    split = split_dataset(dataset, SplitPlan(kind="named", held_out=["p0+p1", "p7"]), seed=0)
    fit = fit_factors(method, dataset, split, Setting("s", 1, {"n_latent": 2, **FAST[method]}))
    assert fit.targets.index.equals(trained_perturbations(split).sort_values().rename("perturbation"))
    together = fit.shifts.loc["p1"] + fit.shifts.loc["p2"]
    np.testing.assert_allclose(fit.shifts.loc["p1+p2"], together, atol=1e-6)
    assert (fit.targets.loc["p1+p2"] >= fit.targets.loc[["p1", "p2"]].max() - 1e-9).all()


@pytest.mark.parametrize("method", METHODS)
def test_shifts_are_found_from_cells_that_were_given_several_parts(method):
    standardised, design, factors = made_up(cells=1000, genes=20, together=True)
    cells = PseudoCells.of(standardised, design)
    found = METHODS[method](cells, OPTIONS[method](n_latent=2, **FAST[method]), 0).factors
    pairs = np.eye(5)[:, None] + np.eye(5)[None]  # two of five, as a combination that was never seen
    expected, guess = ((of.baseline + pairs @ of.shifts) @ of.loadings.T for of in (factors, found))
    assert ((guess - expected) ** 2).mean() < 0.02 * expected.var()


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_the_lower_bound_never_falls(seed, together):
    standardised, design, _ = made_up(seed, latents=3, together=together)
    cells = PseudoCells.of(standardised, design)
    losses = climb(cells, first_factors(cells, 3, seed), effects=4, iterations=60, tolerance=0.0).losses
    assert np.diff(losses).max() < 1e-9
    assert len(losses) > 10


def test_climbing_ends_when_little_is_gained():
    standardised, design, _ = made_up()
    cells = PseudoCells.of(standardised, design)
    start = first_factors(cells, 2, 0)
    losses = climb(cells, start, effects=4, iterations=500, tolerance=1e-3).losses
    gains = -np.diff(losses)
    assert (gains[:-1] >= 1e-3).all()
    assert gains[-1] < 1e-3


def test_the_size_of_a_cell_follows_its_depth_and_no_perturbation_of_few_genes():
    random = np.random.default_rng(0)
    rates = np.tile(random.uniform(5, 20, 30), (200, 1))
    rates[:100, :5] *= 20  # most of the counts of these cells
    depth = random.uniform(0.5, 2, 200)
    dataset, _, _ = drawn(seed=0, genes=30)
    dataset = dataset[:200].copy()
    dataset.X = np.round(rates * depth[:, None])
    sizes = Standardisation.of(dataset)._sizes(np.asarray(dataset.X))
    assert np.corrcoef(sizes, depth)[0, 1] > 0.99
    assert sizes[:100].mean() / depth[:100].mean() == pytest.approx(
        sizes[100:].mean() / depth[100:].mean(), rel=0.1
    )


def test_shifts_of_held_out_perturbations_are_their_posterior_means(screen):
    dataset, split, _ = screen
    scale = Standardisation.of(dataset[seen_cells(split).index])
    labels = held_out_cells(split)
    _, _, factors = made_up(genes=100, latents=2)
    posterior = Posterior(factors, np.ones_like(factors.shifts), [])
    found = adapted_shifts(posterior, scale, dataset, labels)
    covariance = factors.loadings @ factors.loadings.T + np.diag(factors.noise)
    for name, cells in labels.groupby(labels):
        mean = scale.apply(dataset[cells.index]).mean(axis=0) - factors.loadings @ factors.baseline
        gain = np.diag(posterior.slab) @ factors.loadings.T
        expected = gain @ np.linalg.solve(factors.loadings @ gain + covariance / len(cells), mean)
        np.testing.assert_allclose(found.loc[name], expected, rtol=1e-6, atol=1e-9)


def test_combinations_are_predicted_from_the_shifts_of_their_parts(screen):
    dataset, split, _ = screen
    first, second, *others = trained_perturbations(split).sort_values()
    held_out = held_out_cells(split).iloc[0]
    split = split.replace({"perturbation": {held_out: f"{first}+{second}"}})
    scale = Standardisation.of(dataset[seen_cells(split).index])
    _, _, factors = made_up(genes=100, perturbations=2 + len(others))
    decoder = Decoder(scale, factors, np.ones(100))
    none = pd.DataFrame(factors.shifts[:0])
    found = predictions(decoder, none, pd.Index([first, second, *others]), dataset.var_names, split)
    assert found["combination"].index.tolist() == [f"{first}+{second}"]
    both = pd.DataFrame(factors.shifts[[0]] + factors.shifts[[1]], [f"{first}+{second}"])
    pd.testing.assert_frame_equal(found["combination"], decoder.profiles(both, dataset.var_names))


def test_more_latents_than_genes_are_told_in_the_fit(screen):
    dataset, split, _ = screen
    fit = fit_factors("gsfa", dataset, split, Setting("s", 1, {"n_latent": 101}))
    assert fit.run.status == "failed"
    assert "101 latents of 1900 cells to fit and 100 genes" in fit.run.message


@pytest.mark.parametrize(
    ("method", "option", "said"),
    [
        ("gsfa", {"sweps": 3}, "did you mean 'sweeps'"),
        ("gsfa", {"burn_in": 1.0}, "burn_in"),
        ("perturbvi", {"tolerance": -1}, "tolerance"),
    ],
)
def test_options_are_checked(screen, method, option, said):
    dataset, split, _ = screen
    with pytest.raises(BenchmarkError, match=f"method '{method}', setting 's': .*{said}"):
        fit_factors(method, dataset, split, Setting("s", 1, {"n_latent": 3, **option}))


def test_an_unknown_method_is_told():
    with pytest.raises(BenchmarkError, match="did you mean 'gsfa'"):
        fit_factors("gfsa", None, None, Setting("s"))
