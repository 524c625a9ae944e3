"""A model's own targets are those that the benchmark scores."""

import numpy as np
import pandas as pd
import pytest

import svae
from svae.contracts.fit import Fit
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.evaluation.comparison import Comparison
from svae.simulation import simulate


@pytest.mark.parametrize("name", ["VAE", "IVAE"])
def test_a_model_and_the_benchmark_read_targets_by_one_rule(name):
    size = {"perturbations": 8, "latents": 3, "genes": 20, "hidden": 8, "cells_per_perturbation": 30}
    dataset = simulate("corrected", seed=0, control_cells=30, **size).dataset
    parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["p6", "p7"]), seed=0)
    seen = dataset[parts["part"].isin(["train", "validation"]).to_numpy()].copy()
    held_out = dataset[parts["part"].isin(["adapt", "test"]).to_numpy()].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    model_class = getattr(svae, name)
    model_class.setup_anndata(seen, "perturbation")
    model = model_class(seen, n_latent=3, n_hidden=16)
    model.train(max_epochs=3)
    own = model.get_targets()

    latents = model.get_latent_representation(dataset)
    fit = Fit(dataset.obs_names, latents=latents, shifts=model.get_shifts())
    scored = Comparison(fit, parts, truth=None, seed=0).targets
    assert sorted(scored.index) == [f"p{k}" for k in range(6)]
    pd.testing.assert_frame_equal(own.loc[scored.index], scored, check_names=False, rtol=1e-4, atol=1e-6)
    assert np.ptp(scored.to_numpy()) > 0.01  # there is something to compare

    model.adapt(held_out)  # a perturbation that was not trained does not bear on the others
    pd.testing.assert_frame_equal(model.get_targets(), own)
