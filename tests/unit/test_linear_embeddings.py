"""The linear baseline: embeddings of genes say what perturbing them does."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from test_splits import plan

from svae.contracts.setting import Setting
from svae.contracts.split import held_out_cells
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.expression import profile, pseudobulk
from svae.methods.linear_embeddings import fit_linear_embeddings

GENES = pd.Index([f"g{j}" for j in range(40)])
SETTING = Setting("default", seed=1, options={"n_latent": 3})


def drawn(perturbed=GENES[:20], genes=GENES, seed=0):
    """A screen in which the effect of a perturbation is linear in the two-dimensional place of its gene."""
    random = np.random.default_rng(seed)
    places = random.normal(size=(len(GENES), 2))
    effects = places[:20] @ np.array([[0.9, 0.4], [-0.5, 0.7]]) @ places.T * 0.3
    labels = np.repeat(perturbed, 30)
    means = 50 * np.exp(np.repeat(effects, 30, axis=0))
    obs = pd.DataFrame(
        {"perturbation": pd.Categorical(labels)}, index=[f"cell{i}" for i in range(len(labels))]
    )
    return ad.AnnData(sparse.csr_matrix(random.poisson(means)), obs=obs, var=pd.DataFrame(index=genes))


def halves(dataset, *held_out):
    return split(dataset.obs["perturbation"], plan("named", list(held_out)), 0)


def errors(dataset, parts, fit):
    """Mean squared errors of the prediction, and of the mean of the trained perturbations."""
    real = profile(pseudobulk(dataset, dataset.obs["perturbation"].astype(str)))
    held_out = held_out_cells(parts).unique()
    mean = real.drop(index=held_out).mean()
    predicted = fit.predictions["zero_shot"].loc[held_out]
    return [((guess - real.loc[held_out]) ** 2).mean(axis=None) for guess in (predicted, mean)]


def test_effects_that_are_linear_in_embeddings_are_predicted():
    dataset = drawn()
    parts = halves(dataset, "g3", "g7", "g12")
    fit = fit_linear_embeddings(dataset, parts, SETTING)
    of_fit, of_mean = errors(dataset, parts, fit)
    assert of_fit < 0.2 * of_mean
    assert list(fit.predictions["zero_shot"].columns) == list(dataset.var_names)


def test_a_perturbation_of_no_measured_gene_is_predicted_as_the_mean():
    names = GENES[:20].to_numpy(dtype=object)
    names[5] = "elsewhere"
    dataset = drawn(pd.Index(names))
    fit = fit_linear_embeddings(dataset, halves(dataset, "g3", "elsewhere"), SETTING)
    profiles = profile(pseudobulk(dataset, dataset.obs["perturbation"].astype(str)))
    mean = profiles.drop(index=["g3", "elsewhere"]).mean()
    found = fit.predictions["zero_shot"]
    np.testing.assert_allclose(found.loc["elsewhere"], mean, rtol=1e-6)
    assert not np.allclose(found.loc["g3"], mean, rtol=1e-2)


@pytest.mark.parametrize(
    ("perturbed", "said"),
    [
        ([f"p{k}" for k in range(20)], "0 trained perturbations are called after measured genes"),
        (["p0", *GENES[1:20]], "no held-out perturbation is called after a measured gene"),
    ],
)
def test_it_does_not_apply_without_the_perturbed_genes(perturbed, said):
    dataset = drawn(pd.Index(perturbed))
    run = fit_linear_embeddings(dataset, halves(dataset, "p0"), SETTING).run
    assert (run.status, said in run.message) == ("not_applicable", True)


def test_options_are_checked():
    dataset = drawn()
    with pytest.raises(BenchmarkError, match=r"setting 's': .*did you mean 'ridge'"):
        fit_linear_embeddings(dataset, halves(dataset, "g3"), Setting("s", 1, {"rigde": 1.0}))
