"""Combinations: their labels, how a split holds them out, and how a simulator draws them."""

import hashlib

import numpy as np
import pandas as pd
import pytest
from test_splits import held_out, plan, screen

from svae.contracts.combinations import combined, is_combination, multi_hot, parts_of
from svae.contracts.fit import Fit
from svae.contracts.split import held_out_cells, read_split, seen_cells, write_split
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.evaluation.comparison import Comparison
from svae.evaluation.evaluate import tidy_targets
from svae.simulation import build_simulator, simulate
from svae.simulation.likelihood import score_cells

SMALL = {"perturbations": 6, "cells_per_perturbation": 60, "latents": 4, "hidden": 8, "genes": 30}
SMALL |= {"control_cells": 100}
COMBINATIONS = ["A+B", "A+C", "A+D", "B+C", "B+D", "C+D"]


@pytest.fixture
def labels():
    return screen(dict.fromkeys([*"ABCD", *COMBINATIONS, "A+B+C", "A+X", "control"], 8))


def unused(table):
    return set(table.loc[table["part"] == "unused", "perturbation"])


@pytest.mark.parametrize(
    ("label", "parts"),
    [
        ("A", ("A",)),
        ("A+B", ("A", "B")),
        ("C+A+B", ("C", "A", "B")),
        ("control", ()),
        ("A+control", ("A",)),
        ("CD8+", ("CD8+",)),
        ("A+A", ("A+A",)),
    ],
)
def test_a_label_has_parts(label, parts):
    assert parts_of(label) == parts
    assert is_combination(label) == (len(parts) > 1)


def test_the_label_of_parts_is_read_back():
    assert combined(["B", "A"]) == "A+B"
    assert combined(parts_of("C+A+B")) == "A+B+C"
    assert combined([]) == "control"


def test_a_multi_hot_table_has_a_row_per_label_and_a_column_per_part():
    table = multi_hot(["B+A", "control", "A", "B+A", "B+C"])
    assert list(table.index) == ["B+A", "control", "A", "B+C"]
    assert list(table.columns) == ["A", "B", "C"]
    np.testing.assert_array_equal(table, [[1, 1, 0], [0, 0, 0], [1, 0, 0], [0, 1, 1]])


def test_combinations_are_held_out_whose_parts_are_seen_alone(labels):
    draws = [held_out(split(labels, plan("combinations", 5), seed)) for seed in range(20)]
    assert all(len(draw) == 5 for draw in draws)
    assert set().union(*draws) == {*COMBINATIONS, "A+B+C"}
    assert draws[4] == held_out(split(labels, plan("combinations", 5), 4))
    of_fraction = split(labels, plan("combinations", 0.4), 0)
    assert len(held_out(of_fraction)) == 3  # of the seven that can be
    assert held_out(split(labels, plan("combinations", "A+B"), 0)) == {"A+B"}


def test_of_the_other_combinations_all_some_or_none_are_trained_on(labels):
    left = {*COMBINATIONS[2:], "A+B+C", "A+X"}
    trained = {}
    for fraction in (0, 0.5, 1):
        chosen = plan("combinations", ["A+B", "A+C"], trained_combinations=fraction)
        table = split(labels, chosen, 3)
        trained[fraction] = left - unused(table)
        assert set(seen_cells(table)) == {*"ABCD", "control"} | trained[fraction]
        assert set(held_out_cells(table)) == {"A+B", "A+C"}
    assert [len(names) for names in trained.values()] == [0, 3, 6]
    assert trained[0.5] != left - unused(
        split(labels, plan("combinations", ["A+B", "A+C"], trained_combinations=0.5), 4)
    )
    a_sixth = split(labels, plan("combinations", ["A+B", "A+C"], trained_combinations=0.17), 3)
    assert left - unused(a_sixth) < trained[0.5], "a smaller fraction of one seed is part of a larger one"
    assert not unused(split(labels, plan("combinations", 2), 0)), "by default all are trained on"


