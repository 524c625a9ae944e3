import subprocess
import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scvi
import torch

import svae
from svae.errors import BenchmarkError
from svae.models import FAMILY, model_class
from svae.models.coded import CodedVAE
from svae.models.priors import DenseShift
from svae.simulation import simulate

SHIFTING = [name for name in FAMILY if issubclass(model_class(name).prior_class, DenseShift)]
CODED = [name for name in FAMILY if issubclass(model_class(name).module_class, CodedVAE)]


@pytest.fixture(scope="module")
def screen():
    dataset = simulate(
        "corrected",
        seed=0,
        perturbations=6,
        latents=3,
        genes=20,
        hidden=8,
        cells_per_perturbation=40,
        control_cells=40,
    ).dataset
    dataset.obs["lane"] = pd.Categorical(np.where(np.arange(dataset.n_obs) % 2, "a", "b"))
    dataset.layers["counts"] = dataset.X.copy()
    return dataset


@pytest.fixture(scope="module")
def parts(screen):
    held_out = screen.obs["perturbation"].isin(["p4", "p5"]).to_numpy()
    return screen[~held_out].copy(), screen[held_out].copy()


def build(name, adata, epochs=2, **options):
    model_class_ = model_class(name)
    model_class_.setup_anndata(adata, "perturbation", batch_key="lane", layer="counts")
    scvi.settings.seed = 0
    model = model_class_(adata, n_latent=3, n_hidden=16, **options)
    if epochs:
        model.train(max_epochs=epochs)
    return model


@pytest.mark.parametrize("name", FAMILY)
def test_a_model_answers_all_questions(name, parts):
    seen, held_out = (part.copy() for part in parts)
    model = build(name, seen)
    assert model.get_latent_representation().shape == (seen.n_obs, 3)
    assert model.get_latent_representation(held_out, indices=[0, 1]).shape == (2, 3)
    assert np.isfinite(model.get_elbo(held_out))
    likelihood = model.get_marginal_ll(held_out, n_mc_samples=20, return_mean=False)
    assert list(likelihood.index) == list(held_out.obs_names)
    assert likelihood.mean() >= model.get_elbo(held_out) - 2
    expression = model.get_normalized_expression(held_out, library_size=100)
    assert expression.shape == held_out.shape
    assert expression.sum(axis=1).to_numpy() == pytest.approx(100, rel=1e-4)
    targets, shifts = model.get_targets(), model.get_shifts()
    assert set(targets.index) == set(shifts.index) == set(seen.obs["perturbation"])
    assert ((targets >= 0) & (targets <= 1)).to_numpy().all()
    assert {"train_loss_epoch", "elbo_validation"} <= set(model.history)
    assert "_scvi_uuid" not in held_out.uns, "new data are only read"


@pytest.mark.parametrize("name", FAMILY)
def test_a_saved_model_is_the_model(name, parts, tmp_path):
    seen, held_out = (part.copy() for part in parts)
    model = build(name, seen)
    model.refit(refit_epochs=1)
    model.adapt(held_out)
    model.save(tmp_path / "model")
    loaded = model_class(name).load(tmp_path / "model", seen)
    assert np.array_equal(loaded.get_latent_representation(), model.get_latent_representation())
    pd.testing.assert_frame_equal(loaded.get_shifts(), model.get_shifts())
    assert loaded.get_marginal_ll(held_out, n_mc_samples=5) == model.get_marginal_ll(held_out, n_mc_samples=5)


@pytest.mark.parametrize("name", SHIFTING)
def test_adapting_fits_the_held_out_perturbations_alone(name, parts):
    seen, held_out = parts
    model = build(name, seen.copy(), epochs=5)
    before, zero_shot = model.get_shifts(), model.get_elbo(held_out)
    weights = {key: value.clone() for key, value in model.module.state_dict().items()}
    model.adapt(held_out)
    after = model.get_shifts()
    assert list(after.index[-2:]) == ["p4", "p5"]
    pd.testing.assert_frame_equal(after.iloc[:-2], before)
    assert model.get_elbo(held_out) > zero_shot
    assert all(torch.equal(value, weights[key]) for key, value in model.module.state_dict().items())


@pytest.mark.parametrize("name", sorted(set(FAMILY) - {*SHIFTING, *CODED}))
def test_a_model_without_shifts_or_codes_has_nothing_to_adapt(name, parts):
    seen, held_out = parts
    model = build(name, seen.copy())
    zero_shot = model.get_elbo(held_out)
    model.adapt(held_out)
    assert model.get_elbo(held_out) == zero_shot


def test_the_control_has_no_shift_and_no_target(parts):
    model = build("svae_plus", parts[0].copy())
    assert (model.get_shifts().loc["control"] == 0).all()
    assert (model.get_targets().loc["control"] == 0).all()


def test_refitting_fixes_the_masks(parts):
    model = build("svae_plus", parts[0].copy(), epochs=3)
    targets = model.get_targets()
    model.refit(refit_epochs=2)
    pd.testing.assert_frame_equal(model.get_targets(), targets)
    assert bool(model.module.prior.binarised)


