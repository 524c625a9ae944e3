"""The figures: what they show, what they say is missing, and what they write."""

import itertools
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import matplotlib.text
import numpy as np
import pandas as pd
import pytest
from fake_tables import fake_tables, write_tables
from matplotlib.lines import Line2D

from svae.contracts.pathways import LARGEST_PATHWAY
from svae.differential import DELTA
from svae.errors import BenchmarkError
from svae.evaluation.embedding import MOST_CELLS, NEIGHBOURS
from svae.evaluation.selection import HINDSIGHT
from svae.report.figures import FIGURES, draw, save
from svae.report.figures.budget import expected
from svae.report.figures.heatmaps import write_column_names, write_row_names
from svae.report.figures.latent_genes import ENRICHED, SURE
from svae.report.tables import COLUMNS, Tables
from svae.workflow.figures import OF_TABLES, figures_of, kind_of_datasets
from svae.workflow.scope import Scope

CAPTIONS = Path(__file__).resolve().parents[2] / "reports" / "captions"
SMALL = ["mcc_pearson", "r2", "target_f1", "target_precision", "target_recall", "inll_clean"]
NO_TRUTH = {
    *("likelihood", "cost", "training_curves", "target_matrix", "shared_targets", "score_against_fits"),
    *("latent_genes", "nearest_trained", "embedding", "predictive_checks"),
}
TRUTH = {"latent_recovery", "target_identification", "targets_against_penalty", "selection_rules", "sweep"}
HELD_OUT = {
    *("differences", "gain_against_effect", "sibling_guides"),
    *("pathway_agreement", "disentanglement"),
}
VARIED = {"robustness_latents", "robustness_targets", "robustness_likelihood", "failure_points"}


@cache
def simulated():
    """Two datasets; a method that failed, one that was not run, and one for which UDR cannot choose.

    A third one, which only figures of what is varied show, has more escapers than the second.
    """
    large = {"simulator": "screen"}
    varied = large | {"escapers": 0.5, "baseline": "large", "axis": "escapers"}
    return fake_tables(
        {"small": large | {"cells_per_perturbation": 100}, "large": large, "large_escapers=0.5": varied},
        replicates=3,
        methods=["svae_plus", "svae", "beta_vae", "vae", "pca", "oracle", "random"],
        metrics=SMALL,
        failed=[("svae", 1), ("vae", 0), ("vae", 1), ("vae", 2)],
        not_run=[("small", "beta_vae")],
    )


@cache
def real():
    methods = ["svae_plus", "vae", "pca"]
    return fake_tables(["screen"], truth=False, replicates=1, methods=methods, metrics=SMALL)


@cache
def held_out():
    """A real screen that holds out other perturbations in each replicate, and tells of each."""
    return fake_tables(
        ["screen"],
        truth=False,
        replicates=2,
        methods=["svae_plus", "ivae", "vae", "pca"],
        metrics=[*SMALL, "inll_zero_shot", "likelihood_gain", "sibling_auroc", "pathway_auroc", "smi_best"],
        held_out=6,
    )


@cache
def drawn(name):
    """Each figure is drawn once, of the simulated run if it applies to one."""
    return draw(name, held_out() if name in HELD_OUT else simulated())


def texts(figure):
    return [text.get_text() for text in figure.findobj(matplotlib.text.Text) if text.get_text()]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_fits_a_page_and_shows_numbers(name):
    assert "note" not in drawn(name).table
    assert drawn(name).figure.get_figwidth() / 0.03937 <= 180
    assert drawn(name).table.select_dtypes("number").notna().any(axis=None)


@pytest.mark.parametrize("name", FIGURES)
def test_without_truth_and_with_one_replicate_a_figure_is_drawn_or_says_why_not(name):
    table = draw(name, real()).table
    says_why_not = "note" in table and "not applicable here, because it needs" in table["note"][0]
    assert says_why_not or table.select_dtypes("number").notna().any(axis=None)
    assert name not in (TRUTH | VARIED | HELD_OUT if not says_why_not else NO_TRUTH)


def test_a_run_in_which_everything_failed_is_no_error():
    methods = ["svae_plus", "vae"]
    lost = [(method, replicate) for method in methods for replicate in range(2)]
    tables = fake_tables(replicates=2, methods=methods, metrics=SMALL, failed=lost)
    for name in FIGURES:
        assert "note" in draw(name, tables).table


def test_an_unknown_figure_is_named_with_the_nearest():
    with pytest.raises(BenchmarkError, match="did you mean 'likelihood'"):
        draw("likelihoods", simulated())


