"""What every perturbation of a screen does, against numbers worked out cell by cell, and what a fit calls."""

from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests

from svae.contracts.fit import Fit
from svae.evaluation.comparison import Comparison
from svae.evaluation.response import read_response, summarise_responses, write_response
from svae.evaluation.screen import COLUMNS, tidy_perturbations
from svae.expression import TARGET_SUM, log_normalised

GENES = [*"ABC", *(f"g{j}" for j in range(9))]
FOLDS = {"A": {"A": 0.25}, "B": {"B": 0.1, "g0": 3}, "A+B": {"A": 0.5, "B": 0.125}, "X": {"g1": 4}}
CELLS = 40


def screen(control=True, **aims):
    """A screen in which A+B and X are held out; no gene is called X."""
    random = np.random.default_rng(0)
    labels = np.repeat(["control", *FOLDS] if control else list(FOLDS), CELLS)
    means = np.full((len(labels), len(GENES)), 50.0)
    for perturbation, folds in FOLDS.items():
        for gene, fold in folds.items():
            means[labels == perturbation, GENES.index(gene)] *= fold
    obs = pd.DataFrame({"perturbation": pd.Categorical(labels)}, index=[f"c{i}" for i in range(len(labels))])
    if aims:
        obs["target"] = pd.Categorical(obs["perturbation"].astype(str).replace(aims))
    counts = sparse.csr_matrix(random.poisson(means).astype(np.float32))
    dataset = ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=GENES))
    in_turn = np.arange(len(labels)) % 2 == 0
    held_out = np.isin(labels, ["A+B", "X"])
    part = np.where(held_out, np.where(in_turn, "adapt", "test"), np.where(in_turn, "train", "validation"))
    return dataset, pd.DataFrame({"cell": obs.index, "perturbation": labels, "part": part})


@pytest.fixture(scope="module")
def response():
    return summarise_responses(*screen())


def compared(response, split, **parts):
    cells = pd.Index(split["cell"])
    fit = Fit(cells, latents=np.ones((len(cells), 1), np.float32), **parts)
    return Comparison(fit, split, None, 0, response)


def test_all_perturbations_are_summarised_and_the_control_is_none(response):
    summary = response.screen.summary
    assert sorted(summary.index) == sorted(FOLDS)
    assert set(summary["cells"]) == {CELLS}


def test_effects_of_held_out_perturbations_are_those_that_methods_are_weighted_by(response):
    effects = response.screen.summary["effect"]
    pd.testing.assert_series_equal(effects[response.effects.index], response.effects, check_names=False)
    assert effects["B"] > effects["A"] > 0.5


def test_the_own_transcript_changes_as_it_was_made_to(response):
    own = response.screen.summary["own_change"]
    assert own["A"] == pytest.approx(-2, abs=0.15)
    assert own["A+B"] == pytest.approx(np.mean([-1, -3]), abs=0.2), "the mean of both genes"
    assert np.isnan(own["X"]), "no gene is called so"


def test_the_own_transcript_of_a_guide_is_what_it_aims_at():
    own = summarise_responses(*screen(X="g1")).screen.summary["own_change"]
    assert own["X"] == pytest.approx(np.log2(4 * 12 / 15), abs=0.1), "all counts are 15 shares now, not 12"


def test_differential_genes_are_those_of_a_welch_test_of_all_cells(response):
    dataset, split = screen()
    expression, labels = log_normalised(dataset, TARGET_SUM), split["perturbation"].to_numpy()
    for perturbation, row in response.screen.differential.iterrows():
        p = ttest_ind(expression[labels == perturbation], expression[labels == "control"], equal_var=False)
        expected = multipletests(p.pvalue, method="fdr_bh")[1] < 0.05
        assert list(row) == list(expected), perturbation
    assert response.screen.differential.loc["B", ["B", "g0"]].all()


def test_without_a_control_only_cells_are_counted():
    dataset, split = screen(control=False)
    table = tidy_perturbations(compared(summarise_responses(dataset, split), split))
    assert set(table["cells"]) == {CELLS}
    assert table[["effect", "own_change", "responding", "differential"]].isna().all(axis=None)


def test_calls_of_trained_perturbations_are_counted_with_those_that_are_found(response):
    _, split = screen()
    calls = pd.DataFrame(0.0, ["A", "B"], GENES)
    calls.loc["B", ["B", "g8"]] = 1
    found = response.screen.differential.copy()
    found.loc["B"] = [gene == "B" for gene in GENES]
    known = replace(response, screen=replace(response.screen, differential=found))
    changes = {"probability": calls, "log2_fold_change": calls}
    table = tidy_perturbations(compared(known, split, differential=changes)).set_index("perturbation")
    assert table.loc["B", ["part", "differential", "called", "agreed"]].tolist() == ["trained", 1, 2, 1]
    assert table.loc["A", "called"] == 0
    assert table.loc["X", "part"] == "held_out"
    assert table.loc[["X", "A+B"], ["called", "agreed"]].isna().all(axis=None)


def test_of_simulated_cells_and_failed_fits_nothing_is_told(response):
    _, split = screen()
    comparison = compared(response, split)
    assert list(tidy_perturbations(comparison)["called"].isna()) == [True] * 4, "this fit calls no genes"
    failed = Fit.failed(comparison.fit.cells, "failed", "no")
    for other in (replace(comparison, truth=ad.AnnData()), replace(comparison, fit=failed)):
        assert tidy_perturbations(other).empty
        assert list(tidy_perturbations(other)) == list(COLUMNS)


def test_it_is_read_as_it_was_written(response, tmp_path):
    write_response(response, tmp_path / "response.h5ad")
    read = read_response(tmp_path / "response.h5ad").screen
    pd.testing.assert_frame_equal(read.summary, response.screen.summary, check_names=False)
    pd.testing.assert_frame_equal(read.differential, response.screen.differential, check_names=False)
