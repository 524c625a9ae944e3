import anndata as ad
import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit, Run
from svae.errors import BenchmarkError
from svae.evaluation.evaluate import compute_metrics
from svae.evaluation.metrics import METRICS
from svae.evaluation.metrics.targets import target_scores, two_largest
from svae.files import read_anndata
from svae.targets import targets_from_shifts, within_spread

LATENTS = [f"z{j + 1}" for j in range(5)]


@pytest.fixture
def world():
    """Ten perturbations, the last three held out, five latents, and a split and truth to match."""
    rng = np.random.default_rng(0)
    names = [f"p{k}" for k in range(10)]
    targets = pd.DataFrame(np.eye(5, dtype=bool)[np.arange(10) % 5], index=names, columns=LATENTS)
    shifts = targets * rng.choice([-5.0, 5.0], size=targets.shape)
    split = pd.DataFrame({"cell": [f"cell{i}" for i in range(400)], "perturbation": np.repeat(names, 40)})
    held_out = split["perturbation"].isin(names[7:])
    split["part"] = np.where(held_out, np.where(np.arange(400) % 2, "adapt", "test"), "train")
    truth = ad.AnnData(obs=pd.DataFrame(index=split["cell"].to_numpy()))
    truth.obsm["latents"] = shifts.loc[split["perturbation"]].to_numpy() + rng.normal(size=(400, 5))
    truth.uns["targets"], truth.uns["shifts"] = targets, shifts
    return truth, split


def fit_of(truth, order=(0, 1, 2, 3, 4), signs=1.0, rows=slice(7), **tables):
    """A fit that has the true latents in another order and with other signs."""
    order = list(order)
    permuted = {"targets": truth.uns["targets"].astype(float).iloc[rows, order].set_axis(LATENTS, axis=1)}
    permuted["shifts"] = (truth.uns["shifts"].iloc[rows, order] * signs).set_axis(LATENTS, axis=1)
    return Fit(truth.obs_names, truth.obsm["latents"][:, order] * signs, **{**permuted, **tables})


def values(fit, split, truth=None):
    return compute_metrics(fit, split, truth).set_index("metric")["value"]


def test_scores_by_hand():
    latents = np.random.default_rng(0).normal(size=(50, 3))
    true = np.array([[1, 0, 0], [0, 1, 1]])
    estimated = np.array([[0.9, 0.6, 0.1], [0.2, 0.8, 0.4]])
    scores = target_scores(true, estimated, latents, latents)
    # on: (0,0) and (1,1) rightly, (0,1) wrongly; missed: (1,2)
    assert scores["precision"] == pytest.approx(2 / 3)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(2 / 3)
    assert scores["shd"] == 2
    # by probability: hit, hit, miss, hit
    assert scores["average_precision"] == pytest.approx((1 + 1 + 3 / 4) / 3)


def test_a_true_latent_without_partner_is_never_targeted():
    latents = np.random.default_rng(0).normal(size=(50, 3))
    true = np.array([[1, 0, 1], [0, 1, 1]])
    scores = target_scores(true, true[:, :2].astype(float), latents, latents[:, :2])
    assert (scores["precision"], scores["recall"], scores["shd"]) == (1, 0.5, 2)


def test_an_estimated_latent_without_partner_counts_where_it_is_on():
    latents = np.random.default_rng(0).normal(size=(50, 3))
    true = np.array([[1, 0], [0, 1]])
    scores = target_scores(true, np.array([[1.0, 0, 1], [0, 1, 0]]), latents[:, :2], latents)
    assert (scores["precision"], scores["recall"], scores["shd"]) == (pytest.approx(2 / 3), 1, 1)


def test_without_true_targets_recall_is_undefined():
    latents = np.random.default_rng(0).normal(size=(50, 2))
    scores = target_scores(np.zeros((3, 2)), np.ones((3, 2)), latents, latents)
    assert np.isnan(scores["recall"])
    assert scores["shd"] == 6


def test_mirrored_latents_are_matched_and_the_released_code_is_not(world):
    truth, split = world
    scores = values(fit_of(truth, order=(3, 1, 4, 0, 2), signs=[-1, 1, -1, -1, 1]), split, truth)
    assert scores["mcc_pearson"] == pytest.approx(1)
    assert scores["target_f1"] == 1
    assert scores["target_shd"] == 0
    assert scores["target_f1_original"] < 0.6


def test_the_released_code_counts_held_out_perturbations_as_all_on(world):
    truth, split = world
    for rows in (slice(7), slice(10)):  # whether or not the fit says anything about them
        scores = values(fit_of(truth, rows=rows), split, truth)
        # 7 targets found, 3 more among the 15 entries of the held-out perturbations
        assert scores["target_precision_original"] == pytest.approx(10 / 22)
        assert scores["target_recall_original"] == 1
        assert scores["target_f1"] == 1


def test_the_released_code_gives_methods_without_masks_two_targets_each(world):
    truth, split = world
    scores = values(fit_of(truth, targets=None), split, truth)
    assert scores["target_f1"] == 1
    assert 7 / 20 <= scores["target_precision_original"] <= 10 / 20
    assert scores["target_recall_original"] >= 0.7


def test_the_released_code_needs_the_true_number_of_latents(world):
    truth, split = world
    fit = fit_of(truth)
    fit.latents, fit.targets = fit.latents[:, :4], fit.targets.iloc[:, :4]
    scores = values(fit, split, truth)
    assert np.isnan(scores["target_f1_original"])
    assert 0 < scores["target_f1"] < 1


