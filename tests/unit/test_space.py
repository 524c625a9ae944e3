"""The space that cells are compared in, and the distance between two samples of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts.generated import GeneratedCells, draw_evenly, stand_ins
from svae.contracts.split import cells_of, seen_cells
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.evaluation import space as spaces
from svae.evaluation.energy import unbiased_energy_distance
from svae.evaluation.space import Space
from svae.expression import TARGET_SUM, log_normalised
from svae.simulation import simulate

SIZES = {"perturbations": 8, "cells_per_perturbation": 30, "latents": 3, "hidden": 8, "genes": 15}


@pytest.fixture(scope="module")
def screen():
    dataset, _ = simulate("corrected", seed=0, control_cells=40, **SIZES)
    return dataset, split_dataset(dataset, SplitPlan(kind="random", held_out=3), seed=0)


# --- the distance ---------------------------------------------------------------------------------


def test_a_known_value():
    # 2 · mean(1, 2, 2, 3) − |0 − 1| − |2 − 3|, on a line; and rotated into the plane.
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    assert unbiased_energy_distance(x, y) == pytest.approx(2 * 2 - 1 - 1)
    turn = np.array([[0.6, 0.8]])
    assert unbiased_energy_distance(x @ turn, y @ turn) == pytest.approx(2)


def test_it_is_symmetric_and_moves_with_neither_sample():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(20, 3)), 1 + random.normal(size=(35, 3))
    distance = unbiased_energy_distance(x, y)
    assert unbiased_energy_distance(y, x) == pytest.approx(distance)
    assert unbiased_energy_distance(x + 7, y + 7) == pytest.approx(distance)


def test_it_is_zero_between_samples_of_one_distribution_whatever_their_size():
    random = np.random.default_rng(0)
    for n in (3, 30):
        found = [
            unbiased_energy_distance(random.normal(size=(n, 2)), random.normal(size=(40, 2)))
            for _ in range(300)
        ]
        assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(len(found))
    constant = np.ones((5, 2))
    assert unbiased_energy_distance(constant, constant) == 0


def test_it_sees_a_spread_that_means_do_not():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(300, 2)), random.normal(size=(300, 2))
    assert unbiased_energy_distance(x, 3 * y) > 0.5 > 0.1 > abs(unbiased_energy_distance(x, y))


def test_one_cell_has_no_spread():
    assert np.isnan(unbiased_energy_distance(np.ones((1, 2)), np.ones((5, 2))))


# --- the space ------------------------------------------------------------------------------------


def test_distances_are_those_of_log_normalised_cells_where_no_component_is_left_out(screen):
    dataset, split = screen
    space, expression = Space.of(dataset, split), log_normalised(dataset, TARGET_SUM)
    assert space.axes.shape == (15, 15)
    name = space.test.index[0]
    drawn = stand_ins({name: cells_of(split, "test").loc[lambda labels: labels == name]}).index
    real = expression[dataset.obs_names.get_indexer(drawn)]
    placed = space.test.loc[[name]].to_numpy()
    np.testing.assert_allclose(
        np.linalg.norm(placed[0] - placed, axis=1), np.linalg.norm(real[0] - real, axis=1), atol=1e-3
    )


def test_only_cells_that_methods_may_see_span_it(screen):
    dataset, split = screen
    changed = dataset.copy()
    changed.X[np.flatnonzero(split["part"].isin(["adapt", "test"]))] = 3
    before, after = Space.of(dataset, split), Space.of(changed, split)
    pd.testing.assert_frame_equal(before.axes, after.axes)
    pd.testing.assert_frame_equal(before.mean, after.mean)
    assert not np.allclose(before.test, after.test)


def test_it_has_as_many_components_and_cells_as_it_says(screen, monkeypatch):
    monkeypatch.setattr(spaces, "COMPONENTS", 4)
    space = Space.of(*screen)
    assert space.axes.shape == (15, 4)
    held_out = sorted(space.test.index.unique())
    for cells, number in ((space.test, 15), (space.adapt, 15), (space.mean, 100)):
        assert cells.index.value_counts().sort_index().to_dict() == dict.fromkeys(held_out, number)
    first, second = (space.mean.loc[name].to_numpy() for name in held_out[:2])
    assert not np.array_equal(first, second), "each perturbation has draws of its own"


def test_a_cell_without_counts_stands_where_nothing_is_expressed(screen):
    space = Space.of(*screen)
    empty = GeneratedCells(sparse.csr_matrix((1, 15), dtype=np.float32), np.array(["p0"]))
    np.testing.assert_allclose(space.place(empty) @ space.axes.T, -space.centre.to_frame().T, atol=1e-3)


# --- cells that stand for others ------------------------------------------------------------------


def test_cells_are_drawn_evenly_and_for_a_purpose():
    labels = pd.Series(np.repeat(["a", "b", "c"], [50, 50, 3]), [f"cell{i}" for i in range(103)])
    drawn = draw_evenly(labels, 23, "this")
    assert labels[drawn].value_counts().to_dict() == {"a": 10, "b": 10, "c": 3}
    assert drawn.equals(draw_evenly(labels, 23, "this"))
    assert not drawn.equals(draw_evenly(labels, 23, "that"))
    assert sorted(draw_evenly(labels, 500, "this")) == sorted(labels.index)


def test_nothing_stands_for_nothing(screen):
    assert stand_ins({}).empty
    assert stand_ins({"p0": seen_cells(screen[1])}).unique().tolist() == ["p0"]
