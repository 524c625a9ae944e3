import copy

import pytest
import yaml

from svae.errors import BenchmarkError
from svae.workflow.scope import ROOT, Job, Scope

SCOPE = {
    "scope": "x",
    "replicates": 2,
    "datasets": {"a": {"simulator": "lopez2023", "seeds": [5, 6]}, "b": {"path": "b.h5ad", "label": "guide"}},
    "splits": {"s": {"kind": "random", "held_out": 0.2}, "t": {"kind": "random", "held_out": 1}},
    "methods": {
        "svae_plus": {"grid": {"penalty": [1, 2]}, "restarts": 2, "options": {"beta": 3}},
        "vae": None,
    },
}


@pytest.fixture
def config():
    return copy.deepcopy(SCOPE)


def test_runs_are_all_combinations_unless_a_dataset_says_otherwise(config):
    assert len(Scope(config).jobs) == 2 * 2 * 2 * 2
    config["datasets"]["b"] |= {"splits": ["t"], "methods": ["vae"]}
    runs = Scope(config).jobs
    assert len(runs) == 2 * 2 * 2 + 2
    assert Job("b", "t", 1, "vae") in runs


def test_settings_are_the_grid_times_the_restarts(config):
    points = Scope(config).settings("svae_plus")
    assert [point.name for point in points] == [
        "penalty=1.r0",
        "penalty=1.r1",
        "penalty=2.r0",
        "penalty=2.r1",
    ]
    assert points[2].options == {"beta": 3, "penalty": 2}
    assert [point.name for point in Scope(config).settings("vae")] == ["default"]


def test_seeds_do_not_depend_on_what_else_is_run(config):
    def model_seed(scope):
        return scope.model_seed(Job("b", "s", 0, "svae_plus"), scope.settings("svae_plus")[0])

    before = Scope(config)
    config["methods"]["pca"] = None
    config["methods"]["svae_plus"]["grid"]["penalty"].append(9)
    config["methods"]["svae_plus"]["restarts"] = 5
    after = Scope(config)
    assert model_seed(before) == model_seed(after)
    assert before.data_seed("b", 1) == after.data_seed("b", 1) != before.data_seed("b", 0)
    assert [before.data_seed("a", r) for r in range(2)] == [5, 6]


def test_seeds_differ_between_restarts(config):
    scope = Scope(config)
    run = Job("b", "s", 0, "svae_plus")
    assert len({scope.model_seed(run, point) for point in scope.settings("svae_plus")}) == 4


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_scopes_that_are_shipped_are_valid(path):
    assert Scope.read(path).name == path.stem


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load((ROOT / "config" / "schemas" / "scope.schema.yaml").read_text())
    missing = [key for key, entry in schema["properties"].items() if "description" not in entry]
    assert missing == []


def test_a_local_path_takes_the_place_of_a_download(config):
    config["datasets"]["b"]["source"] = "papalexi2021"
    assert Scope(config).real == ["b"]


def test_a_simulator_and_a_path_exclude_each_other(config):
    config["datasets"]["a"]["path"] = "a.h5ad"
    with pytest.raises(BenchmarkError, match="datasets: a: give one of"):
        Scope(config)
