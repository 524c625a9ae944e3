"""What each parameter of the simulator ``screen`` breaks, and what the simulators of other shapes draw."""

import numpy as np
import pytest

from svae.evaluation.identifiability import identifiable
from svae.simulation import simulate
from svae.simulation.likelihood import score_cells

SMALL = {"perturbations": 12, "cells_per_perturbation": 60, "latents": 4, "hidden": 8, "genes": 30}
SMALL |= {"control_cells": 100}


def screen(seed=0, name="screen", **changed):
    return simulate(name, seed=seed, **SMALL | changed)


def labels_of(dataset):
    return dataset.obs["perturbation"].astype(str).to_numpy()


def residuals(dataset, truth):
    """Latents of each cell less the shift of its label, cells × p."""
    return truth.obsm["latents"] - truth.uns["shifts"].loc[labels_of(dataset)].to_numpy()


def test_by_default_it_is_the_corrected_simulator_number_by_number():
    mine, theirs = screen(seed=3), screen(seed=3, name="corrected")
    assert (mine.dataset.X != theirs.dataset.X).nnz == 0
    np.testing.assert_array_equal(mine.truth.obsm["latents"], theirs.truth.obsm["latents"])
    np.testing.assert_array_equal(mine.truth.obs["library"], theirs.truth.obs["library"])
    np.testing.assert_array_equal(mine.truth.uns["shifts"], theirs.truth.uns["shifts"])
    assert list(mine.truth.obs) == ["library"]


@pytest.mark.parametrize(
    "changed",
    [
        {"latent_correlation": 0.5},
        {"target_sd": 2.0},
        {"batch_effect": 0.5},
        {"escapers": 0.3},
        {"wrong_labels": 0.3},
        {"edge_weight": 0.5},
    ],
)
def test_a_parameter_leaves_the_design_of_a_seed_alone_and_takes_the_likelihood_away(changed):
    dataset, truth = screen(**changed)
    plain_dataset, plain_truth = screen()
    np.testing.assert_array_equal(truth.uns["targets"], plain_truth.uns["targets"])
    np.testing.assert_array_equal(np.sort(truth.obs["library"]), np.sort(plain_truth.obs["library"]))
    assert (dataset.X != plain_dataset.X).nnz > 0
    assert score_cells(dataset[:5], truth, n_samples=10) is None
    assert score_cells(plain_dataset[:5], plain_truth, n_samples=10) is not None


@pytest.mark.parametrize(
    "changed", [{"target_density": 0.5}, {"block_size": 2}, {"shift_mean": 0.5}, {"counts_kept": 0.1}]
)
def test_other_designs_have_a_likelihood(changed):
    dataset, truth = screen(**changed)
    assert np.isfinite(score_cells(dataset[:5], truth, n_samples=10).log_likelihood).all()


def test_counts_are_kept_in_the_same_share_of_every_cell():
    all_counts, a_tenth = screen(), screen(counts_kept=0.1)
    np.testing.assert_allclose(
        np.sort(a_tenth.truth.obs["library"]), 0.1 * np.sort(all_counts.truth.obs["library"])
    )
    assert a_tenth.dataset.X.sum() == pytest.approx(0.1 * all_counts.dataset.X.sum(), rel=0.01)


def test_density_is_the_share_of_targets_and_every_perturbation_has_one():
    many = {"perturbations": 500, "cells_per_perturbation": 1, "latents": 8}
    for density in (0.05, 0.5, 1.0):
        targets = screen(**many, target_density=density).truth.uns["targets"].drop(index="control")
        assert (targets.sum(axis=1) >= 1).all()
        expected = density + (1 - density) ** 8 / 8  # those without a target are given one of eight
        assert targets.to_numpy().mean() == pytest.approx(expected, abs=0.02)


def test_latents_of_a_block_are_hit_together_or_not_at_all():
    targets = screen(block_size=2, perturbations=40).truth.uns["targets"].to_numpy()
    np.testing.assert_array_equal(targets[:, 0::2], targets[:, 1::2])
    assert 0 < targets.mean() < 1
    assert not identifiable(targets).any()
    assert identifiable(screen(perturbations=40).truth.uns["targets"].to_numpy()).all()


def test_correlated_latents_keep_their_variance():
    dataset, truth = screen(latent_correlation=0.6, cells_per_perturbation=200)
    spread = np.cov(residuals(dataset, truth), rowvar=False)
    np.testing.assert_allclose(np.diag(spread), 1, atol=0.1)
    np.testing.assert_allclose(spread[~np.eye(4, dtype=bool)], 0.6, atol=0.1)


def test_an_intervention_flows_down_the_chain_and_not_up():
    _, plain = screen()
    dataset, truth = screen(edge_weight=0.7)
    direct, total = plain.uns["shifts"].to_numpy(), truth.uns["shifts"].to_numpy()
    # Solve for the weights: total (I − W) = direct, with one weight between neighbours.
    weights = np.eye(4) - np.linalg.pinv(total) @ direct
    np.testing.assert_allclose(np.abs(weights), 0.7 * np.eye(4, k=1), atol=1e-9)
    means = np.vstack(
        [truth.obsm["latents"][labels_of(dataset) == p].mean(axis=0) for p in plain.uns["shifts"].index]
    )
    np.testing.assert_allclose(means, total, atol=0.8)
    np.testing.assert_array_equal(truth.uns["targets"], direct != 0)


def test_a_random_graph_has_so_many_edges():
    _, plain = screen(latents=8, perturbations=40)
    _, truth = screen(latents=8, perturbations=40, edge_weight=0.5, edge_density=0.5)
    weights = np.eye(8) - np.linalg.pinv(truth.uns["shifts"].to_numpy()) @ plain.uns["shifts"].to_numpy()
    edges = np.abs(weights) > 0.1
    assert not np.tril(edges).any()
    assert 5 <= edges.sum() <= 23  # 14 expected of 28


