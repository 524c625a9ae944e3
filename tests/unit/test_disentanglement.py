"""What latents tell about perturbations, where nobody knows the true latents."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy
from sklearn.metrics import mutual_info_score

from svae.contracts.fit import Fit
from svae.evaluation.comparison import Comparison
from svae.evaluation.metrics import METRICS
from svae.evaluation.metrics.disentanglement import scaled_information

NAMES = ("smi_best", "smi_matching", "smi_gap")


@pytest.fixture
def labels():
    return pd.Series(np.repeat(["control", "A", "B", "C"], [240, 120, 120, 120]))


@pytest.fixture
def one_latent_each(labels):
    """Each perturbation moves a latent of its own far away; the fourth latent is noise."""
    latents = np.random.default_rng(0).normal(size=(len(labels), 4))
    for latent, perturbation in enumerate("ABC"):
        latents[labels == perturbation, latent] += 20
    return latents


def scores(latents, labels):
    cells = pd.Index([f"cell{k}" for k in range(len(labels))])
    split = pd.DataFrame({"cell": cells, "perturbation": labels.to_numpy(), "part": "train"})
    comparison = Comparison(Fit(cells, latents=latents), split, truth=None, seed=0)
    return {name: METRICS[name].compute(comparison) for name in NAMES}


def test_information_is_that_of_scikit_learn(one_latent_each, labels):
    latents = one_latent_each @ np.random.default_rng(1).normal(size=(4, 4))
    found = scaled_information(latents, labels)
    latent = latents[:, 2]
    bins = np.minimum((10 * (latent - latent.min()) / np.ptp(latent)).astype(int), 9)
    for label in ("control", "A", "B", "C"):
        has_label = (labels == label).to_numpy()
        share = mutual_info_score(bins, has_label) / entropy([has_label.sum(), (~has_label).sum()])
        assert found.loc[2, label] == pytest.approx(share)


def test_a_latent_for_each_perturbation_explains_all(one_latent_each, labels):
    found = scores(one_latent_each, labels)
    assert found["smi_best"] == found["smi_matching"] == pytest.approx(1)
    assert found["smi_gap"] > 0.8


def test_order_and_sign_of_latents_are_nothing(one_latent_each, labels):
    assert scores(-one_latent_each[:, [2, 0, 3, 1]], labels) == pytest.approx(scores(one_latent_each, labels))


def test_noise_and_constants_explain_nothing(labels):
    noise = np.random.default_rng(2).normal(size=(len(labels), 2))
    assert max(scores(noise, labels).values()) < 0.05
    assert scores(np.ones((len(labels), 2)), labels) == pytest.approx(dict.fromkeys(NAMES, 0))


def test_a_latent_that_two_perturbations_share_is_matched_to_one(one_latent_each, labels):
    """C moves the latent of B the other way: that latent tells both, but may stand for one of them only."""
    one_latent_each[labels == "C"] = np.random.default_rng(3).normal(size=(120, 4)) - [0, 20, 0, 0]
    found = scores(one_latent_each, labels)
    assert found["smi_best"] == pytest.approx(1)
    assert found["smi_matching"] == pytest.approx(2 / 3, abs=0.03)


def test_what_two_latents_tell_alike_leaves_no_gap(one_latent_each, labels):
    twice = np.hstack([one_latent_each, one_latent_each])
    assert scores(twice, labels)["smi_gap"] == 0
    assert scores(twice, labels)["smi_best"] == pytest.approx(1)


def test_a_single_latent_has_no_second(one_latent_each, labels):
    found = scores(one_latent_each[:, :1], labels)
    assert found["smi_gap"] == found["smi_best"]
    assert found["smi_matching"] == pytest.approx(1 / 3)


def test_a_label_that_all_cells_have_is_told_by_nothing(one_latent_each):
    everywhere = pd.Series(["A"] * len(one_latent_each))
    assert scores(one_latent_each, everywhere) == dict.fromkeys(NAMES, 0)
