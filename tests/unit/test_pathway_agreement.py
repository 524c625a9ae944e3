"""Whether perturbations of genes of one pathway act alike, against permuted labels."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from svae.contracts.fit import Fit
from svae.contracts.pathways import LARGEST_PATHWAY
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.metrics import METRICS
from svae.evaluation.metrics.pathways import adjusted_rand, share_a_set
from svae.evaluation.response import (
    read_response,
    summarise_responses,
    write_response,
)
from svae.simulation import simulate

NAMES = [f"p{k:02}" for k in range(12)]
SETS = {"first": NAMES[:4], "second": NAMES[4:8], "alone": [NAMES[8], "elsewhere"]}
OF_PATHWAYS = [METRICS[f"pathway_{name}"] for name in ("auroc", "average_precision", "rand", "p")]


@pytest.fixture(scope="module")
def screen():
    size = {"perturbations": 12, "cells_per_perturbation": 12, "control_cells": 12, "genes": 15}
    dataset = simulate("screen", seed=0, latents=3, hidden=8, **size).dataset
    return dataset, split_dataset(dataset, SplitPlan(kind="named", held_out=["p11"]), seed=0)


def scores(screen, shifts, gene_sets=SETS):
    dataset, split = screen
    names = ["control", *NAMES[:11]]
    table = pd.DataFrame(shifts, names, ["z1", "z2", "z3"])
    latents = np.zeros((dataset.n_obs, 3), np.float32)
    fit = Fit(dataset.obs_names, latents=latents, shifts=table, targets=(table.abs() > 0.5).astype(float))
    response = summarise_responses(dataset, split, gene_sets)
    return compute_metrics(fit, split, metrics=OF_PATHWAYS, response=response).set_index("metric")["value"]


def shifts_of_pathways():
    """Each pathway has a direction of its own, and the gene outside of both has a third one."""
    shifts = np.zeros((12, 3))
    shifts[1:5, 0], shifts[5:9, 1], shifts[9:, 2] = 1, 1, 1
    return shifts


def test_pathways_with_directions_of_their_own_agree(screen):
    found = scores(screen, shifts_of_pathways())
    assert found["pathway_auroc"] == found["pathway_average_precision"] == found["pathway_rand"] == 1
    assert found["pathway_p"] < 0.05


def test_sets_of_genes_that_are_named_otherwise_are_refused(screen):
    said = r"gene_sets: no gene of the sets \(such as 'ENSG01'\) .*'gene_column'"
    with pytest.raises(BenchmarkError, match=said):
        summarise_responses(*screen, {"first": ["ENSG02", "ENSG01"]})


def test_random_shifts_agree_no_better_than_permuted_labels(screen):
    drawn = [
        scores(screen, np.random.default_rng(seed).normal(size=(12, 3)))["pathway_p"] for seed in range(12)
    ]
    assert min(drawn) < 0.5 < max(drawn)
    assert 0.2 < np.mean(drawn) < 0.8


def test_the_index_is_that_of_partitions_where_relations_are_such():
    random = np.random.default_rng(0)
    one, other = random.integers(0, 3, 20), random.integers(0, 4, 20)
    pairs = np.triu_indices(20, k=1)
    related, same = ((labels[:, None] == labels)[pairs] for labels in (one, other))
    assert adjusted_rand(related, same) == pytest.approx(adjusted_rand_score(one, other))
    assert np.isnan(adjusted_rand(np.ones(3, dtype=bool), np.ones(3, dtype=bool)))


def test_what_no_set_holds_and_sets_that_hold_one_of_them_make_no_pair():
    table = pd.DataFrame({"perturbation": ["a", "b", "c", "a"], "gene_set": ["s", "s", "t", "u"]})
    shared = share_a_set(table)
    assert list(shared.index) == ["a", "b", "c"]
    assert shared.loc["a", "b"]
    assert not shared.loc[["a", "b"], "c"].any()


@pytest.mark.parametrize(
    "gene_sets",
    [None, {"large": NAMES + [f"g{k}" for k in range(LARGEST_PATHWAY)]}, {"others": ["gene0", "y"]}],
)
def test_without_sets_that_hold_perturbed_genes_nothing_applies(screen, gene_sets):
    assert scores(screen, shifts_of_pathways(), gene_sets).isna().all()


def test_pathways_are_read_as_they_were_written(screen, tmp_path):
    response = summarise_responses(*screen, SETS)
    write_response(response, tmp_path / "response.h5ad")
    read = read_response(tmp_path / "response.h5ad").pathways
    pd.testing.assert_frame_equal(read, response.pathways, check_dtype=False, check_index_type=False)
    write_response(summarise_responses(*screen), tmp_path / "none.h5ad")
    assert read_response(tmp_path / "none.h5ad").pathways.empty
