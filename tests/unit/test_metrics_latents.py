import warnings
from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit
from svae.evaluation.comparison import Comparison
from svae.evaluation.matching import correlations, match_latents
from svae.evaluation.metrics import METRICS
from svae.evaluation.metrics.latents import dci
from svae.evaluation.metrics.latents import explained_variance as r2
from svae.evaluation.metrics.latents import mean_matched_correlation as mcc
from svae.files import read_anndata


@pytest.fixture
def true():
    return np.random.default_rng(0).normal(size=(600, 4))


def scrambled(latents):
    """The same latents in another order, mirrored and rescaled."""
    return latents[:, [2, 0, 3, 1]] * [-1, 2, 0.5, -3] + 7


def test_correlations_by_hand():
    a = np.array([[1.0], [2], [3], [4]])
    b = np.array([[2.0, 4], [1, 3], [4, 2], [3, 1]])
    np.testing.assert_allclose(correlations(a, b), [[0.6, -1]])
    np.testing.assert_allclose(correlations(a, np.exp(9 * a), "spearman"), [[1]])


def test_matching_undoes_a_permutation(true):
    _, rows, columns = match_latents(true, scrambled(true))
    assert dict(zip(rows, columns, strict=True)) == {2: 0, 0: 1, 3: 2, 1: 3}


@pytest.mark.parametrize("method", ["pearson", "spearman"])
def test_mcc_ignores_order_sign_and_scale(true, method):
    assert mcc(true, scrambled(true), method) == pytest.approx(1)


def test_spearman_ignores_monotone_maps_and_pearson_does_not(true):
    assert mcc(true, np.exp(3 * true), "spearman") == pytest.approx(1)
    assert mcc(true, np.exp(3 * true), "pearson") < 0.7


def test_a_rotation_keeps_r2_but_not_mcc(true):
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
    assert r2(true, true @ rotation) == pytest.approx(1)
    assert mcc(true, true @ rotation) < 0.9


def test_random_latents_score_low(true):
    noise = np.random.default_rng(1).normal(size=true.shape)
    assert mcc(true, noise) < 0.15
    assert r2(true, noise) < 0.05


def test_a_true_latent_without_partner_counts_zero(true):
    assert mcc(true, true[:, :3]) == pytest.approx(3 / 4)
    assert mcc(true[:, :3], true) == pytest.approx(1)


@pytest.mark.parametrize("constant", [0.0, 0.1, 1e6])
def test_a_constant_latent_counts_zero_in_silence(true, constant):
    estimated = true.copy()
    estimated[:, 1] = constant
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mcc(true, estimated) == pytest.approx(3 / 4)


def test_signed_matching_avoids_a_mirrored_latent(true):
    # Latent 0 is found mirrored; matched on sign, any uncorrelated partner is better than that one.
    similarity, rows, columns = match_latents(true, true * [-1, 1, 1, 1], signed=True)
    assert columns[rows == 0] != 0
    assert similarity[rows, columns].sum() < 3.5


def test_dci_tells_axes_from_mixtures(true):
    aligned = dci(true, scrambled(true), seed=0)
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
    mixed = dci(true, true @ rotation, seed=0)
    assert min(aligned.values()) > 0.95
    assert max(mixed.values()) < 0.6
    assert aligned == dci(true, scrambled(true), seed=0)
    assert dci(true, scrambled(true), seed=2**32 + 1).keys() == aligned.keys()


def test_dci_tells_a_split_latent_from_a_merged_one(true):
    split = np.hstack([true, true + 1e-3 * np.random.default_rng(1).normal(size=true.shape)])
    scores = dci(true, split, seed=0)  # two estimated latents tell of each true one
    assert scores["disentanglement"] > 0.95
    assert scores["completeness"] < 0.8


def test_dci_of_constant_latents_is_zero(true):
    assert dci(true, np.zeros_like(true), seed=0) == {"disentanglement": 0, "completeness": 0}


def test_true_latents_of_the_released_simulation_score_one(shared_data):
    path = shared_data / "lopez2023_seed0.h5ad"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the shared data")
    latents = read_anndata(path).obsm["latents"]
    assert mcc(latents, -latents[:, ::-1]) == pytest.approx(1)
    assert mcc(latents, np.random.default_rng(0).normal(size=latents.shape)) < 0.05


def test_modes_are_compared_where_a_fit_has_them():
    true = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    cells = pd.Index([f"cell{i}" for i in range(40)])
    split = pd.DataFrame({"cell": cells, "perturbation": ["a", "b"] * 20, "part": "train"})
    truth = ad.AnnData(obs=pd.DataFrame(index=cells), obsm={"latents": true})
    fit = Fit(cells, np.ones_like(true), latent_modes=-true[:, ::-1])
    comparison = Comparison(fit, split, truth, seed=0)
    assert METRICS["mcc_modes"].is_applicable(comparison.available)
    assert METRICS["mcc_modes"].compute(comparison) == pytest.approx(1)
    without = Comparison(replace(fit, latent_modes=None), split, truth, seed=0)
    assert not METRICS["mcc_modes"].is_applicable(without.available)
