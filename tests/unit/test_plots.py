import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_tables import fake_tables

from svae.errors import BenchmarkError
from svae.evaluation.selection import HINDSIGHT
from svae.files import write_table
from svae.report.figures import plots

CAPTIONS = Path(__file__).resolve().parents[2] / "reports" / "captions"
SMALL = ["mcc_pearson", "r2", "target_f1", "target_precision", "target_recall", "inll_clean"]
FAILED = [("svae", 1), ("vae", 0), ("vae", 1), ("vae", 2)]


@pytest.fixture(scope="module")
def tables():
    methods = ["svae_plus", "svae", "vae", "pca", "oracle", "random"]
    datasets = ["small", "large"]
    return fake_tables(datasets, replicates=3, methods=methods, metrics=SMALL, failed=FAILED)


@pytest.fixture(scope="module")
def real():
    methods = ["svae_plus", "vae", "pca"]
    return fake_tables(["screen"], truth=False, replicates=1, methods=methods, metrics=SMALL)


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


@pytest.mark.parametrize("name", plots.FIGURES)
def test_every_figure_fits_a_page_and_shows_numbers(tables, name):
    assert plots.FIGURES[name].applicable(tables)
    drawn = plots.draw(name, tables)
    assert drawn.figure.get_figwidth() / 0.03937 <= 180
    assert drawn.table.select_dtypes("number").notna().any(axis=None)


@pytest.mark.parametrize("name", plots.FIGURES)
def test_without_truth_and_with_one_replicate_a_figure_is_drawn_or_says_why_not(real, name):
    drawn = plots.draw(name, real)
    needs_truth = name in plots.FIGURES.keys() - {
        *("likelihood", "cost", "training_curves", "target_matrix", "shared_targets", "selection_rules")
    }
    assert ("note" in drawn.table) == needs_truth
    if needs_truth:
        assert "not applicable here, because it needs" in drawn.table["note"][0]


@pytest.mark.parametrize("name", plots.FIGURES)
def test_a_run_in_which_everything_failed_is_no_error(name):
    tables = fake_tables(
        replicates=2,
        methods=["svae_plus", "vae"],
        metrics=SMALL,
        failed=[(m, r) for m in ("svae_plus", "vae") for r in (0, 1)],
    )
    empty = {table: pd.DataFrame(columns=list(plots.COLUMNS[table])) for table in ("history", "targets")}
    assert "note" in plots.draw(name, replace(tables, **empty)).table


def test_an_unknown_figure_is_named_with_the_nearest(tables):
    with pytest.raises(BenchmarkError, match="did you mean 'likelihood'"):
        plots.draw("likelihoods", tables)


def test_means_are_those_of_the_dots(tables):
    table = plots.draw("latent_recovery", tables).table
    means = table.groupby(["dataset", "metric", "method", "rule"])[["value", "mean"]].mean()
    assert len(means) == 2 * 2 * 6 * 2
    assert means["mean"].notna().sum() == 2 * 2 * 5 * 2
    np.testing.assert_allclose(means["value"], means["mean"])
    values = tables.metrics.merge(tables.selected.query("rule == 'udr'"))
    chosen = values.query("dataset == 'small' and method == 'svae_plus' and metric == 'r2'")["value"]
    assert means.loc[("small", "r2", "svae_plus", "udr"), "mean"] == pytest.approx(chosen.mean())


def test_the_likelihood_drawn_is_that_of_the_table(tables):
    drawn = plots.draw("likelihood", tables)
    first = drawn.table.query("dataset == 'small' and method == 'svae_plus' and rule == 'udr'")
    points = np.concatenate([dots.get_offsets()[:, 0] for dots in drawn.figure.axes[0].collections])
    assert set(first["value"]) | set(first["mean"]) <= set(np.asarray(points, dtype=float))
    assert "floor: true generator" in texts(drawn.figure)


def test_what_is_missing_is_said(tables):
    shown = texts(plots.draw("likelihood", tables).figure)
    assert shown.count("—") == 2  # PCA has no likelihood, in neither dataset
    assert shown.count("no fit") == 2  # every fit of VAE failed
    assert shown.count("n = 2 of 3") == 2  # one of sVAE did


