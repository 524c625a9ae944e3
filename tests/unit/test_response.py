"""What held-out cells really do, against numbers worked out cell by cell."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests

from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.evaluation.response import read_response, summarise_responses, write_response
from svae.expression import TARGET_SUM, log_normalised
from svae.simulation import simulate

SIZES = {"perturbations": 10, "cells_per_perturbation": 30, "latents": 3, "hidden": 8, "genes": 15}
PARTS = ("control", "mean", "test", "adapt", "p_adjusted", "weights", "cells")
OF_SPACE = ("centre", "axes", "test", "adapt", "mean")


def screen(control_cells=50):
    dataset, _ = simulate("corrected", seed=0, control_cells=control_cells, **SIZES)
    return dataset, split_dataset(dataset, SplitPlan(kind="random", held_out=3), seed=0)


def profile_of(dataset, cells):
    counts = np.asarray(dataset[cells].X.sum(axis=0), dtype=float).ravel()
    return np.log1p(TARGET_SUM * counts / counts.sum())


def test_profiles_are_those_of_the_cells_of_one_part():
    dataset, split = screen()
    response = summarise_responses(dataset, split)
    of = split.set_index("cell")
    for perturbation in response.test.index:
        for part, table in (("test", response.test), ("adapt", response.adapt)):
            cells = of.index[(of["perturbation"] == perturbation) & (of["part"] == part)]
            np.testing.assert_allclose(table.loc[perturbation], profile_of(dataset, cells))
            assert response.cells.loc[perturbation, part] == len(cells)
    np.testing.assert_allclose(
        response.control, profile_of(dataset, of.index[of["perturbation"] == "control"])
    )
    trained = of[of["part"].isin(["train", "validation"]) & (of["perturbation"] != "control")]
    profiles = [profile_of(dataset, cells) for cells in trained.groupby("perturbation").groups.values()]
    assert len(profiles) == 7
    np.testing.assert_allclose(response.mean, np.mean(profiles, axis=0))


def test_genes_that_respond_are_those_of_a_welch_test():
    dataset, split = screen()
    response = summarise_responses(dataset, split)
    expression, labels = log_normalised(dataset, TARGET_SUM), split["perturbation"].to_numpy()
    for perturbation in response.test.index:
        tested = expression[(labels == perturbation) & (split["part"] == "test").to_numpy()]
        p = ttest_ind(tested, expression[labels == "control"], equal_var=False).pvalue
        expected = multipletests(p, method="fdr_bh")[1]
        np.testing.assert_allclose(response.p_adjusted.loc[perturbation], expected, rtol=1e-3)


def test_weights_compare_a_perturbation_with_all_others():
    dataset, split = screen()
    weights = summarise_responses(dataset, split).weights
    expression, labels = log_normalised(dataset, TARGET_SUM).astype(float), split["perturbation"].to_numpy()
    perturbation = weights.index[0]
    few = expression[(labels == perturbation) & (split["part"] == "test").to_numpy()]
    others = expression[labels != perturbation]
    error = np.sqrt((few.var(axis=0, ddof=1) + others.var(axis=0, ddof=1)) / len(few))
    size = np.abs(few.mean(axis=0) - others.mean(axis=0)) / error
    expected = ((size - size.min()) / (size.max() - size.min())) ** 2
    np.testing.assert_allclose(weights.loc[perturbation], expected, rtol=1e-4, atol=1e-9)


def test_a_dataset_without_control_has_no_profile_of_it_and_no_test_against_it():
    response = summarise_responses(*screen(control_cells=0))
    assert not response.has_control
    assert response.p_adjusted.isna().all(axis=None)
    assert response.weights.notna().all(axis=None)


def test_the_effect_of_a_perturbation_that_does_nothing_is_not_the_noise_of_its_cells():
    """Each half alone is far from the control by its noise; their product is not."""
    random = np.random.default_rng(0)
    genes = [f"g{j}" for j in range(200)]
    control = pd.Series(0.0, genes)
    strong = np.zeros(200)
    strong[:4] = 2.0
    halves = [
        pd.DataFrame([0 * strong, strong], ["none", "strong"], genes) + random.normal(0, 0.2, (2, 200))
        for _ in range(2)
    ]
    response = replace(summarise_responses(*screen()), control=control, test=halves[0], adapt=halves[1])
    assert response.effects["strong"] == pytest.approx(4, abs=0.4)
    assert response.effects["none"] < 1 < np.linalg.norm(halves[0].loc["none"])
    unknown = replace(response, control=control * np.nan)
    assert unknown.effects.isna().all()


def test_it_is_read_as_it_was_written(tmp_path):
    response = summarise_responses(*screen())
    write_response(response, tmp_path / "response.h5ad")
    read = read_response(tmp_path / "response.h5ad")
    pairs = [(getattr(read, part), getattr(response, part)) for part in PARTS]
    pairs += [(getattr(read.space, part), getattr(response.space, part)) for part in OF_SPACE]
    for found, expected in pairs:
        same = pd.testing.assert_series_equal if expected.ndim == 1 else pd.testing.assert_frame_equal
        same(found, expected, check_names=False)


def test_another_file_is_refused(tmp_path):
    dataset, _ = screen()
    dataset.write_h5ad(tmp_path / "dataset.h5ad")
    with pytest.raises(BenchmarkError, match=r'layers\["test"\] is missing, so this is no file of responses'):
        read_response(tmp_path / "dataset.h5ad")
