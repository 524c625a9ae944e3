"""What is asked of every method that has a rule or a model class, run by the program of its rule."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import METHODS, ROOT
from programs import options_for, rule_of, run_program

from svae.contracts.dataset import read_dataset, write_dataset
from svae.contracts.fit import Fit, read, validate, write
from svae.contracts.setting import Setting
from svae.contracts.split import combinations_of_trained, read_split, write_split
from svae.contracts.truth import write_truth
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.evaluation.comparison import Comparison
from svae.report.methods_table import read_methods
from svae.simulation import simulate

TABLE = read_methods(ROOT / "config" / "methods.tsv")
ANCHORS = set(TABLE.index[TABLE["anchor"]])
SIZES = {"perturbations": 6, "combinations": 2, "cells_per_perturbation": 20, "control_cells": 30}
PERTURBED = [f"p{k}" for k in range(6)]
"""Perturbations are called after genes, as some methods need."""
HELD_OUT = ["p1+p2", "p5"]
GENE_SETS = {"one": ["p0", "p1", "p5"], "another": ["p2", "p3", "p4"]}
LATENTS = 2
ROUNDING = {"latent_modes": 0.1}
"""Cells are worked on together, in single precision: counts of one round the numbers of another. A mode is
searched for until a step promises no more than 0.1 nats, so that rounding can take one step more."""
SAMPLING = 0.5
"""Nats; likelihoods are estimated by samples that cells share, so counts of one move those of another."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, Path]:
    """The files that a rule hands to a method; in ``other``, every second test cell has other counts."""
    dataset, truth = simulate("screen", seed=0, latents=LATENTS, genes=15, hidden=6, **SIZES)
    split = split_dataset(dataset, SplitPlan(kind="named", held_out=HELD_OUT), seed=0)
    dataset.var_names = [*PERTURBED, *dataset.var_names[len(PERTURBED) :]]
    other = dataset.copy()
    changed = np.flatnonzero(split["part"] == "test")[::2]
    other.X[changed] = np.random.default_rng(0).poisson(20, (len(changed), dataset.n_vars)) + 1
    folders = {}
    for name, counts in (("dataset", dataset), ("other", other)):
        folders[name] = tmp_path_factory.mktemp(name)
        write_dataset(counts, folders[name] / "dataset.h5ad")
        write_split(split, folders[name] / "split.tsv.gz", dataset.obs["perturbation"])
        write_truth(truth, folders[name] / "truth.h5ad")
        (folders[name] / "gene_sets.json").write_text(json.dumps(GENE_SETS), encoding="utf-8")
    return folders


def fit(method: str, folder: Path, patch: pytest.MonkeyPatch, seed: int = 1) -> Fit:
    setting = Setting("s", seed, {"n_latent": LATENTS, **options_for(method, folder)})
    return run_program(method, folder, setting, patch)


@pytest.fixture(scope="module")
def first(folders):
    """Return the fit of a method, made once."""
    return made_once(folders["dataset"])


@pytest.fixture(scope="module")
def other(folders):
    """Return its fit where every second test cell has other counts, made once."""
    return made_once(folders["other"])


def made_once(folder: Path) -> Callable[[str], Fit]:
    @cache
    def fit_of(method: str) -> Fit:
        with pytest.MonkeyPatch.context() as patch:
            return fit(method, folder, patch)

    return fit_of


def test_every_method_that_the_table_lists_has_a_rule():
    assert set(TABLE.index) <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_a_fit_keeps_the_contract(method, folders, first, tmp_path):
    made, folder = first(method), folders["dataset"]
    dataset = read_dataset(folder / "dataset.h5ad")
    split = read_split(folder / "split.tsv.gz", dataset.obs["perturbation"])
    assert (made.run.status, made.run.setting, made.run.seed) == ("ok", "s", 1)
    validate(made, "fit", dataset.obs_names, dataset.var_names)
    write(made, tmp_path / "fit.h5ad")
    found = read(tmp_path / "fit.h5ad", dataset.obs_names)
    Comparison(found, split, None, 0).check_rows()
    if found.shifts is not None and method not in ANCHORS:
        assert found.shifts.index.is_unique
        assert set(HELD_OUT) <= set(found.shifts.index), "shifts adapted to their cells"
    for basis, table in (found.predictions or {}).items():
        predicted = combinations_of_trained(split) if basis == "combination" else HELD_OUT
        assert sorted(table.index) == sorted(predicted), basis


