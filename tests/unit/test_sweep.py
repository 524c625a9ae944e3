"""What a sweep is drawn against: parameters of simulated datasets, and latents fitted."""

from dataclasses import replace
from functools import cache

import pandas as pd
import pytest
from checkout import ROOT
from fake_tables import fake_tables

from svae.contracts.dataset import write_dataset
from svae.contracts.tables import read_tidy
from svae.files import write_table
from svae.report.figures import draw
from svae.report.tables import COLUMNS
from svae.simulation import simulate
from svae.workflow.describe import describe_datasets
from svae.workflow.scope import Scope

METRICS = ["mcc_pearson", "target_f1"]


@cache
def two_sizes():
    datasets = {"small": {"cells_per_perturbation": 100}, "large": {}}
    return fake_tables(datasets, replicates=2, methods=["svae_plus", "vae"], metrics=METRICS)


def swept(tables):
    """Values of the axis by what is varied."""
    table = draw("sweep", tables).table
    return {} if "note" in table else table.groupby("sweep")["x"].unique().map(set).to_dict()


def with_facts(tables, *facts):
    added = pd.DataFrame(facts, columns=["dataset", "parameter", "value"])
    return replace(tables, datasets=pd.concat([tables.datasets, added]))


def test_a_default_is_a_value_of_the_axis_like_any_other():
    """Dataset `large` says nothing about its cells per perturbation: they are the simulator's default."""
    assert swept(two_sizes()) == {"cells_per_perturbation": {100, 250}}


def test_a_parameter_that_changes_along_is_not_drawn_twice():
    tables = with_facts(two_sizes(), ("small", "preset", "a"), ("large", "preset", "b"))
    assert swept(tables) == {"cells_per_perturbation": {100, 250}}


def test_a_sweep_needs_datasets_that_differ():
    one = two_sizes().datasets
    assert swept(replace(two_sizes(), datasets=one[one["dataset"] == "small"])) == {}


def test_datasets_that_differ_in_two_things_are_not_compared():
    base = {"perturbations": 20}
    datasets = {
        "a": base,
        "b": {**base, "cells_per_perturbation": 100},
        "c": {"perturbations": 40},
    }
    tables = fake_tables(datasets, replicates=2, methods=["svae_plus"], metrics=["mcc_pearson"])
    table = draw("sweep", tables).table
    by_parameter = table.groupby("sweep")["dataset"].unique().map(set).to_dict()
    assert by_parameter == {"cells_per_perturbation": {"a", "b"}, "perturbations": {"a", "c"}}


def test_real_data_are_not_swept():
    tables = fake_tables(["one", "two"], truth=False, replicates=1, methods=["svae_plus"], metrics=METRICS)
    assert swept(tables) == {}


@pytest.mark.parametrize("method", ["pca", "svae_plus", "vae"])
def test_latents_of_any_method_with_a_grid_over_them_are_swept(method):
    grids = {method: {"n_latent": (3, 5, 10)}}
    if method == "svae_plus":
        grids[method]["penalty"] = (10, 70)
    methods = list(dict.fromkeys(["svae_plus", method, "ivae"]))
    tables = fake_tables(["screen"], replicates=2, methods=methods, metrics=METRICS, grids=grids)
    table = draw("sweep", tables).table
    assert set(table["sweep"]) == {"n_latent"}
    assert set(table["method"]) == {method}
    assert set(table["x"]) == {3, 5, 10}
    of_method = tables.settings[tables.settings["method"] == method].pivot(
        index="setting", columns="parameter", values="value"
    )
    fitted = of_method.index[of_method["n_latent"] == "5"]
    values = tables.metrics[(tables.metrics["method"] == method) & tables.metrics["setting"].isin(fitted)]
    expected = values.loc[values["metric"] == "mcc_pearson", "value"].mean()
    row = table[(table["metric"] == "mcc_pearson") & (table["x"] == 5)].iloc[0]
    assert row["mean"] == pytest.approx(expected)


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """What a run of config/paper.yaml says of its simulated datasets, drawn with fewer cells to save time."""
    folder = tmp_path_factory.mktemp("described")
    scope = Scope.read(ROOT / "config" / "paper.yaml")
    scope = scope.model_copy(update={"datasets": scope.simulated})
    paths = []
    for name, entry in scope.simulated.items():
        dataset = simulate(entry.simulator, **(entry.parameters | {"cells_per_perturbation": 2})).dataset
        paths.append(folder / f"{name}.h5ad")
        write_dataset(dataset, paths[-1])
    write_table(describe_datasets(scope, paths), folder / "datasets.tsv")
    return read_tidy(folder / "datasets.tsv", COLUMNS["datasets"])


def test_datasets_that_a_run_describes_have_an_axis(described):
    tables = fake_tables(["simulated", "simulated_500"], replicates=2, methods=["svae_plus"], metrics=METRICS)
    assert swept(replace(tables, datasets=described)) == {"cells_per_perturbation": {250, 500}}


def test_fake_tables_describe_datasets_as_a_run_does(described):
    simulator = {"simulator": "lopez2023"}
    fake = fake_tables({"cells250": simulator}, replicates=1, methods=["svae_plus"], metrics=METRICS).datasets
    assert {*fake["parameter"], "seeds"} == set(described["parameter"]), "the scope names seeds of its own"


def test_none_of_something_is_a_value_of_the_axis_which_is_then_linear():
    datasets = {"without": {"simulator": "screen"}, "some": {"simulator": "screen", "escapers": 0.3}}
    drawn = draw("sweep", fake_tables(datasets, replicates=2, methods=["svae_plus", "vae"], metrics=METRICS))
    assert set(drawn.table["x"]) == {0, 0.3}
    assert {ax.get_xscale() for ax in drawn.figure.axes} == {"linear"}
    assert {ax.get_xscale() for ax in draw("sweep", two_sizes()).figure.axes} == {"log"}
