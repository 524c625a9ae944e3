import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from svae.contracts.tables import (
    DIFFERENCE_COLUMNS,
    LEADERBOARD_COLUMNS,
    METRICS_COLUMNS,
    PERTURBATIONS_COLUMNS,
    SELECTED_COLUMNS,
    WEIGHTED_COLUMNS,
    concatenate,
    read_tidy,
    with_run,
)
from svae.errors import BenchmarkError
from svae.evaluation.leaderboard import leaderboard
from svae.evaluation.statistics import compare, t_interval
from svae.files import write_table
from svae.report.methods_table import read_methods
from svae.report.numbers import sample_size

METHODS_TABLE = Path(__file__).resolve().parents[2] / "config" / "methods.tsv"
MCC = {
    "svae_plus": [0.8, 0.9, 0.85],
    "vae": [0.4, 0.5, 0.45],
    "mine": [0.6, np.nan, 0.7],
    "oracle": [1, 1, 1],
}


@pytest.fixture
def results():
    """Three replicates of three methods and a control; one replicate of `mine` failed."""
    run = {"dataset": "sim", "split": "paper"}
    metrics, selected = [], []
    for (method, values), replicate in itertools.product(MCC.items(), range(3)):
        setting = "best" if not np.isnan(values[replicate]) else np.nan
        for rule in ("fixed", "hindsight"):
            key = {**run, "replicate": replicate, "method": method}
            outcome = "failed" if setting is np.nan else "chosen"
            selected.append({**key, "rule": rule, "setting": setting, "outcome": outcome})
        for metric, value in (
            ("mcc_pearson", values[replicate]),
            ("inll_same_cells", 300 + values[replicate]),
        ):
            key |= {"metric": metric}
            metrics.append({**key, "setting": "best", "value": value})
            metrics.append({**key, "setting": "worse", "value": -1.0})
    return pd.DataFrame(metrics)[list(METRICS_COLUMNS)], pd.DataFrame(selected)[list(SELECTED_COLUMNS)]


@pytest.fixture
def board(results):
    methods = read_methods(METHODS_TABLE, ["mine"])
    return leaderboard(*results, methods, reference="svae_plus")


def rows(board, metric, rule="fixed"):
    return board[(board["metric"] == metric) & (board["rule"] == rule)].set_index("method")


def test_leaderboard_sums_up_the_chosen_setting(board):
    assert tuple(board.columns) == LEADERBOARD_COLUMNS
    assert len(board) == 2 * 2 * 4
    table = rows(board, "mcc_pearson")
    assert table["mean"].to_dict() == pytest.approx(
        {"svae_plus": 0.85, "vae": 0.45, "mine": 0.65, "oracle": 1}
    )
    assert table["n"].to_dict() == {"svae_plus": 3, "vae": 3, "mine": 2, "oracle": 3}
    assert (table["planned"] == 3).all()
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()


def test_a_method_that_the_scope_leaves_out_of_a_replicate_has_fewer(results):
    metrics, selected = results
    left_out = (selected["method"] == "vae") & (selected["replicate"] == 2)
    board = leaderboard(metrics, selected[~left_out], read_methods(METHODS_TABLE, ["mine"]), "svae_plus")
    row = rows(board, "mcc_pearson").loc["vae"]
    assert (row["n"], row["planned"], row["pairs"]) == (2, 3, 2)
    assert sample_size(row) == "2 of 3"


def test_ranks_follow_the_direction_and_skip_anchors(board):
    up, down = rows(board, "mcc_pearson")["rank"], rows(board, "inll_same_cells")["rank"]
    assert up[["svae_plus", "mine", "vae"]].tolist() == [1, 2, 3]
    assert down[["svae_plus", "mine", "vae"]].tolist() == [3, 2, 1]
    assert np.isnan(up["oracle"])


def test_the_hindsight_rule_is_not_ranked(board):
    assert rows(board, "mcc_pearson", "hindsight")["rank"].isna().all()
    assert rows(board, "mcc_pearson", "hindsight")["mean"].notna().all()


