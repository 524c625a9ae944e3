"""Where methods fail on the axes of a scope, worked out by hand, and how the figures show it."""

from dataclasses import replace

import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from fake_tables import fake_tables
from scipy.stats import ortho_group

from svae.evaluation.matching import mcc_of_rotations
from svae.evaluation.metrics.latents import mean_matched_correlation
from svae.report.figures import FIGURES, draw
from svae.report.first_page import summary
from svae.report.severity import (
    FAILS,
    FAILS_AT_BASELINE,
    HOLDS,
    chance_of,
    differences,
    failure_points,
    scores,
    steps,
)

METRICS = ["mcc_pearson", "target_f1", "inll_clean"]
BASE = {"simulator": "screen", "n_latent": 8}
AXES = {
    "escapers": {"base": 0.0, 0.7: 0.7, 0.2: 0.2},
    "cells_per_perturbation": {"base": 250, 20: 20, 100: 100},
    "n_latent": {"base": 8, 4: 4, 16: 16, 6: 6},
}


def varied(axis, value):
    return f"base_{axis}={value}", BASE | {axis: value, "baseline": "base", "axis": axis}


def build(base=BASE, **changed):
    changes = [varied(axis, value) for axis, values in AXES.items() for value in values if value != "base"]
    arguments = {"replicates": 2, "methods": ["svae_plus", "vae", "random"], "metrics": METRICS}
    arguments |= {"restarts": 1, "epochs": 2, "perturbations": 3, "grids": {}}
    return fake_tables({"base": base, **dict(changes)}, **arguments | changed)


@pytest.fixture(scope="module")
def tables():
    return build()


def with_means(tables, means):
    """The tables with other means of the MCC: by dataset and method."""
    board = tables.leaderboard.copy()
    for (dataset, method), mean in means.items():
        rows = (
            (board["dataset"] == dataset) & (board["method"] == method) & (board["metric"] == "mcc_pearson")
        )
        board.loc[rows, ["mean", "low", "high"]] = mean
    return replace(tables, leaderboard=board)


def test_steps_go_away_from_the_baseline(tables):
    table = steps(tables)
    on_axis = {
        axis: dict(zip(rows["value"], rows["step"], strict=True))
        for axis, rows in table.groupby("axis", sort=False)
    }
    assert on_axis == {
        "escapers": {0: 0, 0.2: 1, 0.7: 2},
        "cells_per_perturbation": {250: 0, 100: 1, 20: 2},  # smaller values alone: they go to the right, too
        "n_latent": {4: -2, 6: -1, 8: 0, 16: 1},
    }
    assert list(on_axis) == list(AXES), "in the order of the config file"
    assert set(table["baseline"]) == {"base"}


def test_without_a_number_at_the_baseline_the_order_is_that_of_the_file():
    datasets = {"base": {"simulator": "screen"}}
    for value in (10.0, 1.0):
        name, changed = varied("dispersion", value)
        datasets[name] = changed
    table = steps(fake_tables(datasets, replicates=1, methods=["vae"], metrics=METRICS))
    assert list(table["dataset"]) == ["base", "base_dispersion=10.0", "base_dispersion=1.0"]
    assert list(table["step"]) == [0, 1, 2]


def test_every_dataset_of_an_axis_has_its_scores(tables):
    table = scores(tables, ["mcc_pearson"])
    assert len(table) == 3 * (3 + 3 + 4)
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & (board["metric"] == "mcc_pearson")]
    expected = board.set_index(["dataset", "method"])["mean"]
    np.testing.assert_array_equal(
        table["mean"], expected[list(zip(table["dataset"], table["method"], strict=True))]
    )


