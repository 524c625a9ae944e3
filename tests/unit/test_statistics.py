"""Intervals, paired differences, and what is said of them."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

from svae.evaluation.statistics import adjusted_means, compare, holm, t_interval, verdict


@pytest.mark.parametrize("n", [5, 10, 20])
@pytest.mark.parametrize("skewness", [0, 0.5, 1])
def test_the_interval_covers_as_often_as_it_says(n, skewness):
    """Also if differences are skewed, moderately: up to 1 (Bulmer 1979)."""
    rng, shape = np.random.default_rng(0), (100_000, n)
    if skewness:
        form = (2 / skewness) ** 2  # of a gamma distribution
        differences = rng.gamma(form, size=shape) - form
    else:
        differences = rng.normal(size=shape)
    low, high = t_interval(differences)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97


def test_the_interval_by_hand():
    # Mean 3, standard error √(2.5 / 5), and 2.776 is the quantile of four degrees of freedom.
    low, high = t_interval(np.array([1.0, 2, 3, 4, 5]))
    assert (low, high) == pytest.approx((3 - 1.963, 3 + 1.963), abs=1e-3)
    assert t_interval(np.array([1.0, np.nan, 2, 3, np.nan, 4, 5])) == pytest.approx((low, high))
    wide = t_interval(np.array([1.0, 2, 3, 4, 5]), level=0.99)
    assert wide[0] < low < high < wide[1]


@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [np.nan, np.nan]])
def test_fewer_than_two_values_have_no_interval(values):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(t_interval(np.array(values))).all()


def test_equal_values_have_an_interval_of_no_width():
    assert t_interval(np.array([2.0, 2, 2])) == (2, 2)


def test_interval_and_p_never_contradict_each_other():
    """Nor do they part from scipy's paired t-test."""
    rng = np.random.default_rng(0)
    for n in (2, 3, 5, 10):
        reference = rng.normal(size=n)
        shifted = {f"by {size}": reference + rng.normal(size, 1, n) for size in np.linspace(0, 3, 60)}
        values = pd.DataFrame({"reference": reference, **shifted})
        table = compare(values, "reference")
        leaves_out_zero = (table["low"] > 0) | (table["high"] < 0)
        assert leaves_out_zero.equals(table["p"] < 0.05)
        expected = [stats.ttest_rel(values[method], reference).pvalue for method in table.index]
        np.testing.assert_allclose(table["p"], expected)


def test_five_replicates_can_show_a_difference():
    """A sign-flip test could not: the smallest of its p is 2/2⁵."""
    values = pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "reference": 0.0})
    row = compare(values, "reference").loc["a"]
    assert (row["n"], row["difference"]) == (5, 3)
    assert row["p"] == pytest.approx(0.0132, abs=1e-4)  # t = 3 / √.5 = 4.243


def test_holm_by_hand():
    rng = np.random.default_rng(0)
    base = rng.normal(size=8)
    noise = rng.normal(size=(3, 8))
    values = pd.DataFrame({"reference": base, "far": base + 9 + noise[0], "low": base - 2 + noise[1]})
    values["same"] = base + noise[2]
    table = compare(values, "reference")
    p = table["p"]
    assert p["far"] < p["low"] < p["same"]
    expected = [3 * p["far"], 2 * p["low"], p["same"]]
    assert table["p_adjusted"].tolist() == pytest.approx(expected)


def test_holm_is_that_of_statsmodels():
    """Also with ties, with values that reach 1, and beside methods that have no p."""
    p = pd.Series([0.04, np.nan, 0.01, 0.04, 0.3, 0.9], list("abcdef"))
    expected = multipletests(p.dropna(), method="holm")[1]
    pd.testing.assert_series_equal(holm(p).dropna(), pd.Series(expected, list("acdef")))
    assert holm(p[["b"]]).isna().all()


def test_pairing_is_what_makes_it_sensitive():
    rng = np.random.default_rng(0)
    base = 100 * rng.normal(size=8)
    values = pd.DataFrame({"reference": base, "better": base + rng.normal(1, 0.1, size=8)})
    row = compare(values, "reference").loc["better"]
    assert row["p"] < 1e-6
    assert 0.8 < row["low"] < row["high"] < 1.2


