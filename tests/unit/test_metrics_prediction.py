"""Scores of predictions against cases worked out by hand, and the scale that they are put on."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.metrics import r2_score

from svae.contracts.fit import Fit
from svae.contracts.generated import GeneratedCells
from svae.evaluation.comparison import Comparison
from svae.evaluation.evaluate import compute_metrics, evaluate_fit
from svae.evaluation.metrics import METRICS
from svae.evaluation.metrics.prediction import (
    STRONGEST,
    ate_pearson,
    ate_pearson_strongest,
    ate_r2,
    ate_r2_strongest,
    cosine_delta,
    cosine_delta_differential,
    direction_fidelity,
    discrimination,
    energy_distance,
    pearson_delta,
    pearson_delta_differential,
    pearson_delta_from_mean,
    pooled_products,
    reach,
    strongest,
    weighted_mse,
    weighted_r2,
)
from svae.evaluation.prediction import Prediction, calibrated, mean_response, technical_duplicate
from svae.evaluation.response import Response
from svae.evaluation.space import Space

GENES = pd.Index([f"g{g}" for g in range(12)])
NAMES = pd.Index(["a", "b", "c", "d", "e"])
CONTROL = pd.Series(5.0, GENES)
SCORES = {
    **{"pearson": pearson_delta, "cosine": cosine_delta, "from_mean": pearson_delta_from_mean},
    **{"pearson_differential": pearson_delta_differential, "cosine_differential": cosine_delta_differential},
    **{"mse": weighted_mse, "r2": weighted_r2, "discrimination": discrimination},
    **{"fidelity": direction_fidelity, "reach": reach, "ate_pearson": ate_pearson, "ate_r2": ate_r2},
    **{"ate_pearson_strongest": ate_pearson_strongest, "ate_r2_strongest": ate_r2_strongest},
    **{"energy": energy_distance},
}
LOWER = ("mse", "energy")
POOLED = ("discrimination", "ate_pearson", "ate_r2", "ate_pearson_strongest", "ate_r2_strongest")
"""Their values depend on which perturbations are predicted together."""
CELLS_OF_EACH = 8


def space() -> Space:
    """Two components; cells of each perturbation in a place of its own, and those of the mean elsewhere."""
    random = np.random.default_rng(2)
    names = np.repeat(NAMES, CELLS_OF_EACH)
    places = np.repeat(5 * np.arange(len(NAMES)), CELLS_OF_EACH)[:, None]
    cells = {
        kind: pd.DataFrame(start + random.normal(size=(len(names), 2)), names, ["c1", "c2"])
        for kind, start in (("test", places), ("adapt", places), ("mean", -10))
    }
    axes = pd.DataFrame(np.eye(12, 2), GENES, ["c1", "c2"])
    return Space(centre=pd.Series(0.0, GENES), axes=axes, **cells)


def response(noise=0.1, differential=12, weights=None) -> Response:
    """Five perturbations with deltas drawn once; the duplicate differs from the test half by noise."""
    random = np.random.default_rng(0)
    deltas = random.normal(size=(5, 12))
    test = pd.DataFrame(5 + deltas, NAMES, GENES)
    p = np.tile(np.where(np.arange(12) < differential, 0.01, 0.5), (5, 1))
    return Response(
        control=CONTROL,
        mean=CONTROL + 0.3 * random.normal(size=12),
        test=test,
        adapt=test + noise * random.normal(size=(5, 12)),
        p_adjusted=pd.DataFrame(p, NAMES, GENES),
        weights=pd.DataFrame(np.ones((5, 12)) if weights is None else weights, NAMES, GENES),
        cells=pd.DataFrame(20, NAMES, ["test", "adapt"]),
        space=space(),
    )


def predicting(deltas, of: Response) -> Prediction:
    """Predict these deltas, and the very cells that there are."""
    return Prediction(pd.DataFrame(5 + np.asarray(deltas, dtype=float), NAMES, GENES), of, of.space.test)


def actual(of: Response) -> np.ndarray:
    return of.test.to_numpy() - 5


def test_correlations_are_those_of_the_deltas_row_by_row():
    of = response(differential=10)
    guess = np.random.default_rng(1).normal(size=(5, 12))
    prediction, real = predicting(guess, of), actual(of)
    expected = [np.corrcoef(guess[k], real[k])[0, 1] for k in range(5)]
    np.testing.assert_allclose(pearson_delta(prediction), expected)
    expected = [np.corrcoef(guess[k][:10], real[k][:10])[0, 1] for k in range(5)]
    np.testing.assert_allclose(pearson_delta_differential(prediction), expected)
    expected = [guess[k] @ real[k] / np.linalg.norm(guess[k]) / np.linalg.norm(real[k]) for k in range(5)]
    np.testing.assert_allclose(cosine_delta(prediction), expected)
    few = [(guess[k][:10], real[k][:10]) for k in range(5)]
    expected = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x, y in few]
    np.testing.assert_allclose(cosine_delta_differential(prediction), expected)
    mean = of.mean.to_numpy() - 5
    expected = [np.corrcoef(guess[k] - mean, real[k] - mean)[0, 1] for k in range(5)]
    np.testing.assert_allclose(pearson_delta_from_mean(prediction), expected)


def test_treatment_effects_are_pooled_over_perturbations_and_genes():
    of = response()
    guess = 3 + np.random.default_rng(1).normal(size=(5, 12)) * np.array([[1], [5], [0.1], [0], [2]])
    prediction, real = predicting(guess, of), actual(of)
    expected = np.corrcoef(guess.ravel(), real.ravel())[0, 1]
    assert ate_pearson(prediction).mean() == pytest.approx(expected)
    assert ate_pearson(predicting(2 * guess + 1, of)).mean() == pytest.approx(expected), "size does not count"
    assert ate_r2(prediction).mean() == pytest.approx(r2_score(real.ravel(), guess.ravel()))
    assert ate_r2(predicting(real, of)).tolist() == [1] * 5
    assert ate_r2_strongest(prediction) == pytest.approx(ate_r2(prediction)), (
        "of 12 genes all are among the 20"
    )
    # Within each perturbation all is right, but that two of them differ in strength goes unsaid.
    equal = real / np.linalg.norm(real, axis=1, keepdims=True) * np.array([[1], [9], [1], [1], [1]])
    assert pearson_delta(predicting(equal, of)).mean() == pytest.approx(1)
    assert ate_pearson(predicting(equal, of)).mean() < 0.9


def test_the_strongest_genes_are_those_of_each_perturbation():
    random = np.random.default_rng(0)
    real, guess = random.normal(size=(2, 4, 50))
    chosen = [np.argsort(np.abs(row))[-STRONGEST:][::-1] for row in real]
    kept = [
        np.array([row[genes] for row, genes in zip(table, chosen, strict=True)]) for table in (guess, real)
    ]
    for found, expected in zip(strongest(guess, real), kept, strict=True):
        np.testing.assert_array_equal(found, expected)
    correlation = np.corrcoef(kept[0].ravel(), kept[1].ravel())[0, 1]
    assert pooled_products(*kept).mean() == pytest.approx(correlation)


def test_a_perturbation_with_few_differential_genes_has_no_score_on_them():
    prediction = predicting(np.ones((5, 12)), response(differential=9))
    for score in (pearson_delta_differential, cosine_delta_differential, direction_fidelity, reach):
        assert np.isnan(score(prediction)).all()


def test_errors_are_weighted_by_gene():
    weights = np.zeros((5, 12))
    weights[:, 0], weights[:, 1] = 3.0, 1.0
    of = response(weights=weights)
    error = np.zeros((5, 12))
    error[:, 0], error[:, 5] = 2.0, 100.0  # the second counts for nothing
    prediction = predicting(actual(of) + error, of)
    np.testing.assert_allclose(weighted_mse(prediction), 3 / 4 * 4)
    from_mean = of.test.to_numpy()[:, :2] - of.mean.to_numpy()[:2]
    share = np.array([0.75, 0.25])
    variance = (share * (from_mean - (from_mean @ share)[:, None]) ** 2).sum(axis=1)
    np.testing.assert_allclose(weighted_r2(prediction), 1 - 3 / variance)


def test_discrimination_ranks_the_right_perturbation_among_all():
    of = response()
    swapped = actual(of)[[1, 0, 2, 3, 4]]
    found = discrimination(predicting(swapped, of))
    np.testing.assert_array_equal(found[2:], 1)
    unit = actual(of) / np.linalg.norm(actual(of), axis=1, keepdims=True)
    for k in (0, 1):
        distances = 1 - unit @ unit[1 - k]
        assert found[k] == 1 - (distances < distances[k]).sum() / 4


def test_discrimination_is_among_the_perturbations_of_all_folds():
    """Two folds of one screen, and all of it at once, say the same of each perturbation."""
    whole = response()
    guess = actual(whole) + 3 * np.random.default_rng(1).normal(size=(5, 12))
    first, second = (replace(whole, test=whole.test.iloc[rows]) for rows in (slice(2), slice(2, 5)))
    of_fold = replace(first, other_folds=(second,))
    table = pd.DataFrame(5 + guess, NAMES, GENES)
    found = discrimination(Prediction(table.iloc[:2], of_fold))
    np.testing.assert_array_equal(found, discrimination(Prediction(table, whole))[:2])
    assert not np.array_equal(found, discrimination(Prediction(table.iloc[:2], first)))


def test_genes_that_are_perturbed_give_nothing_away():
    """Each perturbation is told by its own gene alone, which the score leaves out."""
    names = pd.Index(["g0", "g1+g2"])
    deltas = np.zeros((2, 12))
    deltas[0, 0], deltas[1, 1] = -3.0, -3.0
    deltas[:, 5] = 1.0
    test = pd.DataFrame(5 + deltas, names, GENES)
    part = response()
    of = Response(CONTROL, part.mean, test, test, test, test, part.cells, part.space)
    np.testing.assert_array_equal(discrimination(Prediction(test, of)), [0.5, 0.5])
    by_guide = {"g0": "guide1", "g1+g2": "guide2"}
    test = test.rename(index=by_guide)
    aims = pd.Series({guide: gene for gene, guide in by_guide.items()})
    of = Response(CONTROL, part.mean, test, test, test, test, part.cells, part.space, aims=aims)
    np.testing.assert_array_equal(discrimination(Prediction(test, of)), [0.5, 0.5])


def test_fidelity_counts_differential_genes_of_the_largest_predicted_deltas_with_the_right_sign():
    of = response(differential=10)
    guess = actual(of).copy()
    guess[0, 0] *= -1  # one wrong direction
    guess[1, 10] = 50  # a gene that does not respond takes the place of the smallest
    guess[2, 3] = 0  # nothing said of one gene, so that a gene that does not respond takes its place
    expected = []
    for k in range(5):
        top = set(np.argsort(-np.abs(guess[k]))[:10])
        expected.append(sum(g in top and guess[k, g] * actual(of)[k, g] > 0 for g in range(10)) / 10)
    np.testing.assert_allclose(direction_fidelity(predicting(guess, of)), expected)
    assert expected[2] <= 0.9


def test_reach_ends_where_fewer_than_nine_in_ten_directions_are_right():
    of = response()
    size = np.tile(np.arange(12, 0, -1.0), (5, 1))
    guess = np.sign(actual(of)) * size
    guess[0, 11] *= -1  # 11 of 12 are right: the reach goes to the end
    guess[1, [5, 6]] *= -1  # right to 5 of 5, and 10 of 12 are less than nine in ten
    guess[2] *= -1
    found = reach(predicting(guess, of))
    np.testing.assert_allclose(found, [1, 5 / 12, 0, 1, 1])


def test_the_energy_distance_is_of_the_cells_of_each_perturbation():
    of = response()
    far = Prediction(of.test, of, of.space.test.set_axis(np.repeat(NAMES[::-1], CELLS_OF_EACH)))
    found = energy_distance(far)
    assert found.shape == (5,)
    assert abs(found[2]) < 2, "the middle one has changed places with itself"
    np.testing.assert_allclose(found[:2], found[:2:-1])
    assert found[0] > found[1] > 10


def test_what_knows_nothing_scores_as_the_methods_page_says():
    of = response(differential=10)
    nothing = predicting(np.zeros((5, 12)), of)
    values = {name: score(nothing) for name, score in SCORES.items()}
    of_deltas = ("pearson", "cosine", "pearson_differential", "cosine_differential", "ate_pearson")
    for name in (*of_deltas, "fidelity", "reach"):
        np.testing.assert_array_equal(values[name], 0)
    assert values["ate_r2"].mean() <= 0
    np.testing.assert_array_equal(values["discrimination"], 0.5)
    of_mean = mean_response(nothing)
    np.testing.assert_array_equal(pearson_delta_from_mean(of_mean), 0)
    assert discrimination(of_mean).mean() == 0.5
    assert (weighted_r2(of_mean) <= 0).all()


def test_rounding_of_a_file_in_single_precision_is_no_prediction():
    of = response()
    rounded = Prediction(pd.DataFrame(np.full((5, 12), 5 + 1e-6), NAMES, GENES), of)
    np.testing.assert_array_equal(cosine_delta(rounded), 0)


@pytest.mark.parametrize("name", SCORES)
def test_the_mean_is_0_and_the_duplicate_1_on_the_calibrated_scale(name):
    of, score = response(), SCORES[name]
    direction = "lower" if name in LOWER else "higher"
    duplicate = technical_duplicate(predicting(np.zeros((5, 12)), of))
    np.testing.assert_allclose(calibrated(score, mean_response(duplicate), direction), 0, atol=1e-12)
    assert calibrated(score, duplicate, direction).mean() == pytest.approx(1)
    best = calibrated(score, predicting(actual(of), of), direction)
    assert best.mean() >= 1


def test_a_score_that_does_not_separate_the_ends_is_no_evidence():
    of = response()
    same_cells = replace(of.space, adapt=of.space.mean)
    of = replace(of, adapt=mean_response(predicting(np.zeros((5, 12)), of)).profiles, space=same_cells)
    guess = predicting(actual(of), of)
    for name, score in SCORES.items():
        direction = "lower" if name in LOWER else "higher"
        assert np.isnan(calibrated(score, guess, direction)).all(), name


@pytest.mark.parametrize("name", [name for name in SCORES if name not in POOLED])
def test_evidence_and_scale_rest_on_all_folds_of_a_split(name):
    """One perturbation per fold is no evidence; five folds are, and their duplicates have a mean of 1."""
    score, direction = SCORES[name], "lower" if name in LOWER else "higher"
    whole = response()
    folds = [
        replace(whole, test=whole.test.loc[[perturbation]], adapt=whole.adapt.loc[[perturbation]])
        for perturbation in NAMES
    ]
    alone = technical_duplicate(Prediction(folds[0].test, folds[0]))
    assert np.isnan(calibrated(score, alone, direction)).all()
    values = []
    for place, fold in enumerate(folds):
        fold = replace(fold, other_folds=tuple(folds[:place] + folds[place + 1 :]))
        values.append(calibrated(score, technical_duplicate(Prediction(fold.test, fold)), direction))
    together = calibrated(score, technical_duplicate(Prediction(whole.test, whole)), direction)
    np.testing.assert_allclose(np.concatenate(values), together)
    assert np.mean(values) == pytest.approx(1)


# --- as metrics of a fit ----------------------------------------------------------------------------

CELLS = pd.Index([f"cell{i}" for i in range(24)])
LABELS = ["control"] * 2 + ["x"] * 2 + [name for name in NAMES for _ in range(4)]
PARTS = ["train"] * 4 + ["adapt", "adapt", "test", "test"] * 5
SPLIT = pd.DataFrame({"cell": CELLS, "perturbation": LABELS, "part": PARTS})


def fit_predicting(basis="adapted", **changes) -> Fit:
    table = predicting(actual(response()), response()).profiles
    counts = np.random.default_rng(3).poisson(3, size=(3 * len(NAMES), len(GENES)))
    generated = GeneratedCells(sparse.csr_matrix(counts), np.repeat(NAMES, 3))
    return Fit(CELLS, predictions={basis: changes.get("table", table)}, generated={basis: generated})


def test_metrics_of_predictions_apply_to_the_bases_that_a_fit_has():
    table = compute_metrics(fit_predicting(), SPLIT, response=response()).set_index("metric")["value"]
    assert table["pearson_delta_adapted"] == pytest.approx(1)
    assert table["pearson_delta_adapted_calibrated"] >= 1
    known = table.dropna().index
    assert {METRICS[name].question for name in known} == {"prediction"}
    assert all("_adapted" in name for name in known)
    assert len(known) == 2 * len(SCORES)


def test_without_a_control_what_is_measured_from_it_is_not_applicable():
    of = replace(response(), control=pd.Series(np.nan, GENES))
    values = compute_metrics(fit_predicting(), SPLIT, response=of).dropna()
    names = {name.removesuffix("_calibrated") for name in values["metric"]}
    kept = ("energy_distance", "pearson_delta_from_mean", "weighted_mse", "weighted_r2")
    assert names == {f"{name}_adapted" for name in kept}


def test_without_generated_cells_their_distance_is_not_applicable():
    fit = replace(fit_predicting(), generated=None)
    known = compute_metrics(fit, SPLIT, response=response()).dropna()["metric"]
    assert len(known) == 2 * (len(SCORES) - 1)
    assert not known.str.startswith("energy_distance").any()


def test_real_data_have_a_value_for_each_held_out_perturbation():
    metric = METRICS["pearson_delta_adapted_calibrated"]
    tables = evaluate_fit(fit_predicting(), SPLIT, None, [metric], seed=0, response=response())
    assert tables.held_out["perturbation"].tolist() == list(NAMES)
    assert tables.held_out["value"].mean() == pytest.approx(tables.metrics["value"].item())


def without_the_last(table):
    return table.iloc[:-1]


def with_a_stranger(table):
    return pd.concat([table, table[:1].rename({"a": "aa"})])


def backwards(table):
    return table[GENES[::-1]]


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("no row for perturbation 'e'", without_the_last),
        ("unknown held-out perturbation 'aa', did you mean 'a'", with_a_stranger),
        ("the genes are not those of the dataset, in its order", backwards),
    ],
)
def test_predictions_of_other_rows_or_genes_are_a_failed_fit(said, change):
    fit = fit_predicting(table=change(fit_predicting().predictions["adapted"]))
    status = evaluate_fit(fit, SPLIT, None, list(METRICS.values()), seed=0, response=response()).status
    assert status["status"].item() == "failed"
    assert said in status["message"].item()


def test_on_basis_of_parts_only_combinations_of_trained_perturbations_are_scored():
    names = pd.Index(["x+y", "x+z"])
    labels = ["x"] * 2 + ["y"] * 2 + [name for name in names for _ in range(4)]
    parts = ["train"] * 4 + ["adapt", "adapt", "test", "test"] * 2
    split = pd.DataFrame({"cell": CELLS[:12], "perturbation": labels, "part": parts})
    full = response()
    two = {
        name: getattr(full, name).iloc[:2].set_axis(names)
        for name in ("test", "adapt", "p_adjusted", "weights", "cells")
    }
    of = Response(control=full.control, mean=full.mean, space=full.space, **two)
    fit = Fit(CELLS[:12], predictions={"combination": of.test.iloc[:1]})
    comparison = Comparison(fit, split, None, 0, of)
    assert comparison.prediction("combination").index.tolist() == ["x+y"]
