"""Posterior predictive checks: what is compared, and what is drawn."""

import numpy as np
import pandas as pd
import pytest
from fake_tables import fake_tables
from scipy import sparse

from svae.contracts.fit import Fit
from svae.contracts.generated import GeneratedCells
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.predictive import predictive_checks
from svae.evaluation.response import read_response, summarise_responses, write_response
from svae.expression import count_statistics
from svae.report.figures import draw
from svae.report.figures.predictive_checks import summarise_checks
from svae.simulation import simulate

COUNTS = np.array([[0, 2], [4, 2], [1, 1]])
GROUPS = pd.Series(["b", "b", "a"])


@pytest.fixture(scope="module")
def screen():
    size = {"perturbations": 4, "cells_per_perturbation": 30, "control_cells": 30, "latents": 2, "genes": 12}
    dataset = simulate("screen", seed=0, hidden=8, **size).dataset
    return dataset, split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["p1", "p2"]), seed=0)


def generated(counts, names) -> Fit:
    return Fit(pd.Index(["a"]), generated={"adapted": GeneratedCells(counts, np.array(names))})


def test_counts_are_summarised_by_group_and_gene():
    found = count_statistics(sparse.csr_matrix(COUNTS), GROUPS, pd.Index(["x", "y"]))
    assert list(found["mean"].index) == ["a", "b"]
    np.testing.assert_allclose(found["mean"], [[1, 1], [2, 2]])
    np.testing.assert_allclose(found["variance"], [[0, 0], [4, 0]])
    np.testing.assert_allclose(found["zeros"], [[0, 0], [0.5, 0]])


def test_real_cells_pass_their_own_check(screen, tmp_path):
    dataset, parts = screen
    write_response(summarise_responses(dataset, parts), tmp_path / "response.h5ad")
    response = read_response(tmp_path / "response.h5ad")
    tests = parts[parts["part"] == "test"]
    counts = dataset[tests["cell"].to_numpy()].X
    same = predictive_checks(generated(counts, tests["perturbation"].tolist()), response)
    assert len(same) == 3 * dataset.n_vars
    np.testing.assert_allclose(same["generated"], same["real"], atol=1e-6)
    twice = predictive_checks(generated(2 * counts, tests["perturbation"].tolist()), response)
    ratio = (twice["generated"] / twice["real"]).groupby(twice["statistic"]).mean()
    assert ratio["mean"] == pytest.approx(2)
    assert ratio["variance"] == pytest.approx(4)
    errors = summarise_checks(
        twice.assign(dataset="d", split="s", replicate=0, method="m", setting="default")
    ).set_index("statistic")["error"]
    assert errors.to_dict() == pytest.approx({"mean": 1, "variance": 2, "zeros": 0})


def test_without_counts_there_is_no_check(screen):
    response = summarise_responses(*screen)
    shares = generated(np.full((2, 12), 0.25), ["p1", "p2"])
    assert predictive_checks(shares, response).empty, "these are on another scale than counts"
    assert predictive_checks(Fit(pd.Index(["a"])), response).empty


def test_the_table_behind_the_figure_has_all_methods():
    drawn = draw("predictive_checks", fake_tables(["screen"], truth=False, replicates=2))
    assert set(drawn.table["method"]) == {"svae_plus", "vae"}
    assert set(drawn.table["replicate"]) == {0, 1}
    assert len(drawn.figure.axes) == 3
