import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit, write
from svae.evaluation.evaluate import read_fit
from svae.evaluation.restarts import agreement_of_restarts

CELLS = pd.Index([f"cell{i}" for i in range(60)], name="cell")


@pytest.fixture
def split():
    parts = ["train"] * 20 + ["validation"] * 20 + ["test"] * 20
    return pd.DataFrame({"cell": CELLS, "perturbation": ["a", "b"] * 20 + ["c"] * 20, "part": parts})


@pytest.fixture
def restarts():
    """Two fits that agree on validation cells alone, one that agrees with nobody, one that failed."""
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


def test_fits_without_targets_are_compared_by_their_latents(split):
    latents = np.random.default_rng(1).normal(size=(60, 2))
    fits = {"r0": Fit(CELLS, latents), "r1": Fit(CELLS, -latents[:, ::-1])}
    assert agreement_of_restarts(fits, split) == pytest.approx({"r0": 1.0, "r1": 1.0})


def test_a_file_that_breaks_the_contract_is_a_failed_fit(split, tmp_path):
    path = tmp_path / "fit.h5ad"
    write(Fit(CELLS[::-1], np.zeros((60, 2))), path)
    fit = read_fit(path, split)
    assert fit.run.status == "failed"
    assert "not the cells of the dataset" in fit.run.message
