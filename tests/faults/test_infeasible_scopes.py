"""What cannot be done, or does nothing, is told before the first job, as far as the config file tells."""

import pytest
from checkout import ROOT, TINY
from test_config_errors import changed, check, real, refused_in_one_sentence

from svae.datasets.gene_lists import read_gene_lists
from svae.errors import BenchmarkError
from svae.workflow.paths import HDF5

GENE_LISTS = "config/replogle2022_gene_lists.json"


def method(name: str, **entry: object) -> dict:
    """Return the tiny scope with options or a grid of one method."""
    return changed(f"methods/{name}", entry)


def split(**plan: object) -> dict:
    """Return the tiny scope, whose simulator draws p0 to p9, with another split."""
    return changed("splits/random", plan)


def without_validation(**more: object) -> dict:
    """Return the tiny scope without validation cells."""
    return changed("splits/random/validation", 0) | more


REAL = real() | {"reference": "pca"}

IMPOSSIBLE = {
    "more latents than genes": (
        method("pca", grid={"n_latent": [2, 21]}),
        ["methods: pca: setting 'n_latent=21'", "dataset 'simulated' has at most 20 genes"],
    ),
    "more latents of all methods than genes": (changed("latents", 21), ["latents is 21", "20 genes"]),
    "more latents of a dataset than genes": (
        changed("datasets/simulated/n_latent", 21),
        ["methods: ", "n_latent is 21", "'simulated' has at most 20 genes"],
    ),
    "all components by Lanczos steps": (
        method("pca", options={"n_latent": 20, "svd_solver": "arpack"}),
        ["n_latent is 20", "at most 19 components"],
    ),
    "more latents than top genes": (
        real(top_genes=10, keep_perturbed=False) | {"latents": 11},
        ["latents is 11", "'screen' has at most 10 genes"],
    ),
    "more latents than listed genes": (real(genes=["a", "b"]), ["latents is 3", "at most 2 genes"]),
    "more top genes than listed ones": (
        real(genes=["a", "b", "c", "d"], top_genes=4),
        ["datasets: screen", "top_genes is 4", "no more than 4"],
    ),
    "more seeds than replicates": (
        changed("datasets/simulated/seeds", [1, 2, 3]),
        ["datasets: simulated", "seeds has 3 entries", "2 replicates"],
    ),
    "a method on more replicates than there are": (
        method("pca", replicates=3),
        ["methods: pca: replicates is 3", "has only 2"],
    ),
    "perturbation that no simulator draws": (
        split(kind="named", held_out=["p10"]),
        ["splits: random: dataset 'simulated': held_out", "unknown perturbation 'p10', did you mean 'p1'"],
    ),
    "nothing to train on": (
        split(kind="named", held_out="p0..p9"),
        ["splits: random", "all 10 perturbations would be held out"],
    ),
    "pathway of another dataset": (
        split(kind="pathway", held_out="exosome", pathways=GENE_LISTS),
        ["splits: random: dataset 'simulated'", "pathway 'exosome' has 0 perturbations"],
    ),
    "cells for no halves": (
        changed("datasets/simulated/parameters/cells_per_perturbation", 3),
        ["splits: random: dataset 'simulated'", "has 3 cells, but needs 4 to be held out"],
    ),
    "combinations that no simulator draws": (
        split(kind="combinations", held_out=0.5),
        ["splits: random: dataset 'simulated'", "has no combinations"],
    ),
    "fraction of combinations for another kind of split": (
        split(kind="random", held_out=0.2, trained_combinations=0.5),
        ["splits: random", "'random' does not take the key 'trained_combinations'"],
    ),
    "a single control cell": (
        changed("datasets/simulated/parameters/control_cells", 1),
        ["'control' has 1 cells, but needs 2 to be trained on"],
    ),
    "draw of too few cells": (real(max_cells=3), ["datasets: screen: max_cells is 3", "4 cells"]),
    "counts that no memory holds": (
        changed("datasets/simulated/parameters/genes", 10**9),
        ["datasets: simulated: parameters", "400 cells", "1,000,000,000 genes"],
    ),
    "file of another format": (
        real(path=GENE_LISTS),
        ["datasets: screen: path", GENE_LISTS, "no h5ad file"],
    ),
    "address": (real(path="https://example.org/x.h5ad"), ["datasets: screen: path", "an address"]),
    "file that lists no genes": (
        real(gene_lists="reports/reference/missing.json"),
        ["datasets: screen: gene_lists"],
    ),
    "metric of the truth": (REAL | {"metrics": ["mcc_pearson"]}, ["metrics: 'mcc_pearson' needs the truth"]),
    "hindsight without a truth": (
        REAL | {"selection": {"rule": "hindsight"}},
        ["selection: rule: 'hindsight' looks at the truth"],
    ),
}

