"""Which genes are called moved: the rule, the bootstrap, and both against the truth of simulated cells."""

import numpy as np
import pandas as pd
import pytest

from svae.contracts import fit as fits
from svae.contracts.fit import Fit
from svae.contracts.fit_parts import CHANGES
from svae.contracts.setting import Setting
from svae.differential import (
    DELTA,
    DRAWS,
    PSEUDOCOUNT,
    Moments,
    called,
    drawn_weights,
    log2_fold_changes,
    table_of_genes,
)
from svae.errors import BenchmarkError
from svae.evaluation.comparison import Comparison
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.genes import as_text, genes_of_fit
from svae.evaluation.metrics import choose_metrics
from svae.evaluation.metrics.differential import call_scores
from svae.expression import TARGET_SUM, log_normalised, profile
from svae.methods.anchors import fit_oracle
from svae.simulation import simulate
from svae.simulation.likelihood import true_changes

METRICS = choose_metrics(["de_realised_fdr", "de_power"], "a test")


def table(rows, names=("p0",)):
    rows = np.atleast_2d(rows)
    return pd.DataFrame(rows, list(names), [f"g{place}" for place in range(rows.shape[1])])


def test_moments_of_blocks_of_cells_add_up(monkeypatch):
    sizes = {"perturbations": 5, "cells_per_perturbation": 30, "genes": 20, "latents": 3, "hidden": 10}
    dataset, _ = simulate("screen", seed=0, **sizes)
    labels = dataset.obs["perturbation"].astype(str)
    whole, names = Moments.of(dataset, labels)
    expression = log_normalised(dataset, TARGET_SUM)
    for place, name in enumerate(names):
        cells = expression[labels == name].astype(float)
        np.testing.assert_allclose(whole.mean[place], cells.mean(axis=0))
        np.testing.assert_allclose(whole.variance[place], cells.var(axis=0, ddof=1), rtol=1e-6, atol=1e-9)
    monkeypatch.setattr("svae.differential.BLOCK", 7)
    of_blocks, _ = Moments.of(dataset, labels)
    for part in ("n", "sums", "squares"):
        np.testing.assert_allclose(getattr(of_blocks, part), getattr(whole, part))


def test_genes_are_called_while_the_expected_share_of_false_calls_allows_it():
    # Sorted, the doubts are .01, .03, .1 and .8, whose running means are .01, .02, .047 and .235.
    probability = table([0.2, 0.97, 0.99, 0.9])
    assert called(probability, 0.05).to_numpy().tolist() == [[False, True, True, True]]
    assert called(probability, 0.021).to_numpy().tolist() == [[False, True, True, False]]
    assert not called(probability, 0.005).to_numpy().any()
    assert called(probability, 0.3).to_numpy().all()


def test_perturbations_are_called_on_their_own():
    calls = called(table([[0.9, 0.9], [0.99, 0.99]], ["p0", "p1"]), 0.05)
    assert calls.to_numpy().tolist() == [[False, False], [True, True]]


@pytest.mark.parametrize("nominal", [0.01, 0.05, 0.1, 0.2])
def test_with_calibrated_probabilities_the_realised_fdr_is_the_nominal_one(nominal):
    random = np.random.default_rng(0)
    probability = random.beta(0.4, 0.6, size=(400, 300))
    truth = random.uniform(size=probability.shape) < probability
    scores = call_scores(called(pd.DataFrame(probability), nominal).to_numpy(), truth)
    noise = 3 * np.sqrt(nominal / (400 * 50))  # at least 50 calls of each perturbation
    assert 0.8 * nominal - noise < scores["fdr"] < nominal + noise


def test_with_probabilities_that_claim_too_much_it_is_not():
    random = np.random.default_rng(0)
    probability = random.beta(0.4, 0.6, size=(100, 300))
    truth = random.uniform(size=probability.shape) < probability
    claimed = pd.DataFrame(probability**0.2)
    assert call_scores(called(claimed, 0.05).to_numpy(), truth)["fdr"] > 0.1


def test_scores_of_calls_are_means_over_perturbations():
    truth = np.array([[True, True, False, False], [False] * 4, [True, False, False, False]])
    calls = np.array([[True, False, True, False], [False] * 4, [True, False, False, False]])
    assert call_scores(calls, truth) == {"fdr": pytest.approx(0.5 / 3), "power": pytest.approx(0.75)}
    assert np.isnan(call_scores(calls, np.zeros_like(truth))["power"]), "there is nothing to find"


def test_a_fold_change_is_that_of_the_profiles():
    shares = np.array([[0.7, 0.3, 0.0], [0.2, 0.3, 0.5]])
    changes = log2_fold_changes(shares[:1], shares[1:])
    profiles = profile(shares)
    np.testing.assert_allclose(changes, (profiles[:1] - profiles[1:]) / np.log(2))
    assert changes[0, 2] == pytest.approx(np.log2(PSEUDOCOUNT / (0.5 + PSEUDOCOUNT)))


def test_drawn_means_spread_as_the_mean_of_so_many_cells_does():
    random = np.random.default_rng(0)
    values = random.normal(3, 2, size=(200, 40))
    means = drawn_weights(200, random) @ values
    assert means.shape == (DRAWS, 40)
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(means.std(axis=0), values.std(axis=0) / np.sqrt(201), rtol=0.1)


