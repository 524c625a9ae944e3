"""Options of methods and of training are checked when a scope is read: their names and their values."""

import subprocess
import sys
from inspect import signature

import pytest
import yaml
from checkout import ROOT, Checkout
from sklearn.decomposition import PCA, FastICA
from test_config_errors import changed, real, refused_in_one_sentence

from svae.contracts.job import Job
from svae.errors import BenchmarkError
from svae.methods.options import OPTIONS
from svae.models import FAMILY
from svae.models.arguments import model_options
from svae.workflow.check import check_file, checked_scope
from svae.workflow.config_file import read_config
from svae.workflow.scope import Scope

GENE_LISTS = "config/replogle2022_gene_lists.json"


def method(name: str, **entry: object) -> dict:
    """Return the tiny scope with options or a grid of one method."""
    return changed(f"methods/{name}", entry)


MISTAKES = {
    "training option": (changed("training/max_epoch", 5), ["training", "'max_epoch'", "'max_epochs'"]),
    "preset": (changed("training/preset", "tunde"), ["training: preset", "'tunde'", "'tuned'"]),
    "keep": (changed("training/keep", "bset"), ["training: keep", "'bset'", "'best'"]),
    "objective": (changed("training/objective", "avg"), ["training: objective", "'avg'", "mean, sum"]),
    "dropout": (changed("training/dropout_rate", 2), ["training: dropout_rate", "less than 1", "2"]),
    "dense": (changed("training/dense", 2), ["training: dense", "less than or equal to 1", "2"]),
    "no epochs": (changed("training/max_epochs", 0), ["training: max_epochs", "greater than 0"]),
    "negative epochs": (changed("training/max_epochs", -5), ["training: max_epochs", "-5"]),
    "truth value": (changed("training/learning_rate", True), ["training: learning_rate", "True"]),
    "not a number": (changed("training/learning_rate", float("nan")), ["training: learning_rate", "finite"]),
    "latents in training": (changed("training/n_latent", 4), ["training: n_latent", "'latents'"]),
    "control in training": (changed("training/control", "p1"), ["training", "'control'"]),
    "penalty of a model without one": (method("vae", options={"penalty": 1}), ["methods: vae", "'penalty'"]),
    "masks of a model without any": (
        method("vae", options={"mask_travel": 9}),
        ["methods: vae", "'mask_travel'", "masks"],
    ),
    "misspelt option of a model": (
        method("beta_vae", grid={"betta": [1]}),
        ["methods: beta_vae: grid", "'beta'"],
    ),
    "negative beta": (method("beta_vae", grid={"beta": [2, -1]}), ["beta_vae: grid: beta", "-1"]),
    "penalty without a logarithm": (
        method("svae_plus", grid={"penalty": [0]}),
        ["svae_plus: grid: penalty", "0"],
    ),
    "one bad value of a grid": (method("svae", grid={"penalty": [1, "x"]}), ["svae: grid: penalty", "'x'"]),
    "option of scikit-learn": (method("pca", options={"whitten": True}), ["methods: pca", "'whiten'"]),
    "value of scikit-learn": (
        method("ica", options={"whiten": "unit"}),
        ["ica: options: whiten", "unit-variance"],
    ),
    "no components": (method("pca", grid={"n_latent": [0]}), ["pca: grid: n_latent", "0"]),
    "grid of the oracle": (method("oracle", grid={"n_latent": [2]}), ["methods: oracle", "no options"]),
    "option of the lower anchor": (method("random", options={"x": 1}), ["methods: random", "n_latent"]),
    "option and grid": (
        method("svae", options={"penalty": 1}, grid={"penalty": [1, 2]}),
        ["methods: svae", "'penalty' is in options and in grid"],
    ),
    "repeated value": (
        method("svae", grid={"penalty": [1, 2, 1.0]}),
        ["svae: grid: penalty", "listed twice"],
    ),
    "the same number as text": (
        method("svae", grid={"learning_rate": ["1e-3", 0.001]}),
        ["svae: grid: learning_rate", "listed twice"],
    ),
    "too many combinations": (
        method("svae", grid={"penalty": list(range(200)), "beta": list(range(200))}),
        ["methods: svae: grid", "40,000 combinations"],
    ),
    "fixed setting": (
        changed("selection", {"fixed": {"svae": "penalty=2"}}),
        ["selection: fixed: svae", "'penalty=2'", "'penalty=1'"],
    ),
    "repeated metric": (changed("metrics", ["r2", "r2"]), ["metrics", "'r2' is listed twice"]),
    "hindsight without its metric": (
        changed("selection", {"rule": "hindsight"}) | {"metrics": ["r2"]},
        ["selection: hindsight_metric", "'mcc_pearson'"],
    ),
    "no splits of a dataset": (changed("datasets/simulated/splits", []), ["datasets: simulated: splits"]),
    "no methods of a dataset": (changed("datasets/simulated/methods", []), ["datasets: simulated: methods"]),
    "method that no dataset runs": (
        changed("datasets/simulated/methods", ["svae_plus"]),
        ["methods", "no dataset uses '", "name it in one, or leave it out"],
    ),
    "more perturbations than there are": (
        changed("splits/random/held_out", 10),
        ["splits: random: dataset 'simulated'", "all 10 perturbations would be held out"],
    ),
    "training without a trained method": (
        changed("methods", {"pca": None}) | {"reference": "pca"},
        ["training", "no method"],
    ),
    "repeated seed": (changed("datasets/simulated/seeds", [3, 3]), ["seeds", "3 is listed twice"]),
    "huge seed": (changed("seed", 2**70), ["seed", "less than"]),
    "half a replicate": (changed("replicates", 2.5), ["replicates", "2.5"]),
    "number as a name": (changed("datasets", {1: {"simulator": "corrected"}}), ["datasets: 1", "quotes"]),
    "yes as a name": (changed("scope", True), ["scope", "quotes"]),
    "space in a name": (changed("splits/my split", {"kind": "random", "held_out": 1}), ["splits: my split"]),
    "slash in a name": (changed("splits", {"a/b": {"kind": "random", "held_out": 1}}), ["splits: a/b"]),
    "dot in a name": (
        changed("splits", {"a.b": {"kind": "random", "held_out": 1}}),
        ["splits: a.b", "letters"],
    ),
    "umlaut in a name": (changed("datasets", {"zürich": {"simulator": "corrected"}}), ["datasets: zürich"]),
    "number of a split": (
        changed("datasets/simulated/splits", [1]),
        ["datasets: simulated: splits", "quotes"],
    ),
    "simulator with genes": (
        changed("datasets/simulated/top_genes", 5),
        ["datasets: simulated", "'top_genes'"],
    ),
    "real data with seeds": (real(seeds=[1, 2]), ["datasets: screen", "'seeds'"]),
    "pathway": (
        changed("splits/random", {"kind": "pathway", "held_out": "exosme", "pathways": GENE_LISTS}),
        ["splits: random: held_out", "'exosme'", "'exosome'"],
    ),
    "method in capitals": (changed("methods/PCA", None), ["methods", "did you mean 'pca'"]),
}


