from dataclasses import replace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from svae.contracts import fit as fit_file
from svae.contracts.fit import Fit, Run, write
from svae.evaluation.evaluate import evaluate_fit, evaluate_fits, read_fit
from svae.evaluation.metrics import METRICS
from svae.evaluation.restarts import agreement_of_restarts

CELLS = pd.Index([f"cell{i}" for i in range(60)], name="cell")


@pytest.fixture
def split():
    parts = ["train"] * 20 + ["validation"] * 20 + ["test"] * 20
    return pd.DataFrame({"cell": CELLS, "perturbation": ["a", "b"] * 20 + ["c"] * 20, "part": parts})


@pytest.fixture
def restarts():
    """Two fits that agree on validation cells alone, one that agrees with neither, one that failed."""
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(60, 2))
    elsewhere = latents.copy()
    elsewhere[:20] = rng.normal(size=(20, 2))
    targets = pd.DataFrame([[0.9, 0.1], [0.2, 0.8]], index=["a", "b"], columns=["z1", "z2"])
    return {
        "s.r0": Fit(CELLS, latents, targets=targets),
        "s.r1": Fit(CELLS, elsewhere, targets=targets),
        "s.r2": Fit(CELLS, rng.normal(size=(60, 2)), targets=1 - targets),
        "s.r3": Fit.failed(CELLS, "diverged", "the loss became NaN"),
    }


def test_restarts_are_compared_on_validation_cells(restarts, split):
    scores = agreement_of_restarts(restarts, split)
    assert list(scores) == ["s.r0", "s.r1", "s.r2"]
    assert scores["s.r0"] == scores["s.r1"] == pytest.approx(1)
    assert scores["s.r2"] < 0.9


def test_there_is_nothing_to_compare_a_single_fit_with(restarts, split):
    assert agreement_of_restarts({name: restarts[name] for name in ("s.r0", "s.r3")}, split) == {}


def test_restarts_are_not_compared_on_no_cells(restarts, split):
    nowhere = split.assign(part=split["part"].replace("validation", "train"))
    assert agreement_of_restarts(restarts, nowhere) == {}


def test_fits_without_targets_are_compared_by_their_latents(split):
    latents = np.random.default_rng(1).normal(size=(60, 2))
    fits = {"r0": Fit(CELLS, latents), "r1": Fit(CELLS, -latents[:, ::-1])}
    assert agreement_of_restarts(fits, split) == pytest.approx({"r0": 1.0, "r1": 1.0})


def test_fits_without_latents_cannot_agree(restarts, split):
    predicted = Fit(CELLS, predictions={"zero_shot": pd.DataFrame([[1.0]], ["c"], ["gene"])})
    assert agreement_of_restarts({"s.r0": restarts["s.r0"], "s.r1": predicted}, split) == {}
    tables = evaluate_fits({"s": predicted}, {"s": "s"}, split, None, list(METRICS.values()), seed=0)
    assert tables.status["status"].tolist() == ["ok"]
    assert tables.targets.empty


def test_a_file_that_breaks_the_contract_is_a_failed_fit(split, tmp_path):
    path = tmp_path / "fit.h5ad"
    write(Fit(CELLS[::-1], np.zeros((60, 2))), path)
    fit = read_fit(path, split)
    assert fit.run.status == "failed"
    assert "not the cells of the dataset" in fit.run.message


@pytest.fixture
def truth():
    truth = ad.AnnData(obs=pd.DataFrame(index=CELLS.astype(str)))
    truth.obsm["latents"] = np.random.default_rng(2).normal(size=(60, 2))
    truth.uns["targets"] = pd.DataFrame(np.eye(3, 2, dtype=bool), ["a", "b", "c"], ["z1", "z2"])
    return truth


def test_cells_are_found_by_their_names(split, truth):
    shifts = pd.DataFrame([[0.1, 9], [8, 0.2]], index=["a", "b"], columns=["z1", "z2"])
    swapped = truth.obsm["latents"][:, ::-1]
    fit = Fit(CELLS, swapped, targets=(shifts > 1).astype(float), shifts=shifts)
    inputs = {"metrics": list(METRICS.values()), "seed": 0}
    tables = evaluate_fit(fit, split, truth, **inputs)
    targets = tables.targets.set_index(["perturbation", "latent"])
    assert (
        targets["probability"] == targets["true"]
    ).all()  # the latents are put in the order of the true ones
    assert targets.loc[("a", 1), "shift"] == 9
    shuffled = evaluate_fit(fit, split, truth[::-1].copy(), **inputs)
    for before, after in zip(tables, shuffled, strict=True):
        pd.testing.assert_frame_equal(before, after)


def test_restarts_are_compared_cell_by_cell_whatever_their_order(restarts, split):
    scores = agreement_of_restarts(restarts, split)
    first = restarts["s.r0"]
    restarts["s.r0"] = Fit(CELLS[::-1], first.latents[::-1], targets=first.targets)
    assert agreement_of_restarts(restarts, split) == pytest.approx(scores)


def test_a_fit_that_cannot_be_evaluated_failed(split, truth):
    fit = Fit(CELLS, np.zeros((60, 2)), targets=pd.DataFrame(1.0, ["a"], ["z1", "z2"]))
    tables = evaluate_fit(fit, split, truth, list(METRICS.values()), seed=0)
    assert tables.metrics["value"].isna().all()
    assert tables.status["status"].tolist() == ["failed"]
    assert "no row for perturbation 'b'" in tables.status["message"].iloc[0]
    assert tables.targets.empty