def test_the_table_begins_with_the_most_probable_genes_of_each_perturbation():
    probability = table([[0.1, 0.99], [0.97, 0.2]], ["p1", "p0"])
    found = table_of_genes(probability, -probability)
    assert found["perturbation"].tolist() == ["p0", "p0", "p1", "p1"]
    assert found["gene"].tolist() == ["g0", "g1", "g1", "g0"]
    assert found["called"].tolist() == [True, False, True, False]
    np.testing.assert_array_equal(found["log2_fold_change"], -found["probability"])


# --- against the truth of simulated cells ---------------------------------------------------------


@pytest.fixture(scope="module")
def screen():
    """Perturbations that move about three genes in four, with 100 cells each."""
    size = {"perturbations": 20, "cells_per_perturbation": 100, "control_cells": 400}
    return simulate("screen", seed=0, latents=5, hidden=20, genes=60, shift_mean=2.0, shift_sd=0.2, **size)


@pytest.fixture(scope="module")
def split(screen):
    labels = screen.dataset.obs["perturbation"].astype(str)
    return pd.DataFrame({"cell": labels.index, "perturbation": labels.to_numpy(), "part": "train"})


def scores(screen, split, probability):
    changes = dict.fromkeys(CHANGES, probability)
    fit = Fit(screen.dataset.obs_names, latents=screen.truth.obsm["latents"], differential=changes)
    return compute_metrics(fit, split, screen.truth, METRICS).set_index("metric")["value"]


@pytest.fixture(scope="module")
def truth(screen):
    names = [f"p{place:02d}" for place in range(20)]
    moved = np.abs(true_changes(screen.truth, names)) > DELTA
    return pd.DataFrame(moved, names, screen.dataset.var_names)


def test_who_knows_the_truth_finds_all_and_spends_no_more_than_the_nominal_rate(screen, split, truth):
    assert 0.5 < truth.to_numpy().mean() < 0.9
    oracle = fit_oracle(screen.dataset, split, screen.truth, Setting("s", 0, {}), likelihood_samples=1)
    found = scores(screen, split, oracle.differential["probability"])
    assert found["de_power"] == 1
    assert found["de_realised_fdr"] <= 0.05
    surely_none = truth * 0.0
    assert scores(screen, split, surely_none).to_dict() == {"de_realised_fdr": 0, "de_power": 0}
    everything = scores(screen, split, truth * 0.0 + 1)
    assert everything["de_realised_fdr"] == pytest.approx(1 - truth.to_numpy().mean())


def test_the_bootstrap_of_cells_keeps_its_false_discovery_rate(screen, split, truth):
    """Within what 20 perturbations tell, which share their control cells."""
    labels, random = screen.dataset.obs["perturbation"].astype(str), np.random.default_rng(0)
    counts = screen.dataset.X.toarray()
    shares = counts / counts.sum(axis=1, keepdims=True)
    means = {
        name: drawn_weights(int((labels == name).sum()), random) @ shares[labels == name]
        for name in ("control", *truth.index)
    }
    probability = {
        name: (np.abs(log2_fold_changes(means[name], means["control"])) > DELTA).mean(axis=0)
        for name in truth.index
    }
    found = scores(screen, split, pd.DataFrame(probability, screen.dataset.var_names).T)
    assert found["de_realised_fdr"] < 0.08
    assert found["de_power"] > 0.85


def test_without_a_control_nothing_is_scored(split):
    size = {"perturbations": 3, "cells_per_perturbation": 10, "control_cells": 0}
    screen = simulate("screen", seed=0, latents=2, hidden=4, genes=8, **size)
    assert true_changes(screen.truth, ["p0"]) is None


def test_every_trained_perturbation_is_told_of(screen, split, truth):
    with pytest.raises(BenchmarkError, match=r"differential.*no row for perturbation 'p03'"):
        scores(screen, split, truth.astype(float).drop(index="p03"))
    changes = dict.fromkeys(CHANGES, truth.astype(float).rename({"p03": "p99"}))
    fit = Fit(screen.dataset.obs_names, latents=screen.truth.obsm["latents"], differential=changes)
    with pytest.raises(BenchmarkError, match="differential"):
        Comparison(fit, split, None, 0).check_rows()


# --- the table that a user asks for ---------------------------------------------------------------


def test_genes_of_a_fit_are_listed(tmp_path):
    cells = pd.Index(["a", "b"])
    probability = table([0.99, 0.4, 0.97])
    changes = {"probability": probability, "log2_fold_change": probability * 2}
    fits.write(Fit(cells, latents=np.ones((2, 1)), differential=changes), tmp_path / "fit.h5ad")
    found = genes_of_fit(tmp_path / "fit.h5ad")
    assert found.loc[found["called"], "gene"].tolist() == ["g0", "g2"]
    assert [line.split() for line in as_text(found).splitlines()[2:]] == [
        ["p0", "g0", "0.990", "1.980"],
        ["p0", "g2", "0.970", "1.940"],
    ]
    assert genes_of_fit(tmp_path / "fit.h5ad", 0.011)["called"].sum() == 1
    with pytest.raises(BenchmarkError, match="--fdr is 5, but must be between 0 and 1"):
        genes_of_fit(tmp_path / "fit.h5ad", 5)


def test_a_fit_that_tells_of_no_genes_is_refused(tmp_path):
    fits.write(Fit(pd.Index(["a", "b"]), latents=np.ones((2, 1))), tmp_path / "fit.h5ad")
    with pytest.raises(BenchmarkError, match=r'uns\["differential"\] is missing'):
        genes_of_fit(tmp_path / "fit.h5ad")
