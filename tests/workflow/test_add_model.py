"""docs/add-a-model-class.md, followed to the letter."""

import pytest
from checkout import TINY, Checkout
from pages import Page

PAGE = Page("add-a-model-class.md")
[SCOPE] = PAGE.scopes()
[METHOD] = SCOPE["methods"]

FIT = """
import numpy as np
import svae
from svae.contracts.fit import read, write
from svae.contracts.setting import Setting
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split
from svae.methods.grid import fit_grid
from svae.models import FAMILY, model_class
from svae.simulation import simulate

assert "lasso_ivae" in FAMILY
assert model_class("lasso_ivae") is svae.LassoIVAE
size = {"perturbations": 6, "latents": 3, "genes": 20, "hidden": 8, "cells_per_perturbation": 30}
dataset, _ = simulate("lopez2023", **size)
parts = split(dataset.obs["perturbation"], SplitPlan(kind="named", held_out=["p4", "p5"]), seed=0)
short = {"n_latent": 3, "n_hidden": 16, "max_epochs": 15, "refit_epochs": 1}
settings = [Setting(f"penalty={s}", 1, short | {"penalty": s}) for s in (0.0, 1e4)]
fits = fit_grid(svae.LassoIVAE, dataset, parts, settings, likelihood_samples=10, accelerator="cpu")
for setting in settings:
    write(fits[setting.name], "fit.h5ad")
    assert read("fit.h5ad", dataset.obs_names).run.status == "ok"
free, drawn = (np.abs(fits[setting.name].shifts.to_numpy()).mean() for setting in settings)
assert drawn < free - 0.02, (free, drawn)
"""


@pytest.fixture(scope="module")
def extended(tmp_path_factory) -> Checkout:
    """A copy of the repository to which the page's model class is added."""
    checkout = Checkout.create(tmp_path_factory.mktemp("model") / "repository")
    PAGE.follow(checkout.path)
    return checkout


def test_page_touches_one_file():
    assert PAGE.files == [f"svae/models/family/{METHOD}.py"]


def test_it_is_written_as_the_others_are(extended):
    extended.check_style(PAGE.files)


def test_it_trains_and_keeps_the_contract(extended):
    extended.python(FIT)


def test_its_options_are_checked_when_a_scope_is_read(extended):
    scope = {**TINY, "methods": SCOPE["methods"], "reference": METHOD}
    assert extended.what_is_wrong(scope) == ""
    for penalty, said in ((-1, "greater than or equal to 0"), ("much", "a valid number")):
        scope["methods"] = {METHOD: {"grid": {"penalty": [1, penalty]}}}
        assert f"methods: {METHOD}: grid: penalty: input should be {said}" in extended.what_is_wrong(scope)


@pytest.mark.workflow
def test_its_rule_is_planned(extended):
    extended.write_scope({**TINY, "methods": {**SCOPE["methods"], "pca": None}, "reference": "pca"})
    said = extended.snakemake("tiny", "--dry-run", "--quiet", "rules")
    assert f"fit_{METHOD}" in said