def test_means_are_those_of_the_dots():
    table, tables = drawn("latent_recovery").table, simulated()
    means = table.groupby(["dataset", "metric", "method", "rule"])[["value", "mean"]].mean()
    assert len(means) == 2 * (7 + 6) * 2
    assert means["mean"].notna().sum() == 2 * (6 + 5) * 2, "VAE failed"
    np.testing.assert_allclose(means["value"], means["mean"])
    values = tables.metrics.merge(tables.selected.query("rule == 'udr'"))
    chosen = values.query("dataset == 'small' and method == 'svae_plus' and metric == 'r2'")["value"]
    assert means.loc[("small", "r2", "svae_plus", "udr"), "mean"] == pytest.approx(chosen.mean())


def test_the_likelihood_drawn_is_that_of_the_table():
    first = drawn("likelihood").table.query("dataset == 'small' and method == 'svae_plus' and rule == 'udr'")
    marks = drawn("likelihood").figure.axes[0].collections
    points = np.concatenate([np.ma.filled(dots.get_offsets(), np.nan)[:, 0] for dots in marks])
    assert set(first["value"]) | set(first["mean"]) <= set(np.asarray(points, dtype=float))
    assert "floor: true generator" in texts(drawn("likelihood").figure)


def test_differences_are_those_of_the_leaderboard_all_alike_and_weighted():
    board = held_out().leaderboard
    row = board.query("rule == 'udr' and method == 'vae' and metric == 'inll_clean'").iloc[0]
    marks = [line.get_xdata() for line in drawn("differences").figure.findobj(Line2D)]
    points = {float(x[0]) for x in marks if len(x) == 1}
    assert {row["difference"], row["weighted_difference"]} <= points
    shown = texts(drawn("differences").figure)
    assert {"all alike", "weighted by effect size"} <= set(shown)
    assert "not applicable: PCA" in shown, "it has no likelihood"


def test_each_perturbation_has_one_gain_at_the_chosen_setting():
    table = drawn("gain_against_effect").table
    assert set(table["method"]) == {"svae_plus", "ivae", "vae"}
    assert (table.groupby("method")["perturbation"].nunique() == 12).all()
    assert len(table) == 3 * 12
    gains = held_out().held_out.query("metric == 'likelihood_gain' and method == 'svae_plus'")
    chosen = held_out().selected.query("rule == 'udr' and method == 'svae_plus' and replicate == 0")
    best = gains[(gains["replicate"] == 0) & (gains["setting"] == chosen["setting"].iloc[0])]
    mine = table[table["method"] == "svae_plus"].set_index("perturbation")["value"]
    assert mine["p0"] == best.set_index("perturbation").loc["p0", "value"]
    named = texts(drawn("gain_against_effect").figure)
    assert named.count("p5") == named.count("p11") == 3, "those of the largest effects, in each panel"


def test_what_is_missing_is_said_in_four_words():
    shown = texts(drawn("likelihood").figure)
    assert shown.count("not applicable") == 2, "PCA has no likelihood, in neither dataset"
    assert shown.count("failed") == 2, "every fit of VAE failed"
    assert shown.count("not run") == 1, "the small dataset leaves β-VAE out"
    assert shown.count("n = 2 of 3") == 2, "one replicate of sVAE failed"
    shown = texts(drawn("latent_recovery").figure)
    assert shown.count("not chosen: fixed setting") == 1, "PCA has no restarts for UDR to look at"


@pytest.mark.parametrize(
    "name", ["cost", "selection_rules", "training_curves", "target_matrix", "sweep", "score_against_fits"]
)
def test_other_figures_say_what_was_not_run(name):
    tables = simulated()
    if name == "selection_rules":  # it shows methods with several settings only
        tables = fake_tables(
            ["a", "b"],
            replicates=2,
            methods=["svae_plus", "svae"],
            metrics=["mcc_pearson"],
            not_run=[("a", "svae")],
        )
        assert "not run" in texts(draw(name, tables).figure)
    else:
        assert any("not run" in text for text in texts(drawn(name).figure))


def test_a_method_without_a_choice_is_drawn_hollow():
    figure = drawn("latent_recovery").figure
    pca = simulated().colour("pca")
    hollow = [
        dots
        for ax in figure.axes
        for dots in ax.collections
        if len(dots.get_facecolor()) and np.allclose(dots.get_facecolor(), 1)
    ]
    colours = {mpl.colors.to_hex(dots.get_edgecolor()[0]) for dots in hollow}
    assert colours == {pca}


