"""`svae score` on fits that were written by hand, without our library; and what it says of bad ones."""

import re
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from checkout import ROOT
from test_splits import plan

from svae.__main__ import main
from svae.contracts.dataset import write_dataset
from svae.contracts.split import write_split
from svae.contracts.truth import write_truth
from svae.datasets.splits import split
from svae.evaluation.metrics import METRICS
from svae.simulation import simulate

SIZES = {"perturbations": 8, "cells_per_perturbation": 60, "latents": 3, "hidden": 10, "genes": 40}
SIZES |= {"combinations": 4, "control_cells": 100}
PAGE = (ROOT / "docs" / "score.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """The folder of a dataset, its truth and its split, which holds out two perturbations and a pair."""
    folder = tmp_path_factory.mktemp("screen")
    dataset, truth = simulate("screen", seed=0, **SIZES)
    parts = split(dataset.obs["perturbation"], plan("named", ["p3", "p5", "p0+p1"]), 0)
    write_dataset(dataset, folder / "dataset.h5ad")
    write_truth(truth, folder / "truth.h5ad")
    write_split(parts, folder / "split.tsv.gz", dataset.obs["perturbation"])
    return folder


@pytest.fixture
def score(screen, tmp_path, monkeypatch, capsys):
    """A function that writes parts of a fit, scores it, and returns exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    for name in ("dataset.h5ad", "truth.h5ad", "split.tsv.gz"):
        (tmp_path / name).symlink_to(screen / name)

    def run(*more, latents=None, **uns):
        fit = ad.AnnData(obs=pd.DataFrame(index=ad.read_h5ad("dataset.h5ad").obs_names))
        fit.uns |= {"run": {"status": "ok"}} | uns
        if latents is not None:
            fit.obsm["latents"] = latents
        fit.write_h5ad("my_fit.h5ad")
        code = main(["score", "my_fit.h5ad", "--dataset", "dataset.h5ad", "--split", "split.tsv.gz", *more])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def profiles(parts_of_interest, perturbations):
    """Profiles of cells of some parts, gene × perturbation, computed here anew."""
    dataset, parts = ad.read_h5ad("dataset.h5ad"), pd.read_csv("split.tsv.gz", sep="\t")
    found = {}
    for perturbation in perturbations:
        chosen = (parts["perturbation"] == perturbation) & parts["part"].isin(parts_of_interest)
        counts = np.asarray(dataset.X[chosen.to_numpy()].sum(axis=0)).ravel()
        found[perturbation] = np.log1p(10_000 * counts / counts.sum())
    return pd.DataFrame(found, index=dataset.var_names)


def nobody_held_out():
    """Write a split that holds nobody out; return predictions."""
    parts = pd.read_csv("split.tsv.gz", sep="\t").assign(part="train")
    Path("split.tsv.gz").unlink()  # a link
    parts.to_csv("split.tsv.gz", sep="\t", index=False)
    return profiles(["train"], ["p3"])


HELD_OUT = ["p0+p1", "p3", "p5"]


def test_the_fit_of_the_page_is_scored(screen, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("dataset.h5ad", "split.tsv.gz"):
        (tmp_path / name).symlink_to(screen / name)
    [program] = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert "svae" not in program
    exec(program, {})
    [command] = re.findall(r"```bash\nsvae (.*?)\n```", PAGE)
    assert main([*command.split(), "--output", "scores.tsv"]) == 0
    said = capsys.readouterr().out
    scores = pd.read_csv("scores.tsv", sep="\t").set_index("metric")
    assert list(scores.columns) == ["value", "better", "meaning", "note"]
    assert all(name in METRICS and "_zero_shot" in name for name in scores.index)
    assert all(name in said for name in scores.index)
    assert scores.loc["discrimination_zero_shot", "value"] == 0.5, "a prediction that is the same for all"
    assert f"{scores.loc['pearson_delta_zero_shot', 'value']:.3f}" in said
    assert scores.loc["pearson_delta_zero_shot", "meaning"] in said


def test_the_test_cells_themselves_are_predicted_perfectly_and_the_other_half_at_1(score):
    names = ["pearson_delta_adapted", "weighted_mse_adapted", "weighted_r2_adapted_calibrated"]
    code, said, _ = score(
        "--metrics", *names, "--output", "out.tsv", predictions={"adapted": profiles(["test"], HELD_OUT)}
    )
    values = pd.read_csv("out.tsv", sep="\t")["value"]
    assert code == 0
    np.testing.assert_allclose(values[:2], [1, 0], atol=1e-5)
    assert values[2] > 1
    assert said.splitlines()[2].startswith("pearson_delta_adapted")
    score(
        "--metrics", names[2], "--output", "out.tsv", predictions={"adapted": profiles(["adapt"], HELD_OUT)}
    )
    assert pd.read_csv("out.tsv", sep="\t")["value"].iloc[0] == pytest.approx(1, abs=1e-5)


def test_latents_are_asked_what_they_tell_without_a_truth(score):
    latents = ad.read_h5ad("truth.h5ad").obsm["latents"]
    code, said, _ = score(latents=latents)
    assert code == 0
    assert [line.split()[0] for line in said.splitlines()[2:]] == ["smi_best", "smi_matching", "smi_gap"]


def test_guides_are_scored_where_a_fit_predicts_nothing(score):
    dataset = ad.read_h5ad("dataset.h5ad")
    targets = {f"p{k}": f"gene{k // 2}" for k in range(8)}
    dataset.obs["target"] = dataset.obs["perturbation"].astype(str).map(targets).fillna("control")
    Path("dataset.h5ad").unlink()  # a link
    dataset.write_h5ad("dataset.h5ad")
    latents = np.random.default_rng(0).normal(size=(dataset.n_obs, 2)).astype(np.float32)
    code, said, _ = score("--metrics", "sibling_auroc", latents=latents)
    assert code == 0
    assert re.search(r"sibling_auroc +0\.\d+", said)


def test_sums_of_effects_are_scored_on_combinations_alone(score):
    seen = profiles(["train", "validation"], ["p0", "p1", "control"])
    sums = (seen["p0"] + seen["p1"] - seen["control"]).clip(lower=0)
    code, said, _ = score(predictions={"combination": sums.to_frame("p0+p1")})
    assert code == 0
    assert "pearson_delta_combination" in said


def test_latents_are_scored_against_the_truth(score):
    latents = ad.read_h5ad("truth.h5ad").obsm["latents"]
    code, said, _ = score("--truth", "truth.h5ad", "--metrics", "mcc_pearson", "inll_clean", latents=latents)
    assert code == 0
    of_mcc, of_likelihood = said.splitlines()[2:]
    assert of_mcc.split()[:2] == ["mcc_pearson", "1.000"]
    assert of_likelihood.split()[1] == "–"
    assert of_likelihood.endswith("not applicable without log_likelihood_clean")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: {}, r'my_fit.h5ad: obsm\["latents"\] and uns\["predictions"\] are both missing'),
        (
            lambda: {"predictions": {"zero_shot": nobody_held_out()}},
            "my_fit.h5ad: no metric applies to a fit that holds predictions alone, on this split",
        ),
        (
            lambda: {"run": {"status": "not_applicable", "message": "there are no control cells"}},
            r"my_fit.h5ad: the fit ended with the status 'not_applicable' \(there are no control cells\)",
        ),
        (
            lambda: {"predictions": {"zero_shot": profiles(["adapt"], ["p3", "p5"])}},
            "my_fit.h5ad: .*no row for perturbation 'p0\\+p1'",
        ),
        (
            lambda: {"predictions": {"combination": profiles(["adapt"], HELD_OUT[:1]).iloc[::-1]}},
            "my_fit.h5ad: .*the genes are not in the order of the dataset",
        ),
        (
            lambda: {"predictions": {"zeroshot": profiles(["adapt"], HELD_OUT)}},
            "my_fit.h5ad: .*unknown basis 'zeroshot', did you mean 'zero_shot'",
        ),
    ],
    ids=["nothing", "nobody held out", "not applicable", "a row is missing", "genes", "basis"],
)
def test_a_bad_fit_is_told_in_one_sentence(score, make, message):
    code, said, errors = score(**make())
    assert (code, said) == (1, "")
    assert re.match(f"error: {message}", errors), errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--metrics", "mcc"], "error: --metrics: unknown metric 'mcc', did you mean 'mcc_modes'"),
        (["--truth", "nowhere.h5ad"], "error: nowhere.h5ad: no such file"),
        (["--seed", "-1"], "error: --seed: seed is -1, but must be a whole number"),
        (["--split", "dataset.h5ad"], "error: dataset.h5ad: not a readable table"),
    ],
)
def test_bad_arguments_are_told_in_one_sentence(score, words, message):
    code, said, errors = score(*words, predictions={"adapted": profiles(["test"], HELD_OUT)})
    assert (code, said) == (1, "")
    assert errors.startswith(message), errors
    assert errors.count("\n") == 1


def test_a_split_without_cells_to_adapt_on_is_refused(score):
    parts = pd.read_csv("split.tsv.gz", sep="\t")
    parts.loc[(parts["perturbation"] == "p3") & (parts["part"] == "adapt"), "part"] = "test"
    parts.to_csv("mine.tsv", sep="\t", index=False)
    fit = {"predictions": {"adapted": profiles(["test"], HELD_OUT)}}
    code, _, errors = score("--split", "mine.tsv", **fit)
    assert code == 1
    assert errors == "error: mine.tsv: held-out perturbation 'p3' lacks cells to adapt on or to test\n"


def test_the_command_is_declared_and_starts_without_loading_anything():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["svae"]
    module, function = declared.split(":")
    assert getattr(import_module(module), function) is main
    code = f"import sys, {module}; print(*{{'numpy', 'pandas', 'anndata', 'torch'}} & {{*sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