@pytest.mark.parametrize("method", METHODS)
def test_equal_seeds_give_equal_numbers(method, folders, first, monkeypatch):
    again = fit(method, folders["dataset"], monkeypatch)
    before, after = parts_of(first(method)), parts_of(again)
    assert before.keys() == after.keys()
    for name, table in before.items():
        pd.testing.assert_frame_equal(table, after[name], check_exact=True, obj=name)


@pytest.mark.parametrize("method", METHODS)
def test_counts_of_test_cells_are_not_read(method, folders, first, other):
    """But for what is said of these cells themselves."""
    dataset = read_dataset(folders["dataset"] / "dataset.h5ad")
    split = read_split(folders["dataset"] / "split.tsv.gz", dataset.obs["perturbation"])
    made = first(method), other(method)
    before, after = (not_of_test_cells(parts_of(fit), split) for fit in made)
    assert before.keys() == after.keys()
    for name, table in before.items():
        rounding = ROUNDING.get(name, 1e-5)
        pd.testing.assert_frame_equal(table, after[name], rtol=rounding, atol=rounding, obj=name)


@pytest.mark.parametrize("method", METHODS)
def test_a_clean_likelihood_does_not_know_other_test_cells(method, folders, first, other):
    before, after = first(method).scores, other(method).scores
    if before is None or "log_likelihood_clean" not in before:
        return
    counts = [read_dataset(folders[name] / "dataset.h5ad").to_df() for name in ("dataset", "other")]
    same = (counts[0] == counts[1]).all(axis=1).to_numpy()
    clean = [scores["log_likelihood_clean"].to_numpy()[same] for scores in (before, after)]
    assert np.isfinite(clean[0]).sum() >= 10
    np.testing.assert_allclose(*clean, atol=SAMPLING)


@pytest.mark.parametrize("method", sorted(set(METHODS) - ANCHORS))
def test_no_rule_but_that_of_an_anchor_asks_for_the_truth(method):
    assert "truth" not in rule_of(method).lower()


def parts_of(fit: Fit) -> dict[str, pd.DataFrame]:
    """All numbers of a fit, as tables."""
    tables = {
        "latents": None if fit.latents is None else pd.DataFrame(fit.latents, fit.cells),
        "latent_modes": None if fit.latent_modes is None else pd.DataFrame(fit.latent_modes, fit.cells),
        "scores": fit.scores,
        "targets": fit.targets,
        "shifts": fit.shifts,
        "history": fit.history,
        "selection": pd.Series(fit.selection, dtype=float).to_frame(),
        **{f"predictions {basis}": table for basis, table in (fit.predictions or {}).items()},
        **{f"differential {name}": table for name, table in (fit.differential or {}).items()},
        **{f"latent genes {name}": table for name, table in (fit.latent_genes or {}).items()},
    }
    for basis, cells in (fit.generated or {}).items():
        tables[f"generated {basis}"] = pd.DataFrame(cells.counts.toarray(), cells.perturbation)
    return {name: table for name, table in tables.items() if table is not None}


def not_of_test_cells(parts: dict[str, pd.DataFrame], split: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The same parts without the rows of test cells.

    Scores are left out: all are of held-out cells, and the samples that they are estimated by are shared with
    the protocol that adapts to the scored cells.
    """
    tested = split["cell"][split["part"] == "test"]
    return {
        name: table.drop(index=tested, errors="ignore") for name, table in parts.items() if name != "scores"
    }