def test_penalties_are_averaged_over_restarts():
    table, tables = drawn("targets_against_penalty").table, simulated()
    row = table.query("dataset == 'large' and metric == 'target_f1' and x == 70").iloc[0]
    values = tables.metrics.query("dataset == 'large' and method == 'svae_plus' and metric == 'target_f1'")
    values = values[values["setting"].str.startswith("penalty=70.")]
    assert row["mean"] == pytest.approx(values["value"].mean())
    assert (row["n"], len(values)) == (3, 6)
    assert table["chosen"].sum() == 2 * 3 * 2, "every replicate of both datasets under both rules"


def test_the_hindsight_rule_is_what_the_others_are_compared_with():
    table, tables = drawn("selection_rules").table, simulated()
    assert set(table["rule"]) == {"udr"}
    assert set(table["method"]) == {"svae_plus", "svae", "pca"}
    names = {"udr": HINDSIGHT, HINDSIGHT: "udr"}
    same = tables.selected.assign(rule=tables.selected["rule"].replace(names))
    swapped = draw("selection_rules", replace(tables, selected=same)).table
    np.testing.assert_allclose(swapped["mean"], -table["mean"])
    assert table.query("method == 'pca'")["fallbacks"].tolist() == [3] * 6


def test_the_expected_score_is_that_of_all_subsets():
    values = np.array([0.9, 0.4, 0.7, 0.1])  # in the order in which the rule would choose
    for k, score in enumerate(expected(values), start=1):
        chosen = [values[min(subset)] for subset in itertools.combinations(range(4), k)]
        assert score == pytest.approx(np.mean(chosen))


def test_the_expected_score_begins_with_the_mean_of_all_fits_and_ends_with_the_choice():
    table, tables = drawn("score_against_fits").table, simulated()
    rows = table.query("dataset == 'large' and metric == 'mcc_pearson' and method == 'svae_plus'")
    assert rows["fits"].tolist() == list(range(1, 11)), "five penalties from two starts"
    board = tables.leaderboard.query("dataset == 'large' and metric == 'mcc_pearson' and rule == 'udr'")
    assert rows["mean"].iloc[-1] == pytest.approx(board.set_index("method").loc["svae_plus", "mean"])
    values = tables.metrics.query("dataset == 'large' and metric == 'mcc_pearson' and method == 'svae_plus'")
    assert rows["mean"].iloc[0] == pytest.approx(values["value"].mean())
    assert any("not chosen: PCA" in text for text in texts(drawn("score_against_fits").figure))


def test_the_axis_of_fits_ends_with_a_label_at_the_largest_number_of_fits():
    ax = drawn("score_against_fits").figure.subfigs[0].axes[0]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["1", "2", "5", "10"]


def test_targets_that_were_never_trained_are_not_drawn():
    table = drawn("target_matrix").table
    assert table["perturbation"].nunique() == 16, "4 of 20 are held out"
    similar = drawn("shared_targets").table
    assert set(similar["perturbation"]) == set(table["perturbation"])


def test_targets_stand_beside_the_pathways_of_their_perturbations():
    shown = set(texts(draw("target_matrix", real()).figure))
    assert {"Interferon signalling", "Translation"} <= shown
    assert "Alone" not in shown, "no other perturbation is in it"
    without = replace(real(), pathways=real().pathways.iloc[:0])
    assert "Interferon signalling" not in texts(draw("target_matrix", without).figure)


def test_files_are_the_same_twice_and_hold_the_table(tmp_path):
    for folder in ("one", "two"):
        save(draw("shared_targets", real()), tmp_path / folder / "figure")
    for suffix in ("svg", "pdf", "png", "tsv"):
        first, second = ((tmp_path / folder / f"figure.{suffix}").read_bytes() for folder in ("one", "two"))
        assert first == second
        assert len(first) > 500
    assert not re.search(rb"\b20[0-9]{2}-[01][0-9]-", (tmp_path / "one" / "figure.svg").read_bytes())
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        *("figure.pdf", "figure.png", "figure.svg", "figure.tsv")
    ]


def test_tables_are_read_by_name(tmp_path):
    read = Tables.read(write_tables(simulated(), tmp_path), rule="udr", reference="svae_plus")
    assert read.order == simulated().order
    again, first = draw("cost", read).table, drawn("cost").table
    # Without the intervals: rounding in the file moves them.
    columns = again.columns.drop(["low", "high"])
    pd.testing.assert_frame_equal(again[columns], first[columns], check_dtype=False)


