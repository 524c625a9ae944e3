"""Datasets that a scope asks for in one line: a dataset with one thing changed at a time."""

import copy

import pytest
from checkout import ROOT

from svae.contracts.dataset import write_dataset
from svae.contracts.job import Job
from svae.errors import BenchmarkError
from svae.simulation import simulate
from svae.workflow.describe import describe_datasets
from svae.workflow.names import check_names
from svae.workflow.scope import Scope
from svae.workflow.sections import VariedDataset

SMALL = {"perturbations": 5, "cells_per_perturbation": 4, "latents": 3, "hidden": 5, "genes": 20}
SCOPE = {
    "scope": "x",
    "latents": 3,
    "datasets": {
        "screen": {
            "simulator": "screen",
            "parameters": SMALL,
            "vary": {"escapers": [0.1, "5e-1"], "n_latent": [2, 6.0], "perturbations": [4.0]},
        },
        "other": {"simulator": "corrected", "parameters": SMALL},
    },
    "splits": {"s": {"kind": "random", "held_out": 0.4}},
    "methods": {"vae": None},
}


@pytest.fixture
def config():
    return copy.deepcopy(SCOPE)


def checked(config):
    scope = Scope.check(config, "x.yaml")
    check_names(scope, ROOT, "x.yaml")
    return scope


def test_each_value_makes_one_dataset_behind_its_baseline(config):
    scope = checked(config)
    assert list(scope.datasets) == [
        "screen",
        "screen_escapers=0.1",
        "screen_escapers=0.5",
        "screen_n_latent=2",
        "screen_n_latent=6",
        "screen_perturbations=4",
        "other",
    ]
    assert [job.dataset for job in scope.jobs] == list(scope.datasets)


def test_a_varied_dataset_differs_in_one_thing_alone(config):
    config["datasets"]["screen"] |= {"seeds": [7], "methods": ["vae"], "splits": ["s"]}
    scope = checked(config)
    varied = scope.datasets["screen_escapers=0.5"]
    assert isinstance(varied, VariedDataset)
    assert (varied.baseline, varied.axis) == ("screen", "escapers")
    assert varied.parameters == SMALL | {"escapers": 0.5}
    assert (varied.seeds, varied.methods, varied.splits) == ([7], ["vae"], ["s"])
    assert scope.datasets["screen_n_latent=6"].parameters == SMALL


def test_the_number_of_latents_that_methods_fit_can_be_varied(config):
    config["datasets"]["other"]["n_latent"] = 5
    scope = checked(config)

    def fitted(dataset):
        [setting] = scope.settings_of(Job(dataset, "s", 0, "vae"))
        return setting.options["n_latent"]

    assert [fitted(dataset) for dataset in ("screen", "screen_n_latent=2", "screen_n_latent=6", "other")] == [
        *(3, 2, 6, 5)
    ]
    config["methods"]["vae"] = {"grid": {"n_latent": [4]}}
    scope = checked(config)
    assert fitted("screen_n_latent=2") == 4, "the grid of a method comes first"


def test_a_dataset_and_what_is_varied_of_it_share_draws_and_splits_but_no_models(config):
    scope = checked(config)
    for varied in ("screen_escapers=0.1", "screen_n_latent=2"):
        assert scope.data_seed(varied, 0) == scope.data_seed("screen", 0)
        assert scope.split_seed(varied, "s", 0) == scope.split_seed("screen", "s", 0)
        seeds = [
            scope.model_seed(Job(name, "s", 0, "vae"), scope.settings("vae")[0])
            for name in (varied, "screen")
        ]
        assert seeds[0] != seeds[1]
    assert scope.data_seed("screen", 0) != scope.data_seed("other", 0)


@pytest.mark.parametrize(
    ("vary", "said"),
    [
        ({"escaper": [0.1]}, "vary: unknown parameter 'escaper', did you mean 'escapers'"),
        ({"n_latents": [2]}, "vary: unknown parameter 'n_latents', did you mean 'n_latent'"),
        (
            {"escapers": [0.1, 2]},
            "vary: escapers: simulator 'screen': escapers is 2.0, but must be at most 1",
        ),
        (
            {"escapers": ["many"]},
            "vary: escapers: simulator 'screen': escapers is 'many', but must be a number",
        ),
        ({"n_latent": [0]}, "vary: n_latent: input should be greater than 0"),
        ({"escapers": [0]}, "vary: escapers: 0 is what dataset 'screen' has anyway"),
        ({"genes": [20.0]}, "vary: genes: 20.0 is what dataset 'screen' has anyway"),
        ({"n_latent": [3]}, "vary: n_latent: 3 is what dataset 'screen' has anyway"),
        ({"escapers": []}, "vary: escapers: name at least one"),
        ({"escapers": [0.1, 0.1]}, "vary: escapers: 0.1 is listed twice"),
        ({"escapers": 0.1}, "vary: escapers: input should be a valid list"),
    ],
)
def test_what_cannot_be_varied_is_told_in_one_sentence(config, vary, said):
    config["datasets"]["screen"]["vary"] = vary
    with pytest.raises(BenchmarkError) as caught:
        checked(config)
    assert str(caught.value).startswith(f"x.yaml: datasets: screen: {said}")
    assert "\n" not in str(caught.value)


def test_a_config_file_cannot_name_what_only_vary_makes(config):
    config["datasets"]["other"]["baseline"] = "screen"
    with pytest.raises(BenchmarkError, match="datasets: other: unknown key 'baseline'"):
        checked(config)


def test_the_table_of_datasets_says_what_was_varied(config, tmp_path):
    scope = checked(config)
    paths = []
    for name, entry in scope.simulated.items():
        paths.append(tmp_path / f"{name}.h5ad")
        write_dataset(simulate(entry.simulator, **entry.parameters).dataset, paths[-1])
    described = describe_datasets(scope, paths).set_index(["dataset", "parameter"])["value"]
    assert described["screen_escapers=0.5", "baseline"] == "screen"
    assert described["screen_escapers=0.5", "axis"] == "escapers"
    assert described["screen_escapers=0.5", "escapers"] == 0.5
    assert described["screen_n_latent=2", "n_latent"] == 2
    assert described["screen", "n_latent"] == 3
    assert ("screen", "baseline") not in described.index