def test_targets_vary_more_and_other_latents_do_not():
    dataset, truth = screen(target_sd=3.0, cells_per_perturbation=200)
    hit = truth.uns["targets"].loc[labels_of(dataset)].to_numpy() == 1
    left = residuals(dataset, truth)
    assert left[hit].std() == pytest.approx(3, rel=0.05)
    assert left[~hit].std() == pytest.approx(1, rel=0.05)


def test_escapers_are_unperturbed_cells_with_a_label():
    dataset, truth = screen(escapers=0.4)
    escaped = truth.obs["escaped"].to_numpy()
    labelled = labels_of(dataset) != "control"
    assert not escaped[~labelled].any()
    assert escaped[labelled].mean() == pytest.approx(0.4, abs=0.06)
    assert np.abs(truth.obsm["latents"][escaped]).mean() == pytest.approx(np.sqrt(2 / np.pi), abs=0.06)
    assert residuals(dataset, truth)[~escaped].std() == pytest.approx(1, abs=0.05)


def test_escapers_need_no_control_arm():
    dataset, truth = screen(escapers=1.0, control_cells=0)
    assert "control" not in labels_of(dataset)
    assert truth.obsm["latents"].std() == pytest.approx(1, abs=0.05)


def test_wrong_labels_are_those_of_another_cell():
    dataset, truth = screen(wrong_labels=0.5)
    labels, names = labels_of(dataset), truth.uns["shifts"].index.to_numpy()
    acting = names[truth.obs["acting"].to_numpy()]
    wrong = acting != labels
    assert wrong[labels != "control"].mean() == pytest.approx(0.5 * 11 / 12, abs=0.06)
    assert not wrong[labels == "control"].any()
    assert (np.sort(acting) == np.sort(labels)).all(), "labels are exchanged, not made up"
    left = truth.obsm["latents"] - truth.uns["shifts"].loc[acting].to_numpy()
    assert left.std() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(("confounding", "share"), [(0.0, 0.5), (1.0, 1.0)])
def test_a_batch_goes_together_with_the_perturbation(confounding, share):
    dataset, truth = screen(batch_effect=1.0, batch_confounding=confounding)
    batch, labels = truth.obs["batch"].to_numpy(), labels_of(dataset)
    of_perturbation = np.array([batch[labels == name].mean() for name in sorted({*labels} - {"control"})])
    larger = np.maximum(of_perturbation, 1 - of_perturbation)
    assert larger.mean() == pytest.approx(share, abs=0.1)
    assert batch[labels == "control"].mean() == pytest.approx(0.5, abs=0.15)
    assert "batch" not in dataset.obs


def test_a_batch_changes_genes_and_keeps_libraries():
    dataset, truth = screen(batch_effect=1.0, batch_confounding=0.0)
    counts, batch = dataset.X.toarray(), truth.obs["batch"].to_numpy()
    np.testing.assert_allclose(counts.sum(axis=1) / truth.obs["library"], 1, atol=0.2)
    change = np.log(counts[batch == 1].mean(axis=0) / counts[batch == 0].mean(axis=0))
    assert change.std() == pytest.approx(1, abs=0.35)


def test_latents_in_a_dag_flow_by_default():
    targets, shifts = (screen(name="latent_dag").truth.uns[key].to_numpy() for key in ("targets", "shifts"))
    assert (shifts[targets == 0] != 0).any()
    assert (shifts[targets == 1] != 0).all()


def test_variance_shifts_move_no_mean_unless_asked_to():
    dataset, truth = screen(name="variance_shifts")
    assert (truth.uns["shifts"] == 0).all(axis=None)
    assert truth.uns["targets"].to_numpy().any()
    hit = truth.uns["targets"].loc[labels_of(dataset)].to_numpy() == 1
    assert truth.obsm["latents"][hit].std() == pytest.approx(3, rel=0.1)
    assert (screen(name="variance_shifts", shift_mean=2.0).truth.uns["shifts"] != 0).any(axis=None)


def test_no_latent_of_the_criterion_breaking_design_is_identifiable():
    truth = screen(name="criterion_breaking", perturbations=60).truth
    assert not identifiable(truth.uns["targets"].to_numpy()).any()


def test_gsfa_linear_is_linear_with_sparse_loadings():
    dataset, truth = simulate("gsfa_linear", seed=0, cells_per_perturbation=200, noise_sd=0.1, depth=50.0)
    shifts = truth.uns["shifts"].drop(index="control").to_numpy()
    targets = truth.uns["targets"].drop(index="control").to_numpy()
    np.testing.assert_array_equal(shifts != 0, targets == 1)
    assert np.abs(shifts[targets == 1]).min() >= 0.1
    assert np.abs(shifts[targets == 1]).max() <= 0.6
    y = np.log(dataset.X.toarray() / truth.obs["depth"].to_numpy()[:, None] + 0.01)
    loadings = np.linalg.lstsq(truth.obsm["latents"], y, rcond=None)[0]
    assert (np.abs(loadings) > 0.1).mean() == pytest.approx(0.1 * 0.89, abs=0.03)  # Normal(0, .7²) exceeds .1
    assert residuals(dataset, truth).std() == pytest.approx(1, abs=0.03)


def test_gsfa_linear_draws_about_one_count_per_gene():
    dataset, truth = simulate("gsfa_linear", seed=1)
    assert 1 < dataset.X.toarray().mean() < 3  # exp(y) has mean exp(variance / 2), and y variance 1.2
    assert truth.obs["depth"].std() == pytest.approx(0.2, abs=0.02)