def test_control_is_no_perturbation(world):
    truth, split = world
    truth.uns["targets"] = truth.uns["targets"].rename(index={"p0": "control"})
    split["perturbation"] = split["perturbation"].replace("p0", "control")
    fit = fit_of(truth)
    fit.targets.loc["control"] = 1.0
    assert values(fit, split, truth)["target_shd"] == 0


def test_noise_scores_low(world):
    truth, split = world
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.uniform(size=(7, 5)), index=truth.uns["targets"].index[:7], columns=LATENTS)
    scores = values(Fit(truth.obs_names, rng.normal(size=(400, 5)), targets=table), split, truth)
    assert scores["target_f1"] < 0.6
    assert scores["mcc_pearson"] < 0.3


def test_what_is_lacking_is_not_applicable(world):
    truth, split = world
    bare = values(fit_of(truth, targets=None, shifts=None), split, truth)
    assert bare.filter(like="target").isna().all()
    assert bare.filter(like="inll").isna().all()
    assert bare["r2"] == pytest.approx(1)
    without_truth = values(fit_of(truth), split).dropna()
    assert set(without_truth.index) == {"smi_best", "smi_matching", "smi_gap"}
    failed = fit_of(truth)
    failed.run = Run(status="diverged")
    assert values(failed, split, truth).isna().all()


def test_missing_rows_and_cells_are_named(world):
    truth, split = world
    with pytest.raises(BenchmarkError, match=r'the fit, uns\["targets"\]: no row for perturbation \'p5\''):
        compute_metrics(fit_of(truth, rows=slice(5)), split, truth)
    with pytest.raises(BenchmarkError, match="cell 'stray' is not a cell of the truth"):
        compute_metrics(fit_of(truth), split.replace("cell0", "stray"), truth, [METRICS["r2"]])
    with pytest.raises(BenchmarkError, match="column 'part' is missing"):
        compute_metrics(fit_of(truth), split.drop(columns="part"), truth)


def test_dense_shifts_show_their_targets():
    rng = np.random.default_rng(0)
    true = rng.uniform(size=(80, 15)) < 0.13
    offsets, scales = rng.normal(size=15), rng.uniform(0.1, 10, size=15)
    dense = np.where(true, rng.normal(5, 0.5, size=true.shape), 0) + 0.5 * rng.normal(size=true.shape)
    perturbations = np.repeat(np.arange(80), 2)
    latents = (dense[perturbations] + np.tile([[1], [-1]], (80, 15))) * scales  # spread: the scales
    found = targets_from_shifts(pd.DataFrame((dense + offsets) * scales), latents, perturbations)
    assert ((found > 0.5).to_numpy() == true).all()
    # the probability rises with the size of the shift
    by_size = found.to_numpy().ravel()[np.abs(dense - np.median(dense, axis=0)).ravel().argsort()]
    assert (np.diff(by_size) >= -1e-12).all()


def test_equal_shifts_have_no_targets():
    latents, labels = np.random.default_rng(0).normal(size=(12, 3)), np.repeat(np.arange(6), 2)
    assert not targets_from_shifts(pd.DataFrame(np.ones((6, 3))), latents, labels).to_numpy().any()
    # A latent that is the same in all cells has no scale to measure its shifts by.
    assert not targets_from_shifts(pd.DataFrame(np.eye(6, 3)), np.zeros((12, 3)), labels).to_numpy().any()


def test_neither_control_nor_the_order_of_rows_bears_on_the_targets(world):
    truth, _ = world
    latents, labels = truth.obsm["latents"], np.repeat([f"p{k}" for k in range(10)], 40)
    shifts = truth.uns["shifts"] + np.random.default_rng(1).normal(size=(10, 5))
    found = targets_from_shifts(shifts, latents, labels)
    with_control = pd.concat([shifts.iloc[::-1], pd.DataFrame(9.0, ["control"], shifts.columns)])
    again = targets_from_shifts(with_control, latents, labels)
    assert again.index.equals(with_control.index)
    assert not again.loc["control"].any()
    pd.testing.assert_frame_equal(again.loc[found.index], found, check_exact=True)


def test_two_largest_by_hand():
    shifts = pd.DataFrame([[1.0, -3, 2], [0, 0.1, -0.2]], index=["a", "b"])
    assert two_largest(shifts).to_numpy().tolist() == [[0, 1, 1], [0, 1, 1]]


def test_within_spread_leaves_out_the_shifts():
    labels = pd.Series(["a", "a", "b", "b"])
    assert within_spread(np.array([[0.0], [2], [100], [102]]), labels) == pytest.approx([1])


def test_truth_of_the_released_simulation(shared_data):
    path = shared_data / "lopez2023_seed0.h5ad"
    if not path.is_file():
        pytest.skip(f"no {path.name} among the shared data")
    data = read_anndata(path)
    shifts, held_out = data.uns["shifts"], [f"p{k}" for k in range(80, 100)]
    true = shifts.drop(index=held_out) != 0
    cells = ~data.obs["perturbation"].isin(held_out).to_numpy()
    latents, labels = data.obsm["latents"][cells], data.obs["perturbation"][cells]
    found = targets_from_shifts(shifts.drop(index=held_out), latents, labels)
    assert target_scores(true, found, latents, latents)["f1"] == 1
