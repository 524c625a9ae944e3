"""Which numbers are equal to the bit, as docs/reproducibility.md says; as far as processors can tell."""

import os

import numpy as np
import pytest
import torch

import svae
from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.methods.grid import fit_grid
from svae.simulation import simulate
from svae.workflow.arithmetic import CUBLAS, CUDNN, arithmetic, fix_arithmetic

SHORT = {"n_latent": 3, "n_hidden": 16, "max_epochs": 3, "refit_epochs": 1, "penalty": 2.0}
SETTINGS = [Setting("a", 1, SHORT), Setting("b", 2, SHORT)]


@pytest.fixture
def arithmetic_as_it_was():
    """Put back what the tests here change."""
    threads, environment = torch.get_num_threads(), dict(os.environ)
    cudnn = {name: getattr(torch.backends.cudnn, name) for name in CUDNN}
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(False)
    for name, value in cudnn.items():
        setattr(torch.backends.cudnn, name, value)
    os.environ.clear()
    os.environ.update(environment)


def latents(threads, settings=SETTINGS):
    """Fit some settings on so many threads; return the latents of the first."""
    fix_arithmetic(threads)
    dataset = simulate(
        "lopez2023", seed=0, perturbations=6, latents=3, genes=200, hidden=8, cells_per_perturbation=60
    ).dataset
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["p4"]), seed=0)
    fits = fit_grid(svae.SVAEPlus, dataset, parts, settings, likelihood_samples=5, accelerator="cpu")
    return fits["a"].latents


def test_numbers_are_equal_with_equal_threads_and_close_with_others(arithmetic_as_it_was):
    one = latents(1)
    np.testing.assert_array_equal(latents(1), one)
    np.testing.assert_allclose(latents(2), one, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(latents(1, SETTINGS[:1]), one, rtol=1e-3, atol=1e-4)


def test_what_is_fixed_is_what_the_manifest_says(arithmetic_as_it_was):
    fix_arithmetic(2)
    assert torch.get_num_threads() == 2
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == CUBLAS["CUBLAS_WORKSPACE_CONFIG"]
    told = arithmetic()
    for name in CUDNN:
        assert str(getattr(torch.backends.cudnn, name)) == told[f"cudnn.{name}"]
    assert not torch.backends.cuda.matmul.allow_tf32
    assert torch.are_deterministic_algorithms_enabled() == torch.cuda.is_available()