def test_only_complete_pairs_count():
    values = pd.DataFrame({"reference": [1.0, 2, np.nan, 4], "a": [2.0, np.nan, 3, 6], "b": np.nan})
    table = compare(values, "reference")
    assert table["n"].to_dict() == {"a": 2, "b": 0}
    assert table.loc["a", "difference"] == 1.5
    assert table.loc["a", "p_adjusted"] == table.loc["a", "p"], "b was not tested"
    assert table.loc["b", ["difference", "low", "high", "p", "p_adjusted"]].isna().all()
    alone = compare(values.iloc[:1], "reference").loc["a"]
    assert alone["difference"] == 1
    assert alone[["low", "high", "p", "p_adjusted"]].isna().all()


def test_equal_values_do_not_differ():
    values = pd.DataFrame({"reference": [1.0, 2, 3], "a": [1.0, 2, 3]})
    row = compare(values, "reference").loc["a"]
    assert (row["low"], row["high"], row["p"]) == (0, 0, 1)


def test_without_the_reference_nothing_is_compared():
    table = compare(pd.DataFrame({"a": [1.0, 2], "b": [2.0, 3]}), "reference")
    assert table[["difference", "low", "p_adjusted"]].isna().all(axis=None)
    assert table.index.tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("low", "high", "p_adjusted", "expected"),
    [
        (0.03, 0.05, 0.001, "differs"),
        (-0.05, -0.03, 0.001, "differs"),
        (0.01, 0.03, 0.001, "differs"),
        (0.01, 0.03, 0.08, "differs before correction"),
        (0.01, 0.015, 0.001, "differs by less than the margin"),
        (-0.01, 0.015, 0.9, "equal within the margin"),
        (-0.01, 0.02, 0.9, "not decided"),
        (-0.03, 0.01, 0.9, "not decided"),
        (np.nan, np.nan, np.nan, "not decided"),
    ],
)
def test_the_interval_decides_what_is_said(low, high, p_adjusted, expected):
    assert verdict(low, high, 0.02, p_adjusted) == expected


def test_without_a_margin_nothing_is_equal():
    assert verdict(-1e-9, 1e-9, np.nan) == "not decided"
    assert verdict(1e-9, 2e-9, np.nan) == "differs"


def test_equal_weights_change_nothing():
    values = pd.DataFrame(np.random.default_rng(0).normal(size=(9, 3)), columns=["a", "b", "c"])
    weighted = compare(values, "a", pd.Series(3.0, values.index))
    pd.testing.assert_frame_equal(weighted, compare(values, "a"), check_dtype=False)


def test_units_of_weight_zero_do_not_count():
    """Two perturbations with an effect among many without one are two pairs."""
    values = pd.DataFrame({"a": np.zeros(20), "b": np.r_[3.0, 5.0, np.full(18, 100)]})
    weights = pd.Series(np.r_[1.0, 1.0, np.zeros(17), np.nan])
    row = compare(values, "a", weights).loc["b"]
    assert (row["n"], row["difference"]) == (2, 4)
    assert (row["low"], row["high"]) == pytest.approx(t_interval(np.array([3.0, 5.0])))


def test_weighted_intervals_cover_as_often_as_they_say():
    """Weights that differ as effect sizes of a screen do: a few strong perturbations, and many weak ones."""
    random = np.random.default_rng(0)
    weights = np.exp(random.normal(size=25))
    low, high = t_interval(random.normal(size=(4000, 25)), weights=weights)
    assert ((low < 0) & (high > 0)).mean() == pytest.approx(0.95, abs=0.015)


def test_a_single_unit_with_an_effect_has_no_interval():
    values = pd.DataFrame({"a": np.zeros(3), "b": [3.0, 5.0, 4.0]})
    row = compare(values, "a", pd.Series([1.0, 0, 0])).loc["b"]
    assert row["difference"] == 3
    assert np.isnan([row["low"], row["high"], row["p"]]).all()


def test_means_are_adjusted_for_units_that_a_method_lacks():
    full = pd.DataFrame({"a": [1.0, 2, 9], "b": [2.0, 3, 10]})
    pd.testing.assert_series_equal(adjusted_means(full), full.mean())
    lacks_the_hard_unit = full.assign(a=[1.0, 2, np.nan])
    assert lacks_the_hard_unit["a"].mean() < full["a"].mean()
    means = adjusted_means(lacks_the_hard_unit.assign(c=np.nan))
    assert means["b"] - means["a"] == pytest.approx(1)
    assert means["b"] == pytest.approx(5)
    assert np.isnan(means["c"])