def test_the_seed_of_scvi_governs_everything(parts):
    first, second = (build("svae_plus", parts[0].copy()) for _ in range(2))
    assert np.array_equal(first.get_latent_representation(), second.get_latent_representation())


def test_rotated_ivae_is_ivae_seen_along_other_axes(parts):
    """Same seed, same training: latents and shifts are turned, with the control's shift left at 0."""
    dense, rotated = (build(name, parts[0].copy()) for name in ("ivae", "ivae_rotated"))
    first, second = (model.get_latent_representation()[:20] for model in (dense, rotated))
    assert not np.allclose(first, second, atol=1e-2)
    assert np.allclose(first @ first.T, second @ second.T, atol=1e-3)
    assert (rotated.get_shifts().loc["control"] == 0).all()
    before, after = (model.get_normalized_expression()[:20] for model in (dense, rotated))
    assert np.allclose(before, after, atol=1e-5)


def test_perturbations_without_training_cells_are_held_out(screen):
    adata = screen.copy()
    model = build("ivae", adata, epochs=0)
    cells = np.flatnonzero(adata.obs["perturbation"] != "p5")
    model.train(max_epochs=1, external_indexing=[cells, np.array([], dtype=int)])
    assert "p5" not in model.get_shifts().index


def test_classes_are_found_by_the_files_of_the_family():
    assert svae.SVAEPlus is model_class("svae_plus")
    assert svae.RotatedIVAE is model_class("ivae_rotated")
    assert {"vae", "beta_vae", "ivae", "ivae_rotated", "svae", "svae_plus"} <= set(FAMILY)
    with pytest.raises(BenchmarkError, match="did you mean 'svae_plus'"):
        model_class("svae_pls")
    with pytest.raises(AttributeError):
        _ = svae.NoSuchModel


def test_the_names_of_the_family_are_read_without_torch():
    program = "import sys, svae.models; assert svae.models.FAMILY; print('torch' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_the_rotated_ivae_keeps_its_axes_in_the_second_stage(parts):
    """With next to no step taken, the second stage must leave latents where the first one put them."""
    model = build("ivae_rotated", parts[0].copy())
    latents = model.get_latent_representation()
    model.refit(refit_epochs=1, refit_rate=1e-12)
    assert model.get_latent_representation() == pytest.approx(latents, abs=0.05)


def test_the_lightning_trainer_trains_too(parts):
    model = build("svae_plus", parts[0].copy(), epochs=0, preset="original")
    before = model.get_latent_representation() if model.is_trained else None
    model.train(max_epochs=2, trainer="lightning", accelerator="cpu")
    assert before is None
    assert model.is_trained
    assert np.isfinite(model.get_elbo())


@pytest.mark.parametrize(
    ("option", "value"),
    [("dense", 0.4), ("decay", 0.6), ("mask_travel", 20.0), ("matrix_learning_rate", 0.02), ("keep", "best")],
)
def test_the_lightning_trainer_refuses_what_it_cannot_do(parts, option, value):
    model = build("svae_plus", parts[0].copy(), epochs=0, preset="original")
    with pytest.raises(BenchmarkError, match=f"cannot honour {option}={value!r}"):
        model.train(max_epochs=1, trainer="lightning", accelerator="cpu", **{option: value})


def test_the_paper_preset_is_that_of_the_released_code(parts):
    model = build("svae_plus", parts[0].copy(), epochs=0, preset="original")
    plan = model.training_plan()
    assert (plan.learning_rate, plan.eps, plan.weight_decay) == (1e-3, 0.01, 1e-6)
    assert (plan.max_epochs, plan.warmup_epochs, plan.patience, plan.keep) == (300, 50, 45, "last")
    assert (plan.batch_size, plan.objective) == (128, "sum")
    assert model.module.dropout_rate == 0.1
    assert (model.module.prior.logit == 5).all()
    assert build("svae", parts[0].copy(), epochs=0, preset="original").training_plan().objective == "mean"


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            lambda m, a: type(m).setup_anndata(a, "perturbtion"),
            ["perturbtion", "did you mean 'perturbation'"],
        ),
        (lambda m, a: m.get_elbo(a[:, :5].copy()), ["var_names"]),
        (lambda m, a: m.get_elbo(_relabelled(a)), ["unknown batch 'z'"]),
        (lambda m, a: m.train(max_epochz=1), ["max_epochz", "did you mean 'max_epochs'"]),
        (lambda m, a: m.train(max_epochs=1, accelerator="cud"), ["accelerator", "'cud'"]),
        (lambda m, a: type(m)(a, preset="orignal"), ["orignal", "did you mean 'original'"]),
    ],
)
def test_bad_input_is_one_sentence(action, words, parts):
    adata = parts[0].copy()
    model = build("svae_plus", adata, epochs=1)
    with pytest.raises(BenchmarkError) as error:
        action(model, adata)
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words)


def _relabelled(adata: ad.AnnData) -> ad.AnnData:
    adata = adata.copy()
    adata.obs["lane"] = "z"
    return adata
