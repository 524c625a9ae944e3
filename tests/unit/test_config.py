import copy
import subprocess
import sys

import pytest
import yaml
from checkout import ROOT
from jsonschema import Draft202012Validator

from svae.contracts.job import Job
from svae.errors import BenchmarkError
from svae.models import FAMILY
from svae.report.methods_table import read_methods
from svae.workflow.names import check_names
from svae.workflow.reference import page_text, schema_text
from svae.workflow.scope import Scope

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
    assert len(Scope.check(config).jobs) == 2 * 2 * 2 * 2
    config["datasets"]["b"] |= {"splits": ["t"], "methods": ["vae"]}
    runs = Scope.check(config).jobs
    assert len(runs) == 2 * 2 * 2 + 2
    assert Job("b", "t", 1, "vae") in runs


def test_a_slow_method_is_fitted_on_the_first_replicates(config):
    config["methods"]["vae"] = {"replicates": 1}
    runs = Scope.check(config).jobs
    assert len(runs) == 2 * 2 * 2 + 2 * 2 * 1
    assert {run.replicate for run in runs if run.method == "vae"} == {0}


def test_settings_are_the_grid_times_the_restarts(config):
    settings = Scope.check(config).settings("svae_plus")
    assert [setting.name for setting in settings] == [
        "penalty=1.r0",
        "penalty=1.r1",
        "penalty=2.r0",
        "penalty=2.r1",
    ]
    assert settings[2].options == {"beta": 3, "penalty": 2}
    assert [setting.name for setting in Scope.check(config).settings("vae")] == ["default"]


def test_seeds_do_not_depend_on_what_else_is_run(config):
    def model_seed(scope):
        return scope.model_seed(Job("b", "s", 0, "svae_plus"), scope.settings("svae_plus")[0])

    before = Scope.check(config)
    config["methods"]["pca"] = None
    config["methods"]["svae_plus"]["grid"]["penalty"].append(9)
    config["methods"]["svae_plus"]["restarts"] = 5
    after = Scope.check(config)
    assert model_seed(before) == model_seed(after)
    assert before.data_seed("b", 1) == after.data_seed("b", 1) != before.data_seed("b", 0)
    assert [before.data_seed("a", r) for r in range(2)] == [5, 6]


def test_seeds_differ_between_restarts(config):
    scope = Scope.check(config)
    run = Job("b", "s", 0, "svae_plus")
    assert len({scope.model_seed(run, setting) for setting in scope.settings("svae_plus")}) == 4


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_scopes_that_are_shipped_are_valid(path):
    scope = Scope.read(path)
    assert scope.name == path.stem
    check_names(scope, ROOT, str(path))


@pytest.mark.parametrize("path", sorted((ROOT / "config").glob("*.yaml")), ids=lambda path: path.stem)
def test_editors_that_know_the_schema_accept_them(path):
    schema = yaml.safe_load((ROOT / "config" / "schemas" / "scope.schema.yaml").read_text())
    Draft202012Validator.check_schema(schema)
    errors = Draft202012Validator(schema).iter_errors(yaml.safe_load(path.read_text()))
    assert [error.message for error in errors] == []


def test_every_key_of_the_schema_is_described():
    schema = yaml.safe_load((ROOT / "config" / "schemas" / "scope.schema.yaml").read_text())
    missing = [key for key, entry in schema["properties"].items() if "description" not in entry]
    assert missing == []


def test_a_local_path_takes_the_place_of_a_download(config):
    config["datasets"]["b"]["source"] = "papalexi2021"
    assert list(Scope.check(config).real) == ["b"]


def test_a_simulator_and_a_path_exclude_each_other(config):
    config["datasets"]["a"]["path"] = "a.h5ad"
    with pytest.raises(BenchmarkError, match="datasets: a: give one of"):
        Scope.check(config)


@pytest.mark.parametrize(
    ("path", "text"),
    [("config/schemas/scope.schema.yaml", schema_text), ("docs/scope-reference.md", page_text)],
)
def test_what_is_generated_from_the_types_is_in_step(path, text):
    assert (ROOT / path).read_text(encoding="utf-8") == text(), "run `make docs`"


def test_every_key_on_the_reference_page_has_a_meaning():
    rows = [line.split("|") for line in page_text().splitlines() if line.startswith("| `")]
    assert len(rows) > 40
    assert [row[1] for row in rows if not row[-2].strip()] == []


def test_defaults_are_those_of_the_types(config):
    scope = Scope.check(config)
    assert (scope.title, scope.reference, scope.latents) == ("x", "svae_plus", 15)
    assert scope.selection.rule == "validation_likelihood"


def test_the_settings_of_a_job_have_their_seeds_and_all_options(config):
    scope = Scope.check(config)
    job = Job("b", "s", 0, "svae_plus")
    settings = scope.settings_of(job, {"preset": "tuned", "beta": 1})
    assert settings[0].options == {"n_latent": 15, "preset": "tuned", "beta": 3, "penalty": 1}
    assert [setting.seed for setting in settings] == [
        scope.model_seed(job, setting) for setting in scope.settings("svae_plus")
    ]
    assert {setting.grid_point for setting in settings} == {"penalty=1", "penalty=2"}


def test_seeds_are_those_of_earlier_runs():
    """Seeds follow from names alone, and stay what they were."""
    scope = Scope.read(ROOT / "config" / "demo.yaml")
    [setting, *_] = scope.settings_of(Job("simulated", "random", 0, "svae_plus"), scope.training)
    assert (setting.name, setting.seed) == ("penalty=10", 644198543)
    assert setting.options == {
        "n_latent": 5, "preset": "tuned", "n_hidden": 64, "max_epochs": 40, "refit_epochs": 8, "penalty": 10
    }  # fmt: skip


def test_the_scope_of_everything_has_every_method():
    methods = read_methods(ROOT / "config" / "methods.tsv").index
    assert set(Scope.read(ROOT / "config" / "everything.yaml").methods) == set(methods)


def test_the_scope_of_a_real_screen_has_every_method_that_can_apply():
    """All but the truth, and what predicts combinations; all with latents are asked about guides."""
    scope = Scope.read(ROOT / "config" / "papalexi.yaml")
    methods = set(read_methods(ROOT / "config" / "methods.tsv").index)
    assert set(scope.methods) == methods - {"oracle", "additive", "latent_additive"}
    without_latents = {"linear_embeddings", "nearest_perturbations", "no_change", "mean_response"}
    without_latents |= {"technical_duplicate", "interpolated_duplicate"}
    assert set(scope.datasets["papalexi_guides"].methods) == set(scope.methods) - without_latents


def test_reading_a_scope_loads_nothing_heavy():
    heavy = ("torch", "scvi", "anndata", "scanpy", "sklearn", "scipy", "statsmodels", "matplotlib")
    script = "import sys, svae.workflow.names, svae.workflow.scope; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert [name for name in heavy if name in run.stdout.split()] == []


@pytest.mark.parametrize("name", ["demo", "everything", "papalexi", "simulation"])
def test_trained_methods_have_the_same_number_of_fits_to_choose_among(name):
    scope = Scope.read(ROOT / "config" / f"{name}.yaml")
    fits = {method: len(scope.settings(method)) for method in scope.methods if method in FAMILY}
    assert len(fits) > 1
    assert len(set(fits.values())) == 1, fits
