import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.errors import BenchmarkError
from svae.methods import linear
from svae.methods.linear import fit_linear, pca_solver


def screen(n_genes, n_cells=60):
    """Counts that follow three latents, and a split of them."""
    random = np.random.default_rng(0)
    log_mean = random.normal(size=(n_cells, 3)) @ random.normal(size=(3, n_genes))
    labels = pd.Categorical(np.resize(["control", "A", "B", "C"], n_cells))
    obs = pd.DataFrame({"perturbation": labels}, index=[f"cell{i}" for i in range(n_cells)])
    dataset = ad.AnnData(sparse.csr_matrix(random.poisson(3 * np.exp(0.3 * log_mean))), obs=obs)
    return dataset, split(obs["perturbation"], SplitPlan(kind="named", held_out=["C"]), seed=0)


def fit(method, data, n_latent, **options):
    return fit_linear(method, *data, Setting("s", 1, {"n_latent": n_latent} | options))


@pytest.mark.parametrize(
    ("shape", "solver"),
    [
        ((1000, 2000), "covariance_eigh"),
        ((2000, 20_000), "arpack"),
        ((15, 20_000), "full"),
    ],
)
def test_the_solver_of_pca_follows_from_the_shape(shape, solver):
    assert pca_solver(15, *shape) == solver


def test_both_solvers_of_pca_find_the_same_components(monkeypatch):
    data = screen(n_genes=40)
    of_few = fit("pca", data, 3)
    monkeypatch.setattr(linear, "FEW_GENES", 10)
    of_many = fit("pca", data, 3)
    assert of_many.latents == pytest.approx(of_few.latents, abs=1e-3)
    assert of_few.latents == pytest.approx(fit("pca", data, 3, svd_solver="covariance_eigh").latents, abs=0)


@pytest.mark.parametrize("method", ["pca", "ica"])
@pytest.mark.parametrize(("n_genes", "n_latent"), [(5, 6), (100, 60)])
def test_more_latents_than_genes_or_cells_are_told_in_the_fit(method, n_genes, n_latent):
    result = fit(method, screen(n_genes), n_latent)
    assert result.run.status == "failed"
    assert f"{n_latent} latents of 45 cells to fit and {n_genes} genes" in result.run.message


def test_lanczos_steps_find_all_components_but_the_last():
    data = screen(n_genes=5)
    assert fit("pca", data, 5, svd_solver="arpack").run.status == "failed"
    assert fit("pca", data, 4, svd_solver="arpack").run.status == "ok"


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"whitten": True}, "did you mean 'whiten'"),
        ({"whiten": None}, "whiten"),
        ({"tol": -1}, "tol: .*-1"),
        ({"tol": 0.1}, "'tol' does nothing unless svd_solver is 'arpack'"),
    ],
)
def test_options_of_scikit_learn_are_checked(option, said):
    with pytest.raises(BenchmarkError, match=f"method 'pca', setting 's': .*{said}"):
        fit("pca", screen(n_genes=20), 2, **option)
