"""Models of scvi-tools: trained as the library does it, on the cells that the split allows."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
from scvi.external import ContrastiveVI
from scvi.model import SCANVI, SCVI

from svae.contracts.fit import validate
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, seen_cells, trained_perturbations
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.differential import DELTA, called
from svae.errors import BenchmarkError
from svae.expression import profile, pseudobulk
from svae.methods.scvi_tools.fit import MODELS, NEED_CONTROL, fit_scvi_tools
from svae.methods.scvi_tools.scarches import TrainedScArches
from svae.methods.scvi_tools.screen import Screen, relabelled
from svae.methods.scvi_tools.trained import TrainedSCVI
from svae.simulation import simulate


@pytest.fixture(scope="module")
def screen():
    """A small screen with two of six perturbations held out."""
    size = {"perturbations": 6, "cells_per_perturbation": 20, "control_cells": 30, "genes": 15}
    dataset, _ = simulate("screen", seed=0, latents=3, hidden=8, **size)
    return dataset, split(dataset.obs["perturbation"], SplitPlan(kind="random", held_out=2), seed=0)


def fit(method, screen, model_folder=None, **options):
    short = {"surgery_epochs": 2} if method == "scarches" else {}
    setting = Setting("s", 1, {"n_latent": 3, "max_epochs": 2} | short | options)
    return fit_scvi_tools(
        method, *screen, setting, likelihood_samples=5, accelerator="cpu", model_folder=model_folder
    )


@pytest.mark.parametrize("method", MODELS)
def test_a_fit_keeps_the_contract_and_follows_from_its_seed(method, screen):
    first = validate(fit(method, screen), "fit.h5ad", screen[0].obs_names)
    np.testing.assert_array_equal(first.latents, fit(method, screen).latents)
    assert first.run.status == "ok"
    assert set(first.generated or ()) == ({"zero_shot", "adapted"} if MODELS[method].draws else set())
    assert first.history["validation"].notna().all()
    assert first.selection["validation_likelihood"] == -first.history["validation"].iloc[-1]


@pytest.mark.parametrize(("method", "model_class"), [("scvi", SCVI), ("scarches", SCVI), ("scanvi", SCANVI)])
def test_a_model_that_is_kept_can_be_asked_again(method, model_class, screen, tmp_path):
    dataset, parts = screen
    found = fit(method, screen, model_folder=tmp_path / "s.model")
    assert found.run.status == "ok"
    seen = dataset[dataset.obs_names.isin(seen_cells(parts).index)].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    model = model_class.load(str(tmp_path / "s.model"), seen)
    if method == "scarches":  # its latents of all cells are those after surgery
        assert model.is_trained
    else:
        latents = found.latents[dataset.obs_names.isin(seen.obs_names)]
        asked = seen if method == "scvi" else relabelled(seen, "unknown")
        np.testing.assert_allclose(model.get_latent_representation(asked), latents, atol=1e-5)


@pytest.mark.parametrize("method", MODELS)
def test_cells_of_held_out_perturbations_are_not_trained_on(method, screen):
    dataset, parts = screen
    other = dataset.copy()
    unseen = ~other.obs_names.isin(seen_cells(parts).index)
    other.X[np.flatnonzero(unseen)] = other.X[np.flatnonzero(unseen)] * 3
    before, after = fit(method, screen).latents, fit(method, (other, parts)).latents
    np.testing.assert_array_equal(before[~unseen], after[~unseen])
    assert not np.array_equal(before[unseen], after[unseen])


def latents_of_scvi(seen, **training):
    SCVI.setup_anndata(seen)
    model = SCVI(seen, n_latent=3)
    model.train(**training)
    return model.get_latent_representation()


def latents_of_scanvi(seen, **training):
    SCVI.setup_anndata(seen, labels_key="perturbation")
    before = SCVI(seen, n_latent=3)
    before.train(**training)
    model = SCANVI.from_scvi_model(before, unlabeled_category="unknown")
    model.train(**{name: value for name, value in training.items() if name != "max_epochs"})
    return model.get_latent_representation()


def latents_of_contrastive_vi(seen, **training):
    ContrastiveVI.setup_anndata(seen)
    model = ContrastiveVI(seen, n_salient_latent=3)
    is_control = seen.obs["perturbation"] == "control"
    background, target = (np.flatnonzero(cells).tolist() for cells in (is_control, ~is_control))
    model.train(background_indices=background, target_indices=target, **training)
    return model.get_latent_representation(representation_kind="salient")


@pytest.mark.parametrize("of_library", [latents_of_scvi, latents_of_scanvi, latents_of_contrastive_vi])
def test_a_model_is_what_the_library_makes_of_the_same_cells(of_library, screen):
    dataset, parts = screen
    seen = dataset[dataset.obs_names.isin(seen_cells(parts).index)].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    part = parts.set_index("cell")["part"].reindex(seen.obs_names)
    indices = [np.flatnonzero(part == "train"), np.flatnonzero(part == "validation"), np.array([], dtype=int)]
    scvi.settings.seed = 1
    # Validation draws random numbers, too.
    expected = of_library(
        seen,
        max_epochs=2,
        accelerator="cpu",
        check_val_every_n_epoch=1,
        datasplitter_kwargs={"external_indexing": indices},
    )
    method = of_library.__name__.removeprefix("latents_of_")
    latents = fit(method, screen).latents[dataset.obs_names.isin(seen.obs_names)]
    np.testing.assert_allclose(latents, expected, atol=1e-4)


def test_all_protocols_score_cells_alike_because_no_shift_can_adapt(screen):
    scores = fit("scvi", screen).scores.dropna()
    assert len(scores) > 0
    np.testing.assert_array_equal(scores["log_likelihood_zero_shot"], scores["log_likelihood_clean"])


@pytest.mark.parametrize("method", sorted(set(MODELS) - {"scarches"}))
def test_what_a_model_expects_is_nearer_to_the_cells_that_it_was_shown(method, screen):
    dataset, parts = screen
    made = fit(method, screen, max_epochs=60, batch_size=16)
    predictions = made.predictions
    adapt = cells_of(parts, "adapt")
    real = profile(pseudobulk(dataset, adapt))
    assert list(predictions["adapted"].index) == list(real.index)
    error = {basis: np.abs(table - real).to_numpy().mean() for basis, table in predictions.items()}
    assert error["adapted"] < 0.8 * error["zero_shot"]
    assert (predictions["zero_shot"].nunique() == 1).all(), "nothing is known of an unseen perturbation"
    if made.generated is not None:
        cells = made.generated["zero_shot"]  # of which there are enough for a mean
        drawn = profile(pseudobulk(ad.AnnData(cells.counts), pd.Series(cells.perturbation).rename(str)))
        assert np.abs(drawn.to_numpy() - predictions["zero_shot"].to_numpy()).mean() < 0.3


@pytest.mark.parametrize("method", NEED_CONTROL)
def test_a_method_that_needs_control_cells_does_not_apply_without_any(method, screen):
    dataset, parts = screen
    perturbed = dataset[dataset.obs["perturbation"] != "control"].copy()
    parts = parts[parts["perturbation"] != "control"]
    found = fit(method, (perturbed, parts))
    assert found.run.status == "not_applicable"
    assert "there are no control cells" in found.run.message


# --- scArches -------------------------------------------------------------------------------------

ARCHES = {"n_latent": 3, "max_epochs": 60, "batch_size": 16, "surgery_epochs": 300}


@pytest.fixture(scope="module")
def adapted(screen):
    """scVI after surgery, trained well enough to tell perturbations apart."""
    scvi.settings.seed = 1
    return TrainedScArches(Screen.of(*screen), ARCHES, "cpu")


def test_surgery_changes_no_weight_but_those_of_new_perturbations(adapted):
    before, after = adapted.reference.module.state_dict(), adapted.model.module.state_dict()
    assert before.keys() == after.keys()
    grown = [name for name in before if before[name].shape != after[name].shape]
    assert grown, "two perturbations are new"
    for name, weights in before.items():
        kept = after[name][..., : weights.shape[-1]] if weights.dim() else after[name]
        np.testing.assert_array_equal(kept.numpy(), weights.numpy(), err_msg=name)


def test_control_cells_are_predicted_to_become_what_the_cells_to_adapt_to_are(adapted, screen):
    dataset, parts = screen
    predicted = adapted.predictions(dataset.copy(), parts)
    assert list(predicted) == ["adapted"]
    labels = parts.set_index("cell")["perturbation"]
    control = profile(pseudobulk(dataset, labels[labels == "control"])).to_numpy()
    real = profile(pseudobulk(dataset, cells_of(parts, "adapt")))
    assert predicted["adapted"].index.equals(real.index)
    error = np.abs(predicted["adapted"] - real).mean(axis=1)
    assert (error < 0.75 * np.abs(control - real).mean(axis=1)).all()


def test_a_perturbation_without_cells_to_adapt_to_has_no_prediction(screen):
    dataset, parts = screen
    first, second = sorted(cells_of(parts, "adapt").unique())
    unused = (parts["perturbation"] == second) & (parts["part"] == "adapt")
    found = fit("scarches", (dataset, parts.assign(part=parts["part"].mask(unused, "unused"))))
    assert found.predictions["adapted"].index.tolist() == [first]
    scored = found.scores["log_likelihood_clean"].dropna().index
    assert set(dataset.obs.loc[scored, "perturbation"]) == {first}


def test_only_cells_that_it_did_not_adapt_to_are_scored(screen):
    scores = fit("scarches", screen).scores
    assert list(scores) == ["log_likelihood_clean"]
    assert set(scores.dropna().index) == set(cells_of(screen[1], "test").index)


# --- genes ----------------------------------------------------------------------------------------


def test_the_library_and_the_benchmark_call_the_same_genes(screen):
    scvi.settings.seed = 1
    trained = TrainedSCVI(Screen.of(*screen), {"n_latent": 3, "max_epochs": 30, "batch_size": 16}, "cpu")
    arguments = {"groupby": "perturbation", "group2": "control", "mode": "change", "delta": DELTA}
    name = next(iter(trained_perturbations(screen[1])))
    library = trained.model.differential_expression(**arguments, group1=[name], all_stats=False, silent=True)
    ours = called(library[["proba_de"]].T, 0.05).loc["proba_de"]
    np.testing.assert_array_equal(ours, library["is_de_fdr_0.05"])
    assert 0 < ours.sum() < len(ours)
    table = trained.differential()["probability"]
    assert set(table.index) == set(Screen.of(*screen).seen.obs["perturbation"]) - {"control"}
    np.testing.assert_allclose(table.loc[name], library.loc[table.columns, "proba_de"], atol=0.05)


def test_an_option_out_of_range_is_told(screen):
    with pytest.raises(BenchmarkError, match=r"method 'scvi', setting 's': dropout_rate: .*less than 1"):
        fit("scvi", screen, dropout_rate=1.5)
