import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.metrics.likelihood import mean_over_perturbations


def series(values, prefix="cell"):
    return pd.Series(values, index=[f"{prefix}{i}" for i in range(len(values))])


def test_perturbations_weigh_the_same_whatever_their_size():
    labels = series(["a"] * 11 + ["b"] * 33)
    assert mean_over_perturbations(series([1.0] * 11 + [3.0] * 33), labels) == pytest.approx(2)


def test_ten_scored_cells_are_too_few():
    labels = series(["a"] * 11 + ["b"] * 11)
    scores = series([-1.0] * 11 + [-3.0] * 11)
    scores.iloc[-1] = np.nan
    assert mean_over_perturbations(scores, labels) == pytest.approx(-1)
    assert np.isnan(mean_over_perturbations(scores.iloc[11:], labels))


def test_cells_are_matched_by_name():
    labels = series(["a"] * 11 + ["b"] * 22)
    scores = series([-1.0] * 11 + [-3.0] * 22)
    assert mean_over_perturbations(scores.sample(frac=1, random_state=0), labels) == pytest.approx(-2)


def test_each_protocol_scores_its_own_cells():
    parts = ["train"] * 20 + ["adapt"] * 20 + ["test"] * 20
    split = pd.DataFrame({"cell": [f"cell{i}" for i in range(60)], "part": parts})
    split["perturbation"] = np.where(split["part"] == "train", "a", "b")
    scores = pd.DataFrame({"part": split["part"]})
    for column in ("log_likelihood_same_cells", "log_likelihood_clean", "reconstruction"):
        scores[column] = scores["part"].map({"train": -1000.0, "adapt": -1.0, "test": -3.0})
    scores["log_likelihood_zero_shot"] = np.nan
    scores["effective_samples"] = scores["part"].map({"train": 0.0, "adapt": 10.0, "test": 30.0})
    scores["elbo"], scores["best_elbo"] = (
        scores["log_likelihood_same_cells"] - 5,
        scores["reconstruction"] - 3.5,
    )
    cells = pd.Index(split["cell"])
    fit = Fit(cells, np.zeros((60, 2)), scores.drop(columns="part").set_axis(cells))
    values = compute_metrics(fit, split.sample(frac=1, random_state=0)).set_index("metric")["value"]
    assert values["inll_same_cells"] == pytest.approx(2)
    assert values["inll_clean"] == pytest.approx(3)
    assert values["reconstruction"] == pytest.approx(-2)
    assert values["effective_samples"] == pytest.approx(20)
    assert values["amortisation_gap"] == pytest.approx(1.5)
    assert np.isnan(values["inll_same_cells_original"])
    assert np.isnan(values["inll_zero_shot"])
    assert np.isnan(values["likelihood_gain"]), "there is nothing to compare with"


def test_the_gain_compares_the_same_cells():
    """Without a shift the cells of part `adapt` are much less likely, which is no gain of the others."""
    parts = ["train"] * 4 + ["adapt"] * 20 + ["test"] * 20
    split = pd.DataFrame({"cell": [f"cell{i}" for i in range(44)], "part": parts, "perturbation": "b"})
    split.loc[split["part"] == "train", "perturbation"] = "a"
    cells = pd.Index(split["cell"])
    known = {
        "log_likelihood_zero_shot": {"adapt": -90.0, "test": -5.0},
        "log_likelihood_clean": {"test": -3.0},
    }
    scores = pd.DataFrame({name: split["part"].map(of_part) for name, of_part in known.items()})
    fit = Fit(cells, np.zeros((44, 2)), scores.set_axis(cells))
    values = compute_metrics(fit, split).set_index("metric")["value"]
    assert values["likelihood_gain"] == pytest.approx(2)
