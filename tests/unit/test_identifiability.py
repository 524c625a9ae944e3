import anndata as ad
import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit
from svae.evaluation.comparison import Comparison
from svae.evaluation.identifiability import identifiable, inseparable
from svae.evaluation.metrics import METRICS
from svae.evaluation.metrics.latents import (
    consistent_correlation,
    held_out_matched_correlation,
    matched_correlations,
    multiple_correlation,
)
from svae.evaluation.metrics.latents import mean_matched_correlation as mcc
from svae.simulation import build_simulator

APART = np.eye(4, dtype=bool)
"""Every latent has a perturbation of its own."""

BLOCKS = np.kron(np.eye(2, dtype=bool), np.ones((1, 2), dtype=bool))
"""Two perturbations of four latents, each of which hits two of them, in 2 × 2 blocks."""


@pytest.fixture
def true():
    return np.random.default_rng(0).normal(size=(500, 4))


def test_latents_that_are_hit_together_cannot_be_told_apart():
    assert inseparable(APART).tolist() == np.eye(4, dtype=bool).tolist()
    assert inseparable(BLOCKS).tolist() == np.kron(np.eye(2), np.ones((2, 2))).astype(bool).tolist()
    assert identifiable(APART).all()
    assert not identifiable(BLOCKS).any()


def test_the_first_latent_is_separated_by_a_perturbation_that_spares_the_second():
    # The first perturbation hits both latents, the second the second one alone.
    targets = np.array([[1, 1], [0, 1]])
    assert inseparable(targets).tolist() == [[True, True], [False, True]]
    assert identifiable(targets).tolist() == [False, True]


def test_two_overlapping_pairs_identify_the_latent_that_they_share():
    targets = np.array([[1, 1, 0], [0, 1, 1]])
    assert identifiable(targets).tolist() == [False, True, False]


def test_a_latent_that_nothing_hits_may_be_mixed_with_all():
    targets = np.array([[1, 0, 0], [0, 1, 0]])
    assert inseparable(targets)[2].all()
    assert identifiable(targets).tolist() == [True, True, False]


@pytest.mark.parametrize(("trained", "share"), [(80, 1.0), (40, 0.96), (20, 0.75)])
def test_the_paper_trains_enough_perturbations_to_identify_all_latents(trained, share):
    """Of 15 latents, with the targets that the paper's simulator draws; it trains 80 perturbations."""
    simulator = build_simulator("lopez2023", perturbations=trained)
    draws = [simulator.draw_targets(np.random.RandomState(seed), True) for seed in range(100)]
    assert np.mean([identifiable(targets).mean() for targets in draws]) == pytest.approx(share, abs=0.02)


def rotated_within_blocks(latents, angle=0.6):
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return latents @ np.kron(np.eye(2), turn)


def test_a_mixture_that_the_design_leaves_open_costs_mcc_but_not_r_con(true):
    estimated = rotated_within_blocks(true)
    assert mcc(true, estimated) < 0.9
    assert consistent_correlation(true, estimated, BLOCKS) == pytest.approx(1)
    assert consistent_correlation(true, estimated, APART) == pytest.approx(mcc(true, estimated))


def mean_r(true, estimated):
    """R of Lachapelle et al.: as R_con, with every latent open to be mixed with every other."""
    return np.mean([multiple_correlation(latent, estimated) for latent in true.T])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("estimated_latents", [2, 4, 6])
def test_r_con_lies_between_mcc_and_r(true, seed, estimated_latents):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(4, estimated_latents))
    estimated = true @ mixing + rng.normal(size=(len(true), estimated_latents))
    targets = rng.random((3, 4)) < 0.5
    between = consistent_correlation(true, estimated, targets)
    assert mcc(true, estimated) - 1e-9 <= between <= mean_r(true, estimated) + 1e-9


def test_r_con_counts_zero_what_has_no_partner(true):
    # One estimated latent, and no true one that may be mixed with another.
    assert consistent_correlation(true, true[:, :1], APART) == pytest.approx(1 / 4)
    assert consistent_correlation(true, np.zeros_like(true), BLOCKS) == 0


def test_held_out_matching_does_not_profit_from_chance():
    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=(40, 8)), rng.normal(size=(40, 8))) for _ in range(20)]
    ordinary = np.mean([mcc(*pair) for pair in pairs])
    held_out = np.mean([held_out_matched_correlation(*pair, seed=0) for pair in pairs])
    by_chance = np.sqrt(2 / np.pi / 20)  # mean |correlation| of 20 independent cells
    assert ordinary > 1.4 * by_chance
    assert held_out == pytest.approx(by_chance, rel=0.15)


def test_held_out_matching_of_the_true_latents_is_perfect(true):
    assert held_out_matched_correlation(true, -true[:, ::-1], seed=1) == pytest.approx(1)
    assert held_out_matched_correlation(true, true[:, :3], seed=1) == pytest.approx(3 / 4)


def test_the_metrics_look_at_trained_perturbations_alone(true):
    """The held-out perturbation would separate the first two latents; methods never saw it act on them."""
    cells = pd.Index([f"cell{i}" for i in range(len(true))], name="cell")
    perturbation = np.repeat(["a", "b", "c", "d", "control"], 100)
    split = pd.DataFrame({"cell": cells, "perturbation": perturbation, "part": "train"})
    split.loc[split["perturbation"] == "d", "part"] = "test"
    truth = ad.AnnData(obs=pd.DataFrame(index=cells))
    truth.obsm["latents"] = true
    truth.uns["targets"] = pd.DataFrame(
        [[1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]],
        index=["a", "b", "c", "d", "control"],
    )
    estimated = true.copy()
    estimated[:, 0] += true[:, 1]
    comparison = Comparison(Fit(cells, estimated), split, truth, seed=0)
    assert METRICS["identifiable_latents"].compute(comparison) == 0.5
    assert METRICS["mcc_identifiable"].compute(comparison) == pytest.approx(1)
    assert METRICS["r_con"].compute(comparison) == pytest.approx(1)
    assert METRICS["mcc_pearson"].compute(comparison) < 0.95
    seen = perturbation != "d"
    kept = matched_correlations(true[seen], estimated[seen]).mean()
    assert METRICS["mcc_pearson"].compute(comparison) == pytest.approx(kept)


def test_mcc_of_no_identifiable_latent_is_undefined(true):
    cells = pd.Index([f"cell{i}" for i in range(len(true))], name="cell")
    split = pd.DataFrame({"cell": cells, "perturbation": "a", "part": "train"})
    truth = ad.AnnData(obs=pd.DataFrame(index=cells))
    truth.obsm["latents"] = true
    truth.uns["targets"] = pd.DataFrame([[1, 1, 1, 1]], index=["a"])
    comparison = Comparison(Fit(cells, true), split, truth, seed=0)
    assert np.isnan(METRICS["mcc_identifiable"].compute(comparison))
    assert METRICS["identifiable_latents"].compute(comparison) == 0