def test_differences_to_the_reference_leave_out_anchors(board):
    table = rows(board, "mcc_pearson")
    compared = compare(pd.DataFrame(MCC).drop(columns="oracle"), "svae_plus")
    for method in ("vae", "mine"):
        columns = ["difference", "difference_low", "difference_high", "pairs", "p", "p_adjusted"]
        row = table.loc[method, columns].astype(float)
        expected = compared.loc[method, ["difference", "low", "high", "n", "p", "p_adjusted"]]
        assert row.tolist() == pytest.approx(expected.tolist())
    assert table["pairs"][["vae", "mine"]].tolist() == [3, 2]
    assert set(table["unit"].dropna()) == {"replicate"}
    assert table["verdict"]["vae"] == "differs"
    assert table.loc[["svae_plus", "oracle"], list(DIFFERENCE_COLUMNS)].isna().all(axis=None)


def test_real_data_are_compared_over_the_perturbations_that_were_held_out():
    """`a` is held out in both replicates, and counts once: the mean of its two differences."""
    run = {"dataset": "screen", "split": "random", "metric": "inll_clean", "setting": "best"}
    values = {
        ("svae_plus", 0): {"a": 100, "b": 210},
        ("svae_plus", 1): {"a": 104, "c": 300},
        ("vae", 0): {"a": 101, "b": 213},
        ("vae", 1): {"a": 107, "c": 304},
    }
    effects = {"a": 2.0, "b": 1.0, "c": 1.0}
    held_out = pd.DataFrame(
        [
            {**run, "replicate": replicate, "method": method, "perturbation": name, "value": float(value)}
            for (method, replicate), of_perturbation in values.items()
            for name, value in of_perturbation.items()
        ]
    )
    held_out["effect"] = held_out["perturbation"].map(effects)
    runs = ["dataset", "split", "replicate", "method", "setting"]
    metrics = held_out.groupby([*runs, "metric"], as_index=False)["value"].mean()
    selected = metrics[runs].assign(rule="fixed", outcome="chosen")
    board = leaderboard(metrics, selected, read_methods(METHODS_TABLE), "svae_plus", held_out)
    row = board.set_index("method").loc["vae"]
    assert (row["pairs"], row["unit"]) == (3, "perturbation")
    assert row["difference"] == pytest.approx((2 + 3 + 4) / 3)
    low, high = t_interval(np.array([2.0, 3, 4]))
    assert (row["difference_low"], row["difference_high"]) == pytest.approx((low, high))
    assert (row["n"], row["planned"], row["perturbations"]) == (2, 2, 3)
    assert sample_size(row) == "2 of 2, 3 perturbations"
    assert row["mean"] == pytest.approx((104 + 213 + 304) / 3), "the mean of the same units"
    low, high = t_interval(np.array([104.0, 213, 304]))
    assert (row["low"], row["high"]) == pytest.approx((low, high))
    assert row["weighted_difference"] == pytest.approx((2 * 2 + 3 + 4) / 4)
    assert row["weighted_pairs"] == pytest.approx(16 / 6)
    unknown = leaderboard(
        metrics, selected, read_methods(METHODS_TABLE), "svae_plus", held_out.assign(effect=np.nan)
    )
    assert unknown[list(WEIGHTED_COLUMNS)].isna().all(axis=None)


def test_an_interval_stays_in_the_range_of_its_metric(board):
    mine = rows(board, "mcc_pearson").loc["mine"]
    assert mine["low"] == pytest.approx(0.65 - 0.635, abs=1e-3), "12.7 standard errors of .05"
    assert mine["high"] == 1


def test_no_value_is_no_rank(results):
    metrics, selected = results
    metrics.loc[metrics["method"] == "vae", "value"] = np.nan
    board = leaderboard(metrics, selected, read_methods(METHODS_TABLE), "svae_plus")
    row = rows(board, "mcc_pearson").loc["vae"]
    assert row["n"] == 0
    assert row[["mean", "low", "rank", "difference", "verdict"]].isna().all()