def test_penalties_are_averaged_over_restarts(tables):
    table = plots.draw("targets_against_penalty", tables).table
    row = table.query("dataset == 'large' and metric == 'target_f1' and x == 70").iloc[0]
    values = tables.metrics.query("dataset == 'large' and method == 'svae_plus' and metric == 'target_f1'")
    values = values[values["setting"].str.startswith("penalty=70.")]
    assert row["mean"] == pytest.approx(values["value"].mean())
    assert (row["n"], len(values)) == (3, 6)
    assert table["chosen"].sum() == 2 * 3 * 2  # every replicate of both datasets under both rules


def test_the_hindsight_rule_is_what_the_others_are_compared_with(tables):
    table = plots.draw("selection_rules", tables).table
    assert set(table["rule"]) == {"udr"}
    assert set(table["method"]) == {"svae_plus", "svae"}
    same = tables.selected.assign(rule=tables.selected["rule"].replace({"udr": HINDSIGHT, HINDSIGHT: "udr"}))
    swapped = plots.draw("selection_rules", replace(tables, selected=same)).table
    np.testing.assert_allclose(swapped["mean"], -table["mean"])


def test_a_sweep_needs_datasets_that_differ_in_one_thing(tables):
    assert set(plots.draw("sweep", tables).table["sweep"]) == {"cells_per_perturbation"}
    other = pd.DataFrame({"dataset": ["small", "large"], "parameter": "preset", "value": ["a", "b"]})
    facts = pd.concat([tables.datasets, other])
    # "preset" changes with the number of cells: one cannot be told from the other, the number is drawn
    assert set(plots.draw("sweep", replace(tables, datasets=facts)).table["x"]) == {250, 500}
    one = tables.datasets[tables.datasets["dataset"] == "small"]
    assert "note" in plots.draw("sweep", replace(tables, datasets=one)).table


def test_similarity_does_not_depend_on_the_order_and_sign_of_latents(tables):
    kept = (tables.targets["dataset"] == "small") & (tables.targets["method"] == "svae_plus")
    targets = tables.targets[kept & (tables.targets["replicate"] == 0)]
    flipped = targets.assign(latent=16 - targets["latent"], shift=-targets["shift"])
    ours, theirs = plots._similarity(targets), plots._similarity(flipped)
    pd.testing.assert_frame_equal(ours, theirs.loc[ours.index, ours.columns])
    assert np.allclose(np.diag(ours), 1)


def test_replicates_may_hold_out_different_perturbations(tables):
    kept = (tables.targets["dataset"] == "small") & (tables.targets["method"] == "svae_plus")
    real = tables.targets[kept].assign(true=np.nan)
    first, second = sorted(real["perturbation"].unique())[:2]
    left_out = real["perturbation"].eq(first) & real["replicate"].ne(0)
    left_out |= real["perturbation"].eq(second) & real["replicate"].eq(0)
    similar = plots._similarity(real[~left_out])
    assert np.isnan(similar.loc[first, second]), "no replicate trained on both"
    assert similar.drop(index=first, columns=first).notna().to_numpy().all()


def test_targets_that_were_never_trained_are_not_drawn(tables):
    table = plots.draw("target_matrix", tables).table
    assert table["perturbation"].nunique() == 16  # of 20, 4 of them held out
    similar = plots.draw("shared_targets", tables).table
    assert set(similar["perturbation"]) == set(table["perturbation"])


def test_files_are_the_same_twice_and_hold_the_table(tables, tmp_path):
    for folder in ("one", "two"):
        plots.save(plots.draw("target_matrix", tables), tmp_path / folder / "figure")
    for suffix in ("svg", "pdf", "png", "tsv"):
        first, second = ((tmp_path / folder / f"figure.{suffix}").read_bytes() for folder in ("one", "two"))
        assert first == second
        assert len(first) > 1000
    assert not re.search(rb"\b20[0-9]{2}-[01][0-9]-", (tmp_path / "one" / "figure.svg").read_bytes())
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        *("figure.pdf", "figure.png", "figure.svg", "figure.tsv")
    ]


def test_tables_are_read_by_name(tables, tmp_path):
    for name in plots.COLUMNS:
        write_table(getattr(tables, name), tmp_path / f"{name}.tsv")
    paths = {name: tmp_path / f"{name}.tsv" for name in plots.COLUMNS}
    read = plots.Tables.read(paths, rule="udr", reference="svae_plus")
    assert read.order == tables.order
    again, first = plots.draw("cost", read).table, plots.draw("cost", tables).table
    pd.testing.assert_frame_equal(again, first, check_dtype=False)


def test_every_figure_has_a_caption():
    captions = {path.stem for path in CAPTIONS.glob("*.rst")}
    assert captions >= {*plots.FIGURES, "leaderboard", "status"}