@pytest.mark.parametrize("name", sorted(TRUTH | VARIED | HELD_OUT))
def test_a_caption_says_which_datasets_its_figure_is_about(name):
    """Of the others there is only a placeholder to draw, which the report leaves out."""
    of_drawn_cells = {"simulated", "varied", "swept"}
    other = held_out() if kind_of_datasets(CAPTIONS / f"{name}.rst") in of_drawn_cells else simulated()
    assert "note" in draw(name, other).table


def test_figures_about_datasets_that_a_scope_lacks_are_left_out(tmp_path):
    (tmp_path / "sets.json").write_text('{"both": ["A", "B"]}')
    real = {"path": "screen.h5ad", "label": "gene"}
    drawn = {"simulator": "screen"}
    found = {
        name: set(figures_of(Scope.check(scope_of(dataset)), CAPTIONS))
        for name, dataset in {
            "real": real,
            "controlled": real | {"control": "ctrl"},
            "guided": real | {"guide": "guide", "each_guide": True},
            "annotated": real | {"gene_sets": str(tmp_path / "sets.json")},
            "simulated": drawn,
            "varied": drawn | {"vary": {"escapers": [0.5]}},
        }.items()
    }
    assert found["guided"] - found["real"] == {"sibling_guides"}
    assert found["controlled"] - found["real"] == {"gain_against_effect"}
    assert found["varied"] - found["simulated"] == VARIED | {"sweep"}
    assert found["annotated"] - found["real"] == {"pathway_agreement"}
    of_some = {"gain_against_effect", "sibling_guides", "pathway_agreement"}
    assert HELD_OUT - of_some <= found["real"] - found["varied"]
    assert TRUTH - {"sweep"} <= found["simulated"] - found["guided"]
    assert set.union(*found.values()) == set(FIGURES)
    assert "likelihood" in set.intersection(*found.values())


def test_a_sweep_is_of_several_numbers_of_latents_or_several_simulated_datasets():
    one = scope_of({"simulator": "screen"})
    numbers = one | {"methods": {"vae": {"grid": {"n_latent": [2, 3]}}}}
    two = one | {"datasets": {"small": {"simulator": "screen"}, "large": {"simulator": "screen"}}}
    assert "sweep" not in figures_of(Scope.check(one), CAPTIONS)
    assert all("sweep" in figures_of(Scope.check(scope), CAPTIONS) for scope in (numbers, two))


def scope_of(dataset):
    return {
        "scope": "x",
        "datasets": {"mine": dataset},
        "splits": {"s": {"kind": "random", "held_out": 2}},
        "methods": {"vae": None},
    }


def test_every_figure_has_a_caption():
    captions = {path.stem for path in CAPTIONS.glob("*.rst")}
    assert captions == {*FIGURES, *OF_TABLES}


@pytest.mark.parametrize(
    ("caption", "numbers"),
    [
        ("embedding", [f"at most {MOST_CELLS:,}", f"{NEIGHBOURS} nearest"]),
        ("latent_genes", [f"{DELTA:g}", f"{SURE:.0%}".replace("%", " %"), f"at most {ENRICHED:g}"]),
        ("pathway_agreement", [f"more than {LARGEST_PATHWAY} genes"]),
    ],
)
def test_captions_say_the_numbers_of_the_code(caption, numbers):
    text = " ".join((CAPTIONS / f"{caption}.rst").read_text(encoding="utf-8").split())
    for number in numbers:
        assert number in text


def test_tables_have_the_columns_of_a_run():
    for name, columns in COLUMNS.items():
        assert set(columns) <= set(getattr(simulated(), name)), name


def test_an_infinite_loss_is_no_point_of_a_curve():
    tables = fake_tables(replicates=1, methods=("svae",), metrics=SMALL)
    history = tables.history.copy()
    history.loc[history["epoch"] == 1, "validation"] = np.inf
    assert draw("training_curves", replace(tables, history=history)).table["epoch"].min() == 2


def test_names_of_perturbations_are_no_formulas(tmp_path):
    names = ["$\\frac{$", "A$", "B_{1}^2"]
    figure, ax = plt.subplots()
    matrix = pd.DataFrame(np.eye(3), names, names)
    write_row_names(ax, matrix, 2.0)
    write_column_names(ax, matrix, 2.0)
    figure.savefig(tmp_path / "figure.svg")
    for axis in (ax.xaxis, ax.yaxis):
        shown = [label._preprocess_math(label.get_text()) for label in axis.get_ticklabels()]
        assert shown == [(name, False) for name in names]
    plt.close(figure)