def test_a_method_fails_where_half_of_what_it_had_over_chance_is_lost(tables):
    curve = {"base": 0.9, "base_escapers=0.2": 0.76, "base_escapers=0.7": 0.75}
    chance = {"base": 0.6, "base_escapers=0.2": 0.6, "base_escapers=0.7": 0.7}
    means = {(name, "svae_plus"): mean for name, mean in curve.items()}
    means |= {(name, "vae"): 0.8 for name in curve}
    means |= {(name, "random"): mean for name, mean in chance.items()}
    table = failure_points(with_means(tables, means), ["mcc_pearson"])
    on_axis = table[table["axis"] == "escapers"].set_index("method")
    # .76 is above (.9 + .6) / 2, and .75 is below (.9 + .7) / 2.
    assert on_axis.loc["svae_plus", "fails_at"] == 0.7
    assert on_axis.loc["svae_plus", "share"] == 0.5
    assert on_axis.loc["svae_plus", ["outcome", "chance"]].tolist() == [FAILS, 0.6]
    assert on_axis.loc["vae", ["outcome", "last", "share", "score"]].tolist() == [HOLDS, 0.7, 1.0, 0.8]
    assert set(on_axis["side"]) == {"up"}
    assert "random" not in on_axis.index


def test_the_point_of_failure_is_the_first_one_on_each_side(tables):
    means = {(f"base_n_latent={value}", "vae"): 0.0 for value in (4, 6, 16)}
    means |= {("base", "vae"): 0.9, ("base", "svae_plus"): 0.9}
    table = failure_points(with_means(tables, means), ["mcc_pearson"])
    sides = table[(table["axis"] == "n_latent") & (table["method"] == "vae")].set_index("side")
    assert sides["fails_at"].to_dict() == {"down": 6, "up": 16}


def test_a_method_whose_interval_is_not_above_chance_fails_at_the_baseline(tables):
    curve = {(f"base{value}", "vae"): 0.85 for value in ("", "_escapers=0.2", "_escapers=0.7")}
    changed = with_means(tables, curve | {("base", "random"): 0.8})
    board = changed.leaderboard
    for low, outcome in ((0.84, HOLDS), (0.79, FAILS_AT_BASELINE)):
        board.loc[(board["dataset"] == "base") & (board["method"] == "vae"), "low"] = low
        table = failure_points(changed, ["mcc_pearson"])
        of_vae = table[(table["method"] == "vae") & (table["axis"] == "escapers")]
        assert of_vae["outcome"].tolist() == [outcome]
    assert of_vae["share"].tolist() == [0.0]


@pytest.mark.parametrize(("n", "expected"), [(1, 1.0), (2, None), (5, 0.73), (15, 0.52)])
def test_to_find_the_space_of_the_latents_alone_is_chance(n, expected):
    """With two latents, the best match of a rotation is the larger one of |cos| and |sin| of its angle."""
    if expected is None:
        angles = np.linspace(0, 2 * np.pi, 10_000)
        expected = np.maximum(np.abs(np.cos(angles)), np.abs(np.sin(angles))).mean()
    assert mcc_of_rotations(n) == pytest.approx(expected, abs=0.01)
    latents = np.random.default_rng(0).normal(size=(5000, n))
    rotated = latents @ ortho_group.rvs(n, random_state=1) if n > 1 else latents
    assert mean_matched_correlation(latents, rotated) == pytest.approx(expected, abs=0.15)


def test_chance_of_the_mcc_is_that_of_a_rotation_of_the_true_latents():
    tables = build(base=BASE | {"latents": 5})
    chance = chance_of(tables, "mcc_pearson")
    assert chance["base"].tolist() == [mcc_of_rotations(5)]
    assert chance["base_escapers=0.2"].tolist() == [mcc_of_rotations(15)], "the simulator's default"


def test_a_baseline_without_a_number_has_an_order_a_side_and_a_point_of_failure():
    """Nothing is said of the dispersion at the baseline; the VAE is below chance there already."""
    varied_values = [varied("dispersion", value) for value in (10, 3, 1)]
    datasets = {"base": BASE | {"dispersion": None}, **dict(varied_values)}
    tables = fake_tables(
        datasets, replicates=2, methods=["svae_plus", "vae", "random"], metrics=METRICS, grids={}
    )
    means = {("base", "vae"): 0.1, ("base", "random"): 0.2}
    changed = with_means(tables, means)
    assert steps(changed)["step"].tolist() == [0, 1, 2, 3]
    of_vae = failure_points(changed, ["mcc_pearson"]).set_index("method").loc["vae"]
    assert (of_vae["side"], of_vae["outcome"], of_vae["last"]) == ("down", FAILS_AT_BASELINE, 1)
    [axes] = [ax for ax in draw("failure_points", changed).figure.axes if ax.get_title().startswith("MCC")]
    assert "baseline" in {text.get_text() for text in axes.texts}


