"""What the model classes say of arguments and data that make no sense: one sentence, and never a model."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import svae
from svae.errors import BenchmarkError
from svae.models import FAMILY, model_class

GENES = [f"gene{j}" for j in range(12)]
SMALL = {"n_latent": 2, "n_hidden": 8}


@pytest.fixture
def screen():
    random = np.random.default_rng(0)
    obs = pd.DataFrame(
        {"guide": np.resize(["control", "A", "B"], 60), "lane": np.resize(["L1", "L2"], 60)},
        index=[f"cell{i}" for i in range(60)],
    ).astype("category")
    counts = sparse.csr_matrix(random.poisson(4.0, size=(60, len(GENES))) + 1.0)
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=GENES))


def build(screen, name="svae_plus", batch_key=None, layer=None, **options):
    model_class(name).setup_anndata(screen, "guide", batch_key=batch_key, layer=layer)
    return model_class(name)(screen, **SMALL | options)


def trained(screen, name="svae_plus", **options):
    torch.manual_seed(0)
    model = build(screen, name, **options)
    model.train(max_epochs=1, accelerator="cpu")
    return model


def sentence(action, *words):
    with pytest.raises(BenchmarkError) as caught:
        action()
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400
    for word in words:
        assert word in said, said


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("svae_plus", {"penalti": 3}, ["SVAEPlus", "unknown argument 'penalti'", "did you mean 'penalty'"]),
        ("vae", {"penalty": 3}, ["VAE", "unknown argument 'penalty'"]),
        ("vae", {"initial_logit": 3}, ["VAE", "initial_logit", "no masks"]),
        ("beta_vae", {"betta": 3}, ["BetaVAE", "unknown argument 'betta'", "did you mean 'beta'"]),
        ("svae_plus", {"penalty": 0}, ["SVAEPlus: penalty", "greater than 0", "found: 0"]),
        ("svae", {"penalty": -1}, ["SVAE: penalty", "greater than or equal to 0"]),
        ("svae_plus", {"penalty": float("nan")}, ["SVAEPlus: penalty", "finite"]),
        ("ivae", {"n_latent": 0}, ["IVAE: n_latent", "greater than 0"]),
        ("ivae", {"n_latent": 2.5}, ["IVAE: n_latent", "2.5"]),
        ("ivae", {"n_layers": 0}, ["IVAE: n_layers", "greater than 0"]),
        ("ivae", {"n_hidden": -1}, ["IVAE: n_hidden", "greater than 0"]),
        ("ivae", {"beta": -1}, ["IVAE: beta", "greater than or equal to 0"]),
        ("ivae", {"dropout_rate": 1}, ["IVAE: dropout_rate", "less than 1"]),
        ("ivae", {"preset": "tunde"}, ["IVAE: preset", "did you mean 'tuned'"]),
        ("ivae", {"control": "contrl"}, ["IVAE", "unknown control 'contrl'", "did you mean 'control'"]),
        ("ivae", {"control": 1}, ["IVAE", "unknown control '1'"]),
    ],
)
def test_arguments_of_models(screen, name, options, words):
    sentence(lambda: build(screen, name, **options), *words)


def test_a_label_that_is_a_number_may_be_the_control(screen):
    screen.obs["guide"] = pd.Categorical(np.resize([0, 1, 2], 60))
    model = trained(screen, control=0)
    assert (model.get_shifts().loc["0"] == 0).all()


def test_the_control_need_not_occur_where_none_is_named(screen):
    screen.obs["guide"] = screen.obs["guide"].cat.rename_categories({"control": "C"})
    assert set(trained(screen).get_shifts().index) == {"A", "B", "C"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"trainer": "lightening"}, ["unknown trainer 'lightening'", "did you mean 'lightning'"]),
        ({"train_size": 2}, ["train_size is 2"]),
        ({"train_size": 0}, ["train_size is 0"]),
        ({"train_size": 0.01}, ["1 of 60 cells to train on, but 2 are needed"]),
        ({"max_epochz": 1}, ["unknown argument 'max_epochz'", "did you mean 'max_epochs'"]),
        ({"max_epochs": 0}, ["max_epochs", "greater than 0"]),
        ({"learning_rate": -1}, ["learning_rate", "greater than 0"]),
        ({"batch_size": 1}, ["batch_size", "greater than or equal to 2"]),
        ({"refit_epochs": 3}, ["train", "unknown argument 'refit_epochs'"]),
        ({"accelerator": "cud"}, ["accelerator", "'cud'", "did you mean 'cud"]),
        ({"accelerator": "cud", "trainer": "lightning"}, ["accelerator", "'cud'"]),
        ({"external_indexing": [[0, 1, 99], []]}, ["external_indexing", "there is no cell 99", "60 cells"]),
        ({"external_indexing": [[0, 1]]}, ["external_indexing", "validation cells"]),
        ({"external_indexing": [[0, 1, 2], [2, 3]]}, ["external_indexing has cell 2 in training and in"]),
        ({"external_indexing": [[0, 1, 59], [-1]]}, ["external_indexing has cell 59 in training and in"]),
        ({"external_indexing": [[0, 1, 1], [2]]}, ["external_indexing has cell 1 twice"]),
        ({"external_indexing": [[0, 1], [2], [3]]}, ["external_indexing has more than training and"]),
        ({"external_indexing": [[0, [1, 2]], [3]]}, ["external_indexing", "whole numbers"]),
        ({"external_indexing": 5}, ["external_indexing needs the indices"]),
        ({"train_size": "half"}, ["train_size is 'half'"]),
        ({"train_size": 1.0, "patience": 3}, ["train: patience looks at validation cells"]),
        ({"train_size": 1.0, "keep": "best"}, ["train: keep looks at validation cells"]),
        ({"external_indexing": [[], [0]]}, ["0 of 60 cells to train on"]),
        ({"external_indexing": [[0.5, 1.5], []]}, ["external_indexing", "whole numbers"]),
    ],
)
def test_arguments_of_training(screen, options, words):
    model = build(screen)
    sentence(lambda: model.train(**{"max_epochs": 1, "accelerator": "cpu"} | options), *words)
    assert not model.is_trained


@pytest.mark.parametrize("option", ["max_epochs", "warmup_epochs", "dense", "mask_travel"])
def test_the_second_stage_ignores_nothing(screen, option):
    model = trained(screen)
    sentence(lambda: model.refit(**{option: 1}), "refit", f"unknown argument '{option}'")


def test_a_second_stage_without_validation_cells_has_nothing_to_be_patient_about(screen):
    model = build(screen, preset="original")
    model.train(max_epochs=1, accelerator="cpu", train_size=1.0)
    sentence(lambda: model.refit(refit_epochs=1, patience=3), "refit: patience looks at validation cells")


@pytest.mark.parametrize("trainer", ["fleet", "lightning"])
def test_a_training_that_diverged_raises_and_leaves_no_model(screen, trainer):
    model = build(screen, preset="original")
    with torch.no_grad():
        model.module.log_dispersion.fill_(float("nan"))
    train = {"max_epochs": 2, "accelerator": "cpu", "trainer": trainer, "train_size": 1.0}
    sentence(
        lambda: model.train(**train), "train: the loss of SVAEPlus became NaN", "learning_rate below 0.001"
    )
    assert not model.is_trained
    with pytest.raises(RuntimeError):
        model.get_targets()


def test_a_second_stage_that_diverged_raises_and_leaves_no_model(screen):
    model = trained(screen)
    sentence(
        lambda: model.refit(refit_epochs=3, learning_rate=1e12), "refit: the loss of SVAEPlus became NaN"
    )
    assert not model.is_trained


def without(column):
    def spoil(screen):
        screen.obs.loc["cell3", column] = np.nan

    return spoil


def with_count(value):
    def spoil(screen):
        screen.X[3, 2] = value

    return spoil


def empty_cell(screen):
    counts = screen.X.toarray()
    counts[4] = 0
    screen.X = counts


DEFECTS = [
    (without("guide"), {}, ["adata.obs['guide']: 1 of 60 cells have no label"]),
    (without("lane"), {"batch_key": "lane"}, ["adata.obs['lane']: 1 of 60 cells have no label"]),
    (with_count(np.nan), {}, ["adata: X holds NaN"]),
    (with_count(-1), {}, ["adata: X holds negative"]),
    (with_count(0.5), {}, ["adata: X holds fractions"]),
    (empty_cell, {}, ["adata: cell 'cell4' has no counts"]),
]


@pytest.mark.parametrize(("spoil", "options", "words"), DEFECTS)
def test_data_that_no_model_can_be_built_on(screen, spoil, options, words):
    spoil(screen)
    sentence(lambda: build(screen, **options), *words)


@pytest.mark.parametrize(("spoil", "options", "words"), DEFECTS)
def test_data_that_no_model_can_be_asked_about(screen, spoil, options, words):
    model = trained(screen.copy(), **options)
    spoil(screen)
    sentence(lambda: model.get_elbo(screen), *words)


def test_missing_layers_and_empty_data(screen):
    sentence(lambda: build(screen, layer="count"), "adata.layers: unknown layer 'count'")
    screen.layers["counts"] = screen.X.copy()
    model = trained(screen, layer="counts")
    del screen.layers["counts"]
    sentence(lambda: model.get_elbo(screen[:5].copy()), "unknown layer 'counts'")
    sentence(lambda: build(screen[:0].copy()), "adata: is empty (0 cells")


def test_data_of_another_type(screen):
    said = "an AnnData is needed, but this is of type"
    sentence(lambda: svae.SVAE.setup_anndata(pd.DataFrame(), "guide"), f"{said} DataFrame")
    sentence(lambda: trained(screen).get_elbo("screen.h5ad"), f"{said} str")


def test_arguments_of_the_setup(screen):
    sentence(
        lambda: svae.SVAE.setup_anndata(screen, "guide", batchkey="lane"),
        "setup_anndata: unknown argument 'batchkey', did you mean 'batch_key'",
    )
    sentence(lambda: build(screen, batch_key="guide"), "batch_key: 'guide' is the column of perturbations")


def test_one_cell(screen):
    model = trained(screen)
    assert model.get_latent_representation(screen[:1].copy()).shape == (1, 2)
    alone = build(screen[:1].copy())
    sentence(
        lambda: alone.train(max_epochs=1, accelerator="cpu"), "1 of 1 cells to train on, but 2 are needed"
    )


@pytest.mark.parametrize(
    ("indices", "words"),
    [
        ([], ["indices: no cell is chosen"]),
        ([60], ["indices: there is no cell 60"]),
        ([0.5], ["indices", "whole numbers"]),
        ([True, False], ["indices", "one boolean for each of the 60 cells"]),
    ],
)
def test_indices(screen, indices, words):
    model = trained(screen)
    for ask in (model.get_latent_representation, model.get_elbo, model.get_normalized_expression):
        sentence(lambda ask=ask: ask(indices=indices), *words)


def test_a_mask_of_cells_are_indices_too(screen):
    model, chosen = trained(screen), np.arange(60) % 7 == 0
    by_mask = model.get_normalized_expression(indices=chosen)
    pd.testing.assert_frame_equal(by_mask, model.get_normalized_expression(indices=np.flatnonzero(chosen)))


@pytest.mark.parametrize("seed", ["a", -1, 0.5, True, 2**63])
def test_seeds(screen, seed):
    untrained, model = build(screen), trained(screen)
    said = f"seed is {seed!r}, but must be a whole number from 0 to {2**63 - 1}"
    sentence(lambda: untrained.train(max_epochs=1, accelerator="cpu", seed=seed), f"train: {said}")
    sentence(lambda: model.refit(refit_epochs=1, accelerator="cpu", seed=seed), f"refit: {said}")
    sentence(lambda: model.get_elbo(seed=seed), f"get_elbo: {said}")
    sentence(lambda: model.get_marginal_ll(seed=seed), f"get_marginal_ll: {said}")


@pytest.mark.parametrize("seed", [2**63 - 1, np.int64(3)])
def test_every_other_seed_is_one(screen, seed):
    model = build(screen)
    model.train(max_epochs=1, accelerator="cpu", seed=seed)
    model.refit(refit_epochs=1, accelerator="cpu", seed=seed)
    assert np.isfinite([model.get_elbo(seed=seed), model.get_marginal_ll(n_mc_samples=2, seed=seed)]).all()


def test_numbers_of_questions(screen):
    model = trained(screen)
    for number in (0, True, 2.0, 10**12):
        sentence(
            lambda n=number: model.get_marginal_ll(n_mc_samples=n), f"n_mc_samples is {number}", "from 1"
        )
    for library_size in (0, "latent", True):
        sentence(
            lambda size=library_size: model.get_normalized_expression(library_size=size), "library_size is"
        )


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, np.asarray])
def test_every_kind_of_matrix_gives_the_same_model(screen, kind):
    expected = trained(screen.copy()).get_latent_representation()
    screen.X = kind(screen.X.toarray())
    assert trained(screen).get_latent_representation() == pytest.approx(expected, abs=1e-5)
    model = build(screen, preset="original")
    model.train(max_epochs=1, accelerator="cpu", trainer="lightning")
    assert model.is_trained


@pytest.mark.parametrize(
    ("genes", "words"),
    [
        (GENES[::-1], ["in another order"]),
        ([*GENES[:-1], "gene99"], ["such as 'gene99'"]),
        (GENES[:-1], ["there are 11 instead of 12"]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_a_saved_model_is_not_loaded_with_other_genes(screen, tmp_path, genes, words):
    trained(screen).save(tmp_path / "model")
    other = screen[:, : len(genes)].copy()
    other.var_names = genes
    sentence(lambda: svae.SVAEPlus.load(tmp_path / "model", other), "var_names are not the genes", *words)


@pytest.mark.parametrize("name", FAMILY)
def test_a_saved_model_is_loaded_with_its_arguments(screen, tmp_path, name):
    model = trained(screen, name, control="A", beta=2.0)
    model.save(tmp_path / "model")
    loaded = model_class(name).load(tmp_path / "model", screen)
    assert loaded.control_ == "A"
    assert float(loaded.module.beta) == 2.0
