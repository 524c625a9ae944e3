import warnings

import numpy as np
import pandas as pd
import pytest

from svae.evaluation.statistics import bootstrap_interval, compare


def test_interval_holds_the_mean_and_follows_the_seed():
    values = np.random.default_rng(0).normal(3, 1, size=10)
    low, high = bootstrap_interval(values, seed=1)
    assert low < values.mean() < high
    assert (low, high) == bootstrap_interval(values, seed=1)
    narrow = bootstrap_interval(values, level=0.5, seed=1)
    assert low < narrow[0] < narrow[1] < high


def test_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for i in range(200):
        low, high = bootstrap_interval(rng.normal(size=20), level=0.9, seed=i)
        hits += low <= 0 <= high
    assert 0.82 < hits / 200 < 0.96


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], (np.nan, np.nan)),
        ([1.0], (np.nan, np.nan)),
        ([1.0, np.nan], (np.nan, np.nan)),
        ([2.0, 2, 2], (2, 2)),
        ([1.0, 2.0], (1, 2)),
    ],
)
def test_interval_of_few_values(values, expected):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_equal(bootstrap_interval(values), expected)


def test_exact_p_by_hand():
    # All five differences are positive: only 2 of the 32 sign patterns are as extreme.
    values = pd.DataFrame({"a": [1.0, 2, 3, 4, 5], "reference": 0.0})
    row = compare(values, "reference").loc["a"]
    assert (row["n"], row["difference"]) == (5, 3)
    assert row["p"] == pytest.approx(2 / 32)
    # Signs of (3, 1, −1): sums ≥ 3 in 3 of 8 patterns, and as many on the other side.
    values = pd.DataFrame({"a": [3.0, 1, -1], "reference": 0.0})
    assert compare(values, "reference").loc["a", "p"] == pytest.approx(6 / 8)


def test_holm_by_hand():
    rng = np.random.default_rng(0)
    base = rng.normal(size=8)
    values = pd.DataFrame({"reference": base, "far": base + 5, "low": base - 5, "same": base[::-1]})
    table = compare(values, "reference")
    assert table.loc["far", "p"] == pytest.approx(2 / 256)
    assert table.loc["far", "p_adjusted"] == pytest.approx(3 * 2 / 256)
    assert table.loc["low", "p_adjusted"] == pytest.approx(3 * 2 / 256)
    assert table.loc["same", "p_adjusted"] == pytest.approx(table.loc["same", "p"])


def test_pairing_is_what_makes_it_sensitive():
    rng = np.random.default_rng(0)
    base = 100 * rng.normal(size=8)
    values = pd.DataFrame({"reference": base, "better": base + 1})
    assert compare(values, "reference").loc["better", "p"] == pytest.approx(2 / 256)


def test_only_complete_pairs_count():
    values = pd.DataFrame({"reference": [1.0, 2, np.nan, 4], "a": [2.0, np.nan, 3, 5], "b": np.nan})
    table = compare(values, "reference")
    assert table["n"].to_dict() == {"a": 2, "b": 0}
    assert table.loc["a", "p"] == pytest.approx(2 / 4)
    assert table.loc["a", "p_adjusted"] == pytest.approx(2 / 4)  # b was not tested
    assert np.isnan(table.loc["b", ["difference", "p", "p_adjusted"]].astype(float)).all()
    assert np.isnan(compare(values.iloc[:1], "reference").loc["a", "p"])


def test_equal_values_do_not_differ():
    values = pd.DataFrame({"reference": [1.0, 2, 3], "a": [1.0, 2, 3]})
    assert compare(values, "reference").loc["a", "p"] == 1


def test_without_the_reference_nothing_is_tested():
    table = compare(pd.DataFrame({"a": [1.0, 2], "b": [2.0, 3]}), "reference")
    assert table["p_adjusted"].isna().all()
    assert table.index.tolist() == ["a", "b"]
