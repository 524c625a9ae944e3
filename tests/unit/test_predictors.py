"""Methods that predict profiles without a model: sums of effects, and neighbours in gene sets."""

import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from test_splits import plan, screen

from svae.contracts.fit import read, write
from svae.contracts.pathways import read_pathways
from svae.contracts.setting import Setting
from svae.contracts.split import seen_cells
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.expression import profile, pseudobulk
from svae.methods.additive import fit_additive
from svae.methods.nearest_perturbations import cosines, fit_nearest, memberships, weights_of_nearest

FOLDS = {"A": {0: 4.0}, "B": {1: 6.0, 2: 0.3}, "C": {0: 2.0}, "D": {3: 5.0}}
"""Genes that a perturbation moves, and by how much; those of a combination multiply."""
SETTING = Setting("default", seed=1, options={"n_latent": 3})


def drawn(*labels, cells=200, seed=0):
    """A screen of some labels in which folds multiply, so that changes of log expression add up."""
    obs = screen(dict.fromkeys(labels, cells))
    means = np.full((len(obs), 40), 20.0)
    for perturbation, folds in FOLDS.items():
        given = obs.astype(str).str.split("+").map(lambda parts, p=perturbation: p in parts).to_numpy()
        for gene, fold in folds.items():
            means[given, gene] *= fold
    counts = np.random.default_rng(seed).poisson(means)
    return ad.AnnData(sparse.csr_matrix(counts), obs=obs.to_frame("perturbation"))


def profiles_of(dataset, labels):
    return profile(pseudobulk(dataset, labels))


@pytest.fixture
def gene_sets(tmp_path):
    path = tmp_path / "sets.json"
    path.write_text(json.dumps({"first": ["A", "C"], "second": ["A", "D"], "third": ["B"], "other": ["E"]}))
    return str(path)


def test_effects_add_up_where_folds_multiply():
    dataset = drawn("A", "B", "C", "A+B", "A+B+C", "control")
    parts = split(dataset.obs["perturbation"], plan("combinations", 2), 0)
    fit = fit_additive(dataset, parts, SETTING)
    predicted = fit.predictions["combination"]
    assert list(predicted.index) == ["A+B", "A+B+C"]
    assert list(predicted.columns) == list(dataset.var_names)
    real = profiles_of(dataset, dataset.obs["perturbation"])
    change = (real.loc[predicted.index] - real.loc["control"]).abs().max(axis=1)
    assert (change > 1).all()
    assert ((predicted - real.loc[predicted.index]).abs().max(axis=1) < 0.2 * change).all()


def test_the_sum_is_that_of_the_formula_and_of_seen_cells_alone():
    dataset = drawn("A", "B", "A+B", "control", cells=20)
    parts = split(dataset.obs["perturbation"], plan("combinations", 1), 0)
    seen = profiles_of(dataset, seen_cells(parts))
    expected = seen.loc["A"] + seen.loc["B"] - seen.loc["control"]
    before = fit_additive(dataset, parts, SETTING).predictions["combination"]
    np.testing.assert_allclose(before.loc["A+B"], expected)
    held_out = parts["part"].isin(["adapt", "test"]).to_numpy()
    changed = dataset.copy()
    changed.X[held_out] = 7 * changed.X[held_out]
    changed.X[np.flatnonzero(held_out), 0] = 999
    pd.testing.assert_frame_equal(fit_additive(changed, parts, SETTING).predictions["combination"], before)


def test_a_sum_is_never_below_0():
    dataset = drawn("A", "B", "A+B", "control", cells=20)
    labels = dataset.obs["perturbation"].astype(str).to_numpy()
    counts = dataset.X.toarray()
    counts[np.isin(labels, ["A", "B"]), 5] = 0
    dataset.X = sparse.csr_matrix(counts)
    parts = split(dataset.obs["perturbation"], plan("combinations", 1), 0)
    assert fit_additive(dataset, parts, SETTING).predictions["combination"].iloc[0, 5] == 0