def test_fallbacks_and_failures_are_counted(results):
    metrics, selected = results
    selected.loc[(selected["method"] == "vae") & (selected["replicate"] < 2), "outcome"] = "fallback"
    board = leaderboard(metrics, selected, read_methods(METHODS_TABLE), "svae_plus")
    table = rows(board, "mcc_pearson")
    assert table["fallbacks"].to_dict() == {"svae_plus": 0, "vae": 2, "mine": 0, "oracle": 0}
    assert table["failed"].to_dict() == {"svae_plus": 0, "vae": 0, "mine": 1, "oracle": 0}
    assert table.loc["vae", "rank"] == 3  # what the fixed setting gave is ranked as any other value


def test_nothing_chosen_at_all_still_makes_a_table(results):
    metrics, selected = results
    board = leaderboard(metrics, selected.assign(setting=np.nan), read_methods(METHODS_TABLE), "svae_plus")
    assert (board["n"] == 0).all()
    assert len(board) == 16


def test_a_reference_that_is_no_method_is_named(results):
    with pytest.raises(BenchmarkError, match="unknown method 'svae_pluss', did you mean 'svae_plus'"):
        leaderboard(*results, read_methods(METHODS_TABLE), "svae_pluss")
    board = leaderboard(*results, read_methods(METHODS_TABLE), "pca")  # known, but not run
    assert board["difference"].isna().all()


def test_a_new_method_needs_no_entry():
    table = read_methods(METHODS_TABLE, ["svae_plus", "mine", "yours", "mine"])
    assert table.loc["mine", "label"] == "mine"
    assert table.loc["mine", "colour"] != table.loc["yours", "colour"]
    assert table["colour"].is_unique
    assert table["anchor"].dtype == bool
    assert table.index[table["anchor"]].tolist() == [
        "technical_duplicate",
        "interpolated_duplicate",
        "oracle",
        "random",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("#c1272d", "red", "svae_plus: colour 'red' is not of the form #rrggbb"),
        ("no\t", "nope\t", "svae_plus: unknown value of column 'anchor' 'nope', did you mean 'no'"),
        ("\nsvae\t", "\nsvae_plus\t", "method 'svae_plus' occurs more than once"),
        ("colour", "color", "column 'colour' is missing"),
    ],
)
def test_a_slip_in_the_table_of_methods_is_named(tmp_path, old, new, message):
    text = METHODS_TABLE.read_text()
    assert old in text
    path = tmp_path / "methods.tsv"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BenchmarkError, match=message):
        read_methods(path)


def test_tables_survive_the_disk(tmp_path):
    value = pd.DataFrame({"metric": ["mcc_pearson", "r2"], "value": [0.5, np.nan]})
    paths = []
    for replicate, setting in ((0, "1e-3"), (1, "none")):
        run = {"dataset": "sim", "split": "paper", "replicate": replicate, "method": "vae"}
        paths.append(tmp_path / f"{replicate}.tsv.gz")
        write_table(with_run(value, **run, setting=setting), paths[-1])
    empty = tmp_path / "empty.tsv"
    write_table(pd.DataFrame(columns=list(METRICS_COLUMNS)), empty)
    table = concatenate([empty, *paths], METRICS_COLUMNS)
    assert tuple(table.columns) == METRICS_COLUMNS
    assert table["setting"].tolist() == ["1e-3", "1e-3", "none", "none"]
    assert table["replicate"].tolist() == [0, 0, 1, 1]
    assert table["value"].isna().tolist() == [False, True, False, True]
    assert concatenate([], METRICS_COLUMNS).empty
    with pytest.raises(BenchmarkError, match="column 'rule' is missing"):
        read_tidy(paths[0], SELECTED_COLUMNS)


def test_names_of_perturbations_stay_text_where_they_are_digits(tmp_path):
    fit = {"dataset": "sim", "split": "paper", "replicate": 0, "method": "vae", "setting": "default"}
    rows = pd.DataFrame([fit | {"perturbation": name} for name in ("007", "1")])
    write_table(rows.reindex(columns=list(PERTURBATIONS_COLUMNS)), tmp_path / "perturbations.tsv")
    table = read_tidy(tmp_path / "perturbations.tsv", PERTURBATIONS_COLUMNS)
    assert table["perturbation"].tolist() == ["007", "1"]