def test_likelihoods_have_no_chance_and_so_no_point_of_failure(tables):
    assert failure_points(tables, ["inll_clean"]).empty


def test_differences_are_paired_with_the_reference(tables):
    table = differences(tables, "inll_clean")
    assert (table.loc[table["method"] == "svae_plus", ["mean", "low", "high"]] == 0).all(axis=None)
    board = scores(tables, ["inll_clean"]).set_index(["axis", "dataset", "method"])["mean"]
    of_vae = table[table["method"] == "vae"].set_index(["axis", "dataset"])["mean"]
    expected = board.xs("vae", level="method") - board.xs("svae_plus", level="method")
    pd.testing.assert_series_equal(of_vae.sort_index(), expected.sort_index(), check_names=False)


def test_a_scope_that_varies_nothing_has_no_axis():
    plain = fake_tables(["a", "b"], replicates=1, methods=["vae"], metrics=METRICS)
    assert steps(plain).empty
    assert scores(plain, METRICS).empty
    assert failure_points(plain, METRICS).empty


def test_other_figures_and_pages_show_the_baseline_alone(tables):
    baseline = tables.without_varied()
    for name in ("metrics", "selected", "status", "leaderboard", "datasets"):
        assert set(getattr(baseline, name)["dataset"]) == {"base"}
    assert set(draw("latent_recovery", tables).table["dataset"]) == {"base"}
    assert "note" in draw("sweep", tables).table


def test_the_figures_have_a_panel_for_each_axis(tables):
    figure = draw("robustness_latents", tables).figure
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["Escapers", "Cells per perturbation", "Latents fitted"]
    assert [[text.get_text() for text in ax.get_xticklabels()] for ax in figure.axes] == [
        ["0", "0.2", "0.7"],
        ["250", "100", "20"],
        ["4", "6", "8", "16"],
    ]


def test_what_is_missing_is_said_where_it_is_missing():
    shown = build(not_run=[("base_escapers=0.7", "vae")])
    notes = [
        text.get_text() for text in draw("robustness_latents", shown).figure.findobj(matplotlib.text.Text)
    ]
    assert "not run: VAE at escapers 0.7" in notes


def test_identifiable_latents_are_drawn_where_their_share_changes(tables):
    def share(counts):
        board = tables.leaderboard
        rows = board[(board["metric"] == "mcc_pearson") & (board["method"] == "vae")]
        rows = rows.assign(metric="identifiable_latents", mean=rows["dataset"].map(counts).fillna(1.0))
        return replace(tables, leaderboard=pd.concat([board, rows]))

    def panels_with_share(tables):
        figure = draw("robustness_latents", tables).figure
        return [ax.get_title() for ax in figure.axes if any(line.get_linestyle() == ":" for line in ax.lines)]

    assert panels_with_share(share({"base_cells_per_perturbation=20": 0.5})) == ["Cells per perturbation"]
    assert panels_with_share(share({})) == []


def test_the_table_of_failures_says_what_holds(tables):
    texts = [text.get_text() for text in draw("failure_points", tables).figure.findobj(matplotlib.text.Text)]
    assert {"Escapers ↑", "Cells per perturbation ↓", "Latents fitted ↑", "Latents fitted ↓"} <= set(texts)
    assert "holds" in texts
    assert FIGURES["failure_points"].varied


def test_the_first_page_leads_with_the_baseline_and_names_what_was_varied(tables):
    page = " ".join(summary(tables, "x", {}).split())
    assert "escapers (2 values), cells per perturbation (2 values), n latent (3 values)" in page
    assert "escapers=" not in page