@pytest.mark.parametrize(
    ("labels", "held_out", "sentence"),
    [
        (["A", "B", "A+B"], ["A+B"], "there are no control cells"),
        (["A", "B", "C", "control"], ["A"], "no held-out perturbation is a combination of trained ones"),
        (
            ["A", "B", "A+B", "control"],
            ["A", "A+B"],
            "no held-out perturbation is a combination of trained ones",
        ),
    ],
    ids=["no control", "no combination", "a part that was never seen"],
)
def test_without_control_or_parts_there_is_nothing_to_add_up(labels, held_out, sentence, tmp_path):
    dataset = drawn(*labels, cells=20)
    parts = split(dataset.obs["perturbation"], plan("named", held_out), 0)
    fit = fit_additive(dataset, parts, SETTING)
    assert fit.run.status == "not_applicable"
    assert fit.run.message.startswith(sentence)
    write(fit, tmp_path / "fit.h5ad")
    assert read(tmp_path / "fit.h5ad").run.message == fit.run.message


def test_neighbours_share_gene_sets(gene_sets):
    sets = read_pathways(gene_sets)
    members = memberships(["A", "C", "D", "B+C", "X"], sets)
    np.testing.assert_array_equal(
        members, [[1, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    )
    near = cosines(members.loc[["A", "X"]], members.loc[["C", "D", "B+C", "X"]])
    np.testing.assert_allclose(near, [[np.sqrt(0.5), np.sqrt(0.5), 0.5, 0], [0, 0, 0, 0]])
    np.testing.assert_allclose(weights_of_nearest(near, 1), [[1, 0, 0, 0], [0.25, 0.25, 0.25, 0.25]])
    of_two = weights_of_nearest(near, 2)
    np.testing.assert_allclose(of_two.iloc[0], [0.5, 0.5, 0, 0])


def test_a_perturbation_is_predicted_from_those_of_its_sets(gene_sets):
    dataset = drawn("A", "B", "C", "D", "control", cells=30)
    parts = split(dataset.obs["perturbation"], plan("named", ["A", "B"]), 0)
    fit = fit_nearest(dataset, parts, Setting("s", options=SETTING.options | {"gene_sets": gene_sets}))
    predicted = fit.predictions["zero_shot"]
    trained = profiles_of(dataset, seen_cells(parts)).loc[["C", "D"]]
    np.testing.assert_allclose(predicted.loc["A"], trained.mean())
    np.testing.assert_allclose(predicted.loc["B"], trained.mean(), err_msg="mean of all without neighbours")
    nearest = Setting("s", options={"gene_sets": gene_sets, "neighbours": 1})
    of_one = fit_nearest(dataset, parts, nearest).predictions["zero_shot"]
    np.testing.assert_allclose(of_one.loc["A"], trained.loc["C"])


def test_without_gene_sets_or_neighbours_it_does_not_apply(gene_sets):
    dataset = drawn("A", "B", "C", "D", cells=10)
    parts = split(dataset.obs["perturbation"], plan("named", ["B"]), 0)
    without = fit_nearest(dataset, parts, SETTING)
    alone = fit_nearest(dataset, parts, Setting("s", options={"gene_sets": gene_sets}))
    assert [without.run.status, alone.run.status] == ["not_applicable"] * 2
    assert without.run.message == "no gene sets are given; the option 'gene_sets' names a file of them"
    assert alone.run.message.startswith("no held-out perturbation shares a gene set of ")


@pytest.mark.parametrize(
    ("fit", "options", "sentence"),
    [
        (fit_additive, {"neighbours": 3}, "method 'additive', setting 's': unknown key 'neighbours'"),
        (fit_nearest, {"neighbors": 3}, "unknown key 'neighbors', did you mean 'neighbours'"),
        (fit_nearest, {"neighbours": 0}, "setting 's': neighbours: .* greater than 0"),
        (fit_nearest, {"gene_sets": "sets.json"}, "sets.json: no such file"),
    ],
)
def test_wrong_options_are_told(fit, options, sentence):
    dataset = drawn("A", "B", "C", "control", cells=10)
    parts = split(dataset.obs["perturbation"], plan("named", ["B"]), 0)
    with pytest.raises(BenchmarkError, match=sentence):
        fit(dataset, parts, Setting("s", options=options))