def test_the_fits_of_a_job_share_one_table(restarts, split):
    fits = {**restarts, "t": restarts["s.r0"]}
    grid_points = dict.fromkeys(restarts, "s") | {"t": "t"}
    tables = evaluate_fits(fits, grid_points, split, None, list(METRICS.values()), seed=0)
    assert tables.metrics["setting"].drop_duplicates().tolist() == list(fits)
    assert len(tables.metrics) == len(fits) * len(METRICS)
    status = tables.status.set_index("setting")
    assert status["status"].to_dict() == dict.fromkeys(fits, "ok") | {"s.r3": "diverged"}
    # The failed fit, and the one that has no restarts, have no agreement.
    assert status["udr"].dropna().to_dict() == agreement_of_restarts(restarts, split)


def evaluate(fit, split, truth=None, metrics=METRICS):
    return evaluate_fit(fit, split, truth, list(metrics.values()), seed=0)


def test_all_held_out_cells_need_a_score(split):
    """Else a method could choose the cells that it is scored on."""
    scores = pd.DataFrame({"log_likelihood_zero_shot": np.repeat([np.nan, -1.0], [41, 19])}, index=CELLS)
    tables = evaluate(Fit(CELLS, np.ones((60, 2)), scores=scores), split)
    assert tables.status["status"].tolist() == ["failed"]
    assert "held-out cell 'cell40' has no score (1 of 20 such cells)" in tables.status["message"].iloc[0]


def test_a_perturbation_that_there_is_not_is_told(split):
    shifts = pd.DataFrame(1.0, ["a", "b", "cc"], ["z1", "z2"])
    message = evaluate(Fit(CELLS, np.ones((60, 2)), shifts=shifts), split).status["message"].iloc[0]
    assert "unknown perturbation 'cc', did you mean 'c'?" in message


def test_a_metric_that_fails_is_named_and_costs_one_fit(split, truth, caplog):
    def divide(comparison):
        return 1 / (comparison.fit.run.seed - 1)

    def grow(comparison):
        return np.inf

    fits = {seed: Fit(CELLS, np.ones((60, 2)), run=Run(seed=seed, seconds=5.0)) for seed in (1, 2)}
    broken = {"mcc_pearson": replace(METRICS["mcc_pearson"], compute=divide)}
    tables = evaluate_fits(fits, dict.fromkeys(fits, "x"), split, truth, list(broken.values()), seed=0)
    assert tables.status["status"].tolist() == ["failed", "ok"]
    assert tables.status["message"].iloc[0] == "metric 'mcc_pearson': ZeroDivisionError: division by zero"
    assert tables.status["seconds"].tolist() == [5.0, 5.0]
    infinite = {"mcc_pearson": replace(METRICS["mcc_pearson"], compute=grow)}
    assert "is infinite" in evaluate(fits[1], split, truth, infinite).status["message"].iloc[0]


def test_a_fit_that_cannot_be_evaluated_is_nothing_to_agree_with(restarts, split, truth):
    first = restarts["s.r0"]
    restarts["s.r0"] = Fit(CELLS, first.latents, targets=first.targets.drop(index="a"))
    fits = {name: restarts[name] for name in ("s.r0", "s.r1")}
    tables = evaluate_fits(fits, dict.fromkeys(fits, "s"), split, None, [], seed=0)
    assert tables.status["status"].tolist() == ["failed", "ok"]
    assert "udr" not in tables.status


def test_nothing_that_a_file_holds_stops_its_reader(split, tmp_path, monkeypatch):
    def fail(path, cells, genes):
        raise ZeroDivisionError("nobody foresaw this")

    monkeypatch.setattr(fit_file, "read", fail)
    assert read_fit(tmp_path / "fit.h5ad", split).run.message == "ZeroDivisionError: nobody foresaw this"


def test_likelihoods_of_real_data_are_told_for_each_held_out_perturbation(truth):
    """The metric is their mean; perturbations with too few cells to count are left out."""
    labels = ["a"] * 15 + ["b"] * 15 + ["c"] * 12 + ["d"] * 12 + ["e"] * 6
    parts = ["train"] * 15 + ["test"] * 15 + ["adapt", "test"] * 15
    split = pd.DataFrame({"cell": CELLS, "perturbation": labels, "part": parts})
    scores = pd.DataFrame({"log_likelihood_same_cells": -np.arange(60.0)}, CELLS)
    scores[:15] = np.nan  # they are trained on
    fit = Fit(CELLS, np.random.default_rng(0).normal(size=(60, 2)), scores=scores)
    tables = evaluate_fit(fit, split, None, list(METRICS.values()), 0)
    assert tables.held_out["effect"].isna().all(), "nobody summarised the responses"
    told = tables.held_out.set_index(["metric", "perturbation"])["value"]["inll_same_cells"]
    assert told.to_dict() == {"b": 22, "c": 35.5, "d": 47.5}
    value = tables.metrics.set_index("metric").loc["inll_same_cells", "value"]
    assert value == pytest.approx(told.mean())
    assert evaluate_fit(fit, split, truth, [METRICS["inll_same_cells"]], 0).held_out.empty