USELESS = {
    "tolerance of a solver without one": (
        method("pca", options={"tol": 0.1}),
        ["methods: pca: setting 'default': 'tol' does nothing unless svd_solver is 'arpack'"],
    ),
    "power iterations of an exact solver": (
        method("pca", options={"iterated_power": 3}, grid={"svd_solver": ["randomized", "full"]}),
        ["methods: pca: setting 'svd_solver=full': 'iterated_power'", "'randomized'"],
    ),
    "constant of another contrast": (
        method("ica", options={"fun": "cube", "fun_args": {"alpha": 1.5}}),
        ["methods: ica", "'fun_args' does nothing unless fun is 'logcosh'"],
    ),
    "constant out of range": (method("ica", options={"fun_args": {"alpha": 3}}), ["fun_args: alpha", "3"]),
    "masks of no method": (
        changed("methods", {"vae": None, "pca": None}) | {"training": {"mask_travel": 9}, "reference": "pca"},
        ["training: 'mask_travel' does nothing: none of the methods has masks"],
    ),
    "momentum of an optimiser that is not asked for": (
        changed("training", {"preset": "original", "momentum": 0.9}),
        ["training: 'momentum' does nothing without matrix_learning_rate"],
    ),
    "decay of matrices that Adam moves": (
        method("vae", options={"matrix_learning_rate": None, "matrix_decay": 0.5}),
        ["methods: vae: 'matrix_decay' does nothing without matrix_learning_rate"],
    ),
    "patience without validation": (
        without_validation(training={"patience": 3}),
        ["training: 'patience' looks at validation cells"],
    ),
    "best weights without validation": (
        method("vae", options={"keep": "best"}) | {"splits": without_validation()["splits"]},
        ["methods: vae: 'keep' looks at validation cells"],
    ),
    "restarts that are none": (
        changed("selection", {"rule": "udr"}),
        ["selection: rule: 'udr' chooses by restarts, but none of the methods has any"],
    ),
    "restarts compared on no cells": (
        method("vae", restarts=2) | {"splits": without_validation()["splits"], "selection": {"rule": "udr"}},
        ["selection: rule: 'udr' chooses by validation cells, but none of the splits has any"],
    ),
    "likelihood of no cells": (
        without_validation(selection={"rule": "validation_likelihood"}),
        ["selection: rule: 'validation_likelihood' chooses by validation cells"],
    ),
}

FINE = {
    "as many components as genes": method("pca", options={"n_latent": 20}),
    "options that a solver takes": method("pca", options={"tol": 0.1, "svd_solver": "arpack"}),
    "constant of the usual contrast": method("ica", options={"fun_args": {"alpha": 1.5}}),
    "no validation cells": without_validation(),
    "combinations that a simulator draws": changed(
        "datasets/simulated",
        {
            "simulator": "screen",
            "parameters": {**TINY["datasets"]["simulated"]["parameters"], "combinations": 9},
        },
    )
    | {
        "splits": {
            "pairs": {"kind": "combinations", "held_out": ["p0+p1", "p8+p9"], "trained_combinations": 0.5}
        }
    },
    "original preset, which is patient, without validation cells": without_validation(
        training={"preset": "original"}
    ),
    "restarts of one method": method("svae", restarts=2) | {"selection": {"rule": "udr"}},
    "a truth beside a real screen": changed("datasets/screen", {"source": "norman2019", "label": "guide"})
    | {"metrics": ["mcc_pearson"]},
}


@pytest.mark.parametrize(
    ("config", "named"), [*IMPOSSIBLE.values(), *USELESS.values()], ids=[*IMPOSSIBLE, *USELESS]
)
def test_it_is_told_in_one_sentence(monkeypatch, config, named):
    monkeypatch.chdir(ROOT)
    refused_in_one_sentence(config, named)


@pytest.mark.parametrize("config", FINE.values(), ids=FINE)
def test_what_can_be_done_is_not_refused(config):
    check(config, "config/mine.yaml")


def test_lists_of_genes_limit_the_latents(tmp_path):
    lists = tmp_path / "lists.json"
    lists.write_text('{"genes": ["a", "b"]}')
    with pytest.raises(BenchmarkError, match="latents is 3, but dataset 'screen' has at most 2 genes"):
        check(real(gene_lists=str(lists)), "config/mine.yaml")
    lists.write_text('{"gens": ["a", "b"]}')
    with pytest.raises(
        BenchmarkError, match=r"datasets: screen: gene_lists: .*neither a list 'perturbations'"
    ):
        check(real(gene_lists=str(lists)), "config/mine.yaml")
    assert "genes" in read_gene_lists(ROOT / GENE_LISTS)


def test_a_file_is_known_by_how_it_begins(tmp_path):
    file = tmp_path / "screen.h5ad"
    file.write_bytes(HDF5 + b"and more")
    check(real(path=str(file)), "config/mine.yaml")
    file.write_bytes(b"\x1f\x8b" + HDF5)
    with pytest.raises(BenchmarkError, match="no h5ad file"):
        check(real(path=str(file)), "config/mine.yaml")
