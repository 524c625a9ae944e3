"""Which genes perturbations and latents move by a trained model of the family."""

import numpy as np
import pandas as pd
import pytest
import scvi
import torch

from svae.differential import called
from svae.errors import BenchmarkError
from svae.models import model_class
from svae.simulation import simulate


@pytest.fixture(scope="module")
def model():
    """A model of a screen in which ``copy`` is what the control is, and the others are shifted far."""
    size = {"perturbations": 3, "cells_per_perturbation": 40, "control_cells": 80}
    dataset = simulate("screen", seed=0, latents=3, genes=20, hidden=8, **size).dataset
    labels = dataset.obs["perturbation"].astype(str)
    control = np.flatnonzero(labels == "control")
    labels.iloc[control[::2]] = "copy"
    dataset.obs["perturbation"] = pd.Categorical(labels)
    class_ = model_class("ivae")
    class_.setup_anndata(dataset, "perturbation")
    scvi.settings.seed = 0
    model = class_(dataset, n_latent=3, n_hidden=16)
    model.train(max_epochs=60, batch_size=32, seed=0)
    return model


def test_the_genes_of_a_perturbation_move_and_those_of_a_second_control_do_not(model):
    found = model.get_differential_genes()
    assert found["perturbation"].drop_duplicates().tolist() == ["copy", "p0", "p1", "p2"]
    calls = found.groupby("perturbation")["called"].mean()
    assert calls["copy"] < 0.2
    assert calls.drop("copy").min() > 0.3
    by_gene = found.pivot(index="perturbation", columns="gene", values="probability")
    same = found.pivot(index="perturbation", columns="gene", values="called")
    pd.testing.assert_frame_equal(called(by_gene), same)
    sure = found[found["called"] & (found["probability"] > 0.9)]
    assert sure["log2_fold_change"].abs().gt(0.25).all(), "the median of what is mostly beyond is beyond"


def test_equal_seeds_give_equal_genes(model):
    pd.testing.assert_frame_equal(model.get_differential_genes(seed=3), model.get_differential_genes(seed=3))
    assert not model.get_differential_genes(seed=3).equals(model.get_differential_genes(seed=4))


def test_a_larger_change_is_less_probable(model):
    small, large = (model.get_gene_changes(delta)[0] for delta in (0.25, 1.0))
    assert (large <= small).all(axis=None)
    assert (large < small).any(axis=None)


def test_a_latent_that_the_decoder_does_not_read_moves_no_gene(model):
    first = model.module.decoder.linear[0].weight
    kept = first.detach().clone()
    with torch.no_grad():
        first[:, 1] = 0
    found = model.get_genes_of_latents(step=2).set_index("latent")
    with torch.no_grad():
        first.copy_(kept)
    assert set(found.index) == {"z1", "z2", "z3"}
    assert not found.loc["z2", "called"].any()
    assert found.loc["z2", "log2_fold_change"].abs().max() < 1e-5
    assert found.loc[["z1", "z3"], "called"].any()


def test_without_control_cells_there_is_nothing_to_compare_with(model):
    perturbed = model.adata[model.adata.obs["perturbation"] != "control"].copy()
    perturbed.obs["perturbation"] = perturbed.obs["perturbation"].cat.remove_unused_categories()
    class_ = type(model)
    class_.setup_anndata(perturbed, "perturbation")
    other = class_(perturbed, n_latent=3, n_hidden=16)
    other.train(max_epochs=1, seed=0)
    with pytest.raises(BenchmarkError, match="trained on no cells of 'control'"):
        other.get_differential_genes()


@pytest.mark.parametrize(("argument", "value"), [("fdr", 0), ("fdr", 1.5), ("delta", -1), ("seed", 0.5)])
def test_an_argument_out_of_range_is_told(model, argument, value):
    with pytest.raises(BenchmarkError, match=f"{argument} is {value}"):
        model.get_differential_genes(**{argument: value})