def test_a_split_with_unused_cells_is_read_as_written(labels, tmp_path):
    table = split(labels, plan("combinations", 2, trained_combinations=0), 0)
    write_split(table, tmp_path / "rep0.tsv.gz", labels)
    pd.testing.assert_frame_equal(read_split(tmp_path / "rep0.tsv.gz", labels), table)


def test_perturbations_that_nobody_uses_may_have_few_cells(labels):
    fewer = labels[~(labels == "A+X") | ~labels.duplicated()]
    with pytest.raises(BenchmarkError, match=r"'A\+X' has 1 cells, but needs 2 to be trained on"):
        split(fewer, plan("combinations", ["A+B"]), 0)
    assert "A+X" in unused(split(fewer, plan("combinations", ["A+B"], trained_combinations=0), 0))


@pytest.mark.parametrize(
    ("names", "asked", "options", "message"),
    [
        ("AB", 1, {}, r"mine: the dataset has no combinations, whose labels read 'A\+B'"),
        (["A", "A+B"], 1, {}, r"mine: none of the 1 combinations can be held out.*'B' of 'A\+B', for one"),
        (["A", "B", "C", "A+B", "C+X"], ["C+X"], {}, r"mine: 'C\+X' cannot be held out.* its part 'X' alone"),
        (["A", "B", "A+B"], ["A+C"], {}, r"mine: held_out: unknown combination 'A\+C', did you mean 'A\+B'"),
        (
            ["A", "B", "A+B"],
            2,
            {},
            "mine: held_out is 2, but the dataset has 1 combinations whose parts have",
        ),
        (
            ["A", "B", "A+B"],
            1,
            {"trained_combinations": 0.5},
            "mine: trained_combinations is 0.5, but all combinations would be held out",
        ),
        (
            ["A", "B", "A+B"],
            1,
            {"trained_combinations": 1.5},
            "trained_combinations: .*less than or equal to 1",
        ),
    ],
)
def test_what_cannot_be_held_out_is_one_sentence(names, asked, options, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        split(
            screen(dict.fromkeys([*names, "control"], 8)),
            plan("combinations", asked, **options),
            0,
            where="mine",
        )
    assert "\n" not in str(caught.value)


def test_the_last_combination_can_be_held_out_unless_others_are_asked_for():
    few = screen(dict.fromkeys(["A", "B", "A+B", "control"], 8))
    assert held_out(split(few, plan("combinations", 1), 0)) == {"A+B"}
    assert held_out(split(few, plan("combinations", 1, trained_combinations=0), 0)) == {"A+B"}


def test_other_kinds_of_splits_train_on_no_fraction_of_combinations():
    with pytest.raises(
        BenchmarkError, match="the kind 'random' does not take the key 'trained_combinations'"
    ):
        plan("random", 1, trained_combinations=0.5)


def simulated(seed=0, **changed):
    return simulate("screen", seed=seed, **SMALL | changed)


def test_shifts_of_combinations_add_and_their_targets_are_those_of_either():
    dataset, truth = simulated(combinations=9)
    shifts, targets = truth.uns["shifts"], truth.uns["targets"]
    pairs = [name for name in shifts.index if is_combination(name)]
    assert len(pairs) == len(set(pairs)) == 9
    assert all(set(parts_of(name)) <= set(shifts.index) for name in pairs)
    for name in pairs:
        first, second = parts_of(name)
        np.testing.assert_allclose(shifts.loc[name], shifts.loc[first] + shifts.loc[second])
        np.testing.assert_array_equal(targets.loc[name], targets.loc[first] | targets.loc[second])
    sizes = dataset.obs["perturbation"].value_counts().to_dict()
    assert sizes == build_simulator("screen", **SMALL | {"combinations": 9}).sizes()
    means = pd.DataFrame(truth.obsm["latents"]).groupby(dataset.obs["perturbation"].to_numpy(str)).mean()
    np.testing.assert_allclose(means.loc[pairs], shifts.loc[pairs], atol=0.6)
    assert np.isfinite(score_cells(dataset[:5], truth, n_samples=10).log_likelihood).all()


def digest(values, dtype):
    """Checksum of numbers as little-endian bytes of `dtype`, row by row."""
    return hashlib.sha256(np.ascontiguousarray(values).astype(dtype).tobytes()).hexdigest()


def test_draws_without_combinations_are_those_of_before_there_were_any():
    defects = {"escapers": 0.2, "wrong_labels": 0.2, "batch_effect": 0.5, "edge_weight": 0.5}
    defects |= {"target_density": 0.4, "latent_correlation": 0.3}
    sizes = {"perturbations": 12, "cells_per_perturbation": 20, "control_cells": 50}
    dataset, truth = simulated(**sizes, **defects)
    assert [
        digest(dataset.X.toarray(), "<i4"),
        digest(truth.obsm["latents"], "<f4"),
        digest(truth.uns["shifts"], "<f8"),
    ] == [
        "72d45ad8df07b03943ea3f6349a1b34992d1f095cf6c50bfc6ea0d2231e1797e",
        "b5ebb52be6ba88818a212adaed5855d6d503d11f18148b3aa4c72ef9b28fa8b6",
        "f252836de9a21d119c8c71f4f74a04477509c5c45e1ab05d165e6efef6a62738",
    ]


def test_an_interaction_of_no_combinations_changes_nothing():
    plain, asked = (
        simulated(seed=3, escapers=0.3),
        simulated(seed=3, escapers=0.3, combinations=0, interaction=2.0),
    )
    assert (plain.dataset.X != asked.dataset.X).nnz == 0
    np.testing.assert_array_equal(plain.truth.obsm["latents"], asked.truth.obsm["latents"])
    np.testing.assert_array_equal(plain.truth.uns["shifts"], asked.truth.uns["shifts"])


def test_an_interaction_moves_combinations_away_from_the_sum_on_their_targets():
    sums, interacting = (simulated(combinations=15, interaction=size).truth.uns for size in (0, 2.0))
    np.testing.assert_array_equal(sums["targets"], interacting["targets"])
    departure = interacting["shifts"] - sums["shifts"]
    of_pairs = departure.index.map(is_combination)
    assert (departure[~of_pairs] == 0).all(axis=None)
    assert (departure[of_pairs].to_numpy()[sums["targets"][of_pairs] == 0] == 0).all()
    on_targets = departure[of_pairs].to_numpy()[sums["targets"][of_pairs] == 1]
    assert on_targets.std() == pytest.approx(2, rel=0.35)


def test_defects_reach_combinations_and_spare_the_control():
    dataset, truth = simulated(combinations=5, escapers=1.0, batch_effect=0.5, batch_confounding=1.0)
    labels = dataset.obs["perturbation"].astype(str).to_numpy()
    np.testing.assert_array_equal(truth.obs["escaped"], labels != "control")
    batch = truth.obs["batch"].groupby(labels).mean()
    assert batch.drop("control").isin([0, 1]).all()
    assert 0.3 < batch["control"] < 0.7


def test_more_combinations_than_pairs_are_refused():
    message = r"simulator 'screen': combinations is 16, but 6 perturbations have 15 pairs"
    with pytest.raises(BenchmarkError, match=message):
        build_simulator("screen", **SMALL | {"combinations": 16})
    assert len(build_simulator("screen", **SMALL | {"combinations": 15}).sizes()) == 6 + 15 + 1


def test_a_simulated_split_of_combinations_can_be_made_and_evaluated():
    dataset, truth = simulated(combinations=8)
    chosen = plan("combinations", 0.5, trained_combinations=0.5)
    table = split(dataset.obs["perturbation"], chosen, 0)
    assert (len(held_out(table)), len(unused(table))) == (4, 2)
    fit = Fit(dataset.obs_names, truth.obsm["latents"], shifts=truth.uns["shifts"])
    targets = tidy_targets(Comparison(fit, table, truth, seed=0))
    assert set(targets.loc[targets["part"] == "held_out", "perturbation"]) == held_out(table)
    assert set(targets["perturbation"]) == set(truth.uns["shifts"].index) - unused(table)
