"""A config file that includes others is laid over them, and a mistake is told with the file that it is in."""

import pytest
import yaml
from checkout import ROOT
from snakemake.utils import update_config

from svae.errors import BenchmarkError
from svae.workflow.check import check_config, check_file
from svae.workflow.config_file import read_config
from svae.workflow.included import laid_over, with_included
from svae.workflow.scope import Scope

METHODS = {"seed": 3, "latents": 4, "methods": {"pca": None, "vae": {"restarts": 2}}, "reference": "pca"}
SIMULATOR = {"simulator": "corrected", "parameters": {"perturbations": 10}, "splits": ["some"]}
SPLIT = {"kind": "random", "held_out": 0.2}
FIRST = {
    "scope": "first",
    "title": "The first",
    "include": ["methods.yaml"],
    "datasets": {"a": SIMULATOR},
    "splits": {"some": SPLIT},
}
SECOND = {
    "scope": "second",
    "include": ["methods.yaml"],
    "latents": 5,
    "datasets": {"b": SIMULATOR},
    "splits": {"some": SPLIT},
}
BOTH = {"scope": "both", "include": ["first.yaml", "second.yaml"], "methods": {"ica": None}}


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Return a function that writes the files, some of them changed, and checks one of them."""
    monkeypatch.chdir(tmp_path)

    def run(path="both.yaml", **changed):
        for name, content in {"methods": METHODS, "first": FIRST, "second": SECOND, "both": BOTH}.items():
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content | changed.get(name, {})))
        return check_file(path, ROOT)

    return run


def test_a_scope_is_made_of_the_files_that_it_includes(check):
    scope = check()
    assert list(scope.datasets) == ["a", "b"]
    assert list(scope.methods) == ["pca", "vae", "ica"]
    assert (scope.seed, scope.reference, scope.methods["vae"].restarts) == (3, "pca", 2)


def test_later_files_are_laid_over_earlier_ones_and_the_scope_over_all(check):
    assert check().latents == 5, "second.yaml says so, and methods.yaml, which it is laid over, says 4"
    assert check(both={"latents": 6}).latents == 6


def test_the_name_and_the_title_are_its_own(check):
    scope = check()
    assert (scope.name, scope.title) == ("both", "both")
    with pytest.raises(BenchmarkError, match=r"^mine\.yaml: 'scope' is a required property"):
        Scope.check({"include": BOTH["include"]}, "mine.yaml")


def test_what_is_included_is_not_asked_for_again(check):
    """The whole config is packed into the supplement of a paper, where the files are not beside it."""
    check()
    whole = with_included(read_config("both.yaml"))
    assert "include" not in whole
    assert Scope.check(whole) == Scope.read("both.yaml")


def test_files_are_laid_over_each_other_as_snakemake_does_it():
    lower = {"a": {"x": 1, "y": [1, 2], "z": None}, "b": 1, "c": {"x": 1}}
    upper = {"a": {"y": [3], "z": {"x": 1}}, "b": {"x": 2}, "c": None, "d": {}}
    expected = {}
    for config in (lower, upper):
        update_config(expected, config)
    assert laid_over(lower, upper) == expected


MISTAKES = {
    "in an included file": (
        {"first": {"datasets": {"a": SIMULATOR | {"n_latent": 0}}}},
        "first.yaml: datasets: a: n_latent: ",
    ),
    "a file further down": (
        {"methods": {"reference": "pac"}},
        "methods.yaml: reference: unknown method 'pac'",
    ),
    "an unknown key": ({"second": {"lattents": 5}}, "second.yaml: unknown key 'lattents', did you mean"),
    "an unknown name": (
        {"methods": {"methods": {"pac": None}}},
        "methods.yaml: methods: unknown method 'pac'",
    ),
    "the value that counts": ({"second": {"latents": 0}}, "second.yaml: latents: "),
    "a section of two files": (
        {
            "first": {"splits": {"some": {"kind": "random"}}},
            "second": {"splits": {"some": {"validation": 0}}},
        },
        "first.yaml, second.yaml: splits: some: ",
    ),
    "what no file says": (
        {"both": {"include": ["methods.yaml"]}},
        "both.yaml: 'datasets' is a required property",
    ),
    "a missing file": (
        {"second": {"include": ["methds.yaml"]}},
        "second.yaml: include: methds.yaml: no such file (there: both.yaml, first.yaml, methods.yaml",
    ),
    "no list": ({"both": {"include": "first.yaml"}}, "both.yaml: include: should be a list of config files"),
    "a circle": (
        {"methods": {"include": ["first.yaml"]}},
        "methods.yaml: include: 'first.yaml' would include",
    ),
}


@pytest.mark.parametrize(("changed", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_file(check, changed, said):
    with pytest.raises(BenchmarkError) as error:
        check(**changed)
    assert str(error.value).startswith(said)


def test_a_key_that_stands_twice_is_told_with_its_line(check, tmp_path):
    check()
    (tmp_path / "first.yaml").write_text("scope: first\nseed: 1\nseed: 2\n")
    with pytest.raises(
        BenchmarkError, match=r"both\.yaml: include: first\.yaml: line 3: the key 'seed' stands"
    ):
        check_file("both.yaml", ROOT)


def test_of_several_files_that_snakemake_is_given_the_one_at_fault_is_named(check, tmp_path):
    check()
    (tmp_path / "over.yaml").write_text("replicates: 0\n")
    config = laid_over(read_config("both.yaml"), {"replicates": 0})
    with pytest.raises(BenchmarkError, match=r"^over\.yaml: replicates: "):
        check_config(config, ["both.yaml", "over.yaml"], ROOT)


@pytest.mark.parametrize("part", ["replogle", "norman"])
def test_the_paper_has_all_of_its_parts(part, monkeypatch):
    monkeypatch.chdir(ROOT)
    paper, alone = (Scope.read(ROOT / "config" / f"{name}.yaml") for name in ("paper", part))
    of_part = [job for job in paper.jobs if job.dataset == part and job.method != "oracle"]
    assert of_part == alone.jobs
    for job in alone.jobs:
        assert paper.settings_of(job, paper.training) == alone.settings_of(job, alone.training)
    assert paper.datasets[part] == alone.datasets[part]
    assert paper.simulated
    assert not alone.simulated