@pytest.mark.parametrize(("config", "named"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_in_one_sentence(config, named):
    refused_in_one_sentence(config, named)


def settings(config: dict, name: str) -> list[dict]:
    """Return the options of the settings of a method, those of the training included."""
    scope = checked_scope(config, ROOT, "config")
    job = Job("simulated", "random", 0, name)
    return [dict(setting.options) for setting in scope.settings_of(job, scope.training)]


def test_numbers_are_read_from_what_yaml_takes_for_text():
    written = "grid: {learning_rate: [1e-3, 5e-4]}\noptions: {max_epochs: 2.0, eps: 1e-8}"
    config = method("svae", **yaml.safe_load(written))
    assert config["methods"]["svae"]["grid"]["learning_rate"] == ["1e-3", "5e-4"]
    first, second = settings(config, "svae")
    assert (first["learning_rate"], second["learning_rate"]) == (0.001, 0.0005)
    assert first["eps"] == 1e-8
    assert repr(first["max_epochs"]) == "2"
    assert Scope.check(config).settings("svae")[0].name == "learning_rate=0.001"
    scope = Scope.check(changed("likelihood_samples", "1e2") | {"replicates": 2.0})
    assert (repr(scope.likelihood_samples), repr(scope.replicates)) == ("100", "2")
    assert Scope.check(changed("splits/random/held_out", "2e-1")).splits["random"].held_out == 0.2
    simulated = Scope.check(changed("datasets/simulated/parameters/genes", "2e1")).simulated["simulated"]
    assert simulated.parameters["genes"] == 20


def test_whole_numbers_keep_their_names():
    scope = Scope.check(method("svae", grid={"penalty": [1, 2.5]}))
    assert [setting.name for setting in scope.settings("svae")] == ["penalty=1", "penalty=2.5"]


@pytest.mark.parametrize(("name", "options"), [("gsfa", {"sweeps": 100}), ("perturbvi", {"effects": 5})])
def test_options_can_be_given_without_the_number_of_latents_which_the_scope_has(name, options):
    scope = Scope.check(method(name, options=options))
    assert [setting.options for setting in scope.settings(name)] == [options]


@pytest.mark.parametrize("name", FAMILY)
def test_options_of_a_model_are_those_of_its_class(name):
    """The signature that is read without torch is the one that Python sees."""
    from svae.models import model_class
    from svae.models.model import PerturbationModel

    classes = [kind for kind in model_class(name).__mro__ if issubclass(kind, PerturbationModel)]
    arguments = {argument for kind in classes for argument in signature(kind.__init__).parameters}
    arguments -= {"self", "adata", "control", "kwargs", "prior_options"}
    of_plan = set(PerturbationModel.training_plan.__globals__["TrainingPlan"].__dataclass_fields__)
    assert set(model_options(name).model_fields) == arguments | of_plan


@pytest.mark.parametrize(("name", "kind"), [("pca", PCA), ("ica", FastICA)])
def test_options_of_linear_methods_are_those_of_scikit_learn(name, kind):
    assert set(OPTIONS[name].model_fields) - {"n_latent"} <= set(signature(kind).parameters)


CLASS = '''
"""A model class of one file."""

from typing import Literal

from svae.models.family.svae import SVAE
from svae.values import Fraction


class Mine(SVAE):
    """Its own argument has a range; the others are those of its base."""

    def __init__(self, adata=None, share: Fraction = 0.5, mode: Literal["a", "b"] = "a", **kwargs):
        super().__init__(adata, **kwargs)
'''


def test_a_model_class_that_is_added_is_checked_as_well(tmp_path):
    checkout = Checkout.create(tmp_path / "repository")
    (checkout.path / "svae/models/family/mine.py").write_text(CLASS)
    for options, said in (
        ({"share": 0.1, "mode": "b", "penalty": 3, "initial_logit": 1, "max_epochs": 3}, ""),
        ({"share": 2}, "methods: mine: options: share: input should be less than or equal to 1"),
        ({"mode": "c"}, "mode 'c'"),
        ({"shar": 1}, "did you mean 'share'"),
    ):
        found = checkout.what_is_wrong(changed("methods/mine", {"options": options}))
        assert said in found
        assert bool(said) == bool(found), found


def test_options_of_a_program_are_only_checked_to_be_json(tmp_path):
    checkout = Checkout.create(tmp_path / "repository")
    (checkout.path / "rules/methods/mine.smk").write_text("")
    assert checkout.what_is_wrong(changed("methods/mine", {"options": {"anything": [1, {"a": None}]}})) == ""
    said = checkout.what_is_wrong(changed("methods/mine", {"grid": {"x": ["{a}"]}}))
    assert "methods: mine: grid: 'x={a}' cannot name a file" in said
    nine = {f"option_number_{i}_of_nine": ["a value of some length".replace(" ", "_")] for i in range(9)}
    assert "longer than 200 characters" in checkout.what_is_wrong(changed("methods/mine", {"grid": nine}))


FILES = {
    "repeated key": ("scope: x\nlatents: 2\nlatents: 3\n", "line 3: the key 'latents' stands twice"),
    "repeated method": (
        "scope: x\nmethods:\n  vae:\n  svae:\n  vae:\n",
        "line 5: the key 'vae' stands twice",
    ),
    "repeated key in JSON": ('{"scope": "x", "scope": "y"}', "the key 'scope' stands twice"),
    "octal number": ("scope: x\nseed: 010\n", "line 2: YAML reads 010 as 8; write that number"),
    "number of base 60": ("scope: x\ntimeout_minutes: 1:30\n", "line 2: YAML reads 1:30 as 90; write that"),
    "fraction of base 60": ("scope: x\na: [1:30.5]\n", "line 2: YAML reads 1:30.5 as 90.5"),
    "tag": ("scope: !!python/tuple [1]\n", "not valid YAML (line 1: could not determine a constructor"),
    "two documents": ("scope: x\n---\nscope: y\n", "not valid YAML (line 2: but found another document"),
    "tab": ("scope: x\ndatasets:\n\ta: 1\n", "not valid YAML (line 3"),
    "cycle": ("scope: x\nmetrics: &a [*a]\n", "metrics: 0: input should be a valid string"),
    "no mapping": ("- scope\n", "not a mapping of keys to values"),
    "empty": ("", "not a mapping of keys to values"),
    "not YAML": ("scope: [\n", "not valid YAML (line 2"),
    "no scope": ("latents: 3\n", "'scope' is a required property"),
}


@pytest.mark.parametrize(("text", "said"), FILES.values(), ids=FILES)
def test_a_file_that_is_no_config_is_told(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(BenchmarkError) as error:
        check_file(path, ROOT)
    assert str(error.value).startswith(f"{path}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("number", ["0", "0.5", "10", "0x1F", "-3", "1_000", "'010'", "00.5", "'1:30'"])
def test_other_numbers_are_what_they_look_like(tmp_path, number):
    path = tmp_path / "mine.yaml"
    path.write_text(f"a: {number}\nb: [{number}]\n")
    assert read_config(path)["a"] == yaml.safe_load(number)


def test_keys_that_a_merge_brings_may_recur(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: &b {<<: *a, x: 3}\nc: {<<: *b, x: 4}\n")
    with pytest.raises(BenchmarkError, match="unknown key 'a'"):
        check_file(path, ROOT)


def test_a_missing_config_file_is_told_with_those_that_are_there():
    program = [sys.executable, "-m", "svae.workflow.check", "config/dmeo.yaml"]
    run = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
    assert run.returncode != 0
    assert run.stderr.startswith("error: config/dmeo.yaml: no such file (there: ")
    assert " demo.yaml, " in run.stderr
    assert len(run.stderr.splitlines()) == 1


@pytest.mark.workflow
def test_the_default_config_is_read_only_where_none_is_named(checkout):
    (checkout.path / "config" / "tiny.yaml").write_text("latents: 2\n")
    code, said = checkout.try_snakemake("tiny", "--dry-run", "--quiet", "rules")
    assert code != 0
    assert "config/tiny.yaml: 'scope' is a required property" in said
    assert "results/demo" not in said
    assert "Traceback" not in said
