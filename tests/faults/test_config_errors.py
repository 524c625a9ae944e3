"""A mistake in a config file is told in one sentence that names the file, the key and what was meant."""

import copy

import pytest
from checkout import METHODS, ROOT, TINY

from svae.errors import BenchmarkError
from svae.workflow.check import checked_scope
from svae.workflow.scope import Scope


def changed(path: str, value: object) -> dict:
    """Return the tiny scope with one entry, at `path`, set to `value`."""
    config = copy.deepcopy({**TINY, "methods": dict(METHODS)})
    *parents, last = path.split("/")
    place = config
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return config


def real(**changes: object) -> dict:
    """Return the tiny scope on a real screen."""
    return changed("datasets", {"screen": {"source": "norman2019", "label": "guide"} | changes})


def local(path: str) -> dict:
    """Return the tiny scope on a file of this machine."""
    return changed("datasets", {"screen": {"path": path, "label": "guide"}})


MISTAKES = {
    "scope key": (changed("sed", 1), ["unknown key 'sed'", "'seed'"]),
    "dataset key": (
        changed("datasets/simulated/simulater", "corrected"),
        ["datasets: simulated", "'simulator'"],
    ),
    "method": (changed("methods/svea", None), ["methods", "unknown method 'svea'", "'svae'"]),
    "method without a rule file": (changed("methods/mine", None), ["methods", "rules/methods/mine.smk"]),
    "method option": (changed("methods/vae", {"gird": {}}), ["methods: vae", "'gird'", "'grid'"]),
    "metric": (changed("metrics", ["mcc_peerson"]), ["metrics", "'mcc_peerson'", "'mcc_pearson'"]),
    "reference": (changed("reference", "svae_pls"), ["reference", "'svae_pls'", "'svae_plus'"]),
    "selection rule": (changed("selection", {"rule": "urd"}), ["selection: rule", "'urd'", "'udr'"]),
    "oracle metric": (
        changed("selection", {"hindsight_metric": "target_f2"}),
        ["selection: hindsight_metric", "'target_f2'", "'target_f1'"],
    ),
    "fixed setting of a method": (
        changed("selection", {"fixed": {"vea": "default"}}),
        ["selection: fixed", "'vea'", "'vae'"],
    ),
    "split of a dataset": (
        changed("datasets/simulated/splits", ["randon"]),
        ["datasets: simulated", "'randon'", "'random'"],
    ),
    "method of a dataset": (
        changed("datasets/simulated/methods", ["pac"]),
        ["datasets: simulated", "'pac'", "'pca'"],
    ),
    "kind of split": (changed("splits/random/kind", "randon"), ["splits: random: kind", "'random'"]),
    "seeds": (changed("datasets/simulated/seeds", [0]), ["simulated: seeds has 1 entries", "2 replicates"]),
    "dataset from nowhere": (
        changed("datasets", {"screen": {"label": "guide"}}),
        ["datasets: screen", "simulator"],
    ),
    "dataset without label": (changed("datasets", {"screen": {"source": "norman2019"}}), ["screen", "label"]),
    "source": (real(source="norman2091"), ["datasets: screen: source", "'norman2091'", "'norman2019'"]),
    "simulator": (
        changed("datasets/simulated/simulator", "corected"),
        ["datasets: simulated: simulator", "'corected'", "'corrected'"],
    ),
    "parameter of a simulator": (
        changed("datasets/simulated/parameters/gens", 20),
        ["datasets: simulated: parameters", "'gens'", "'genes'"],
    ),
    "value of a parameter": (
        changed("datasets/simulated/parameters/genes", 0),
        ["datasets: simulated", "'corrected'", "genes is 0"],
    ),
    "name of a dataset": (
        changed("datasets", {"my screen": {"path": "x.h5ad", "label": "guide"}}),
        ["datasets: my screen"],
    ),
    "bound of a filter": (
        real(filters={"mito": {"above": 1}}),
        ["datasets: screen: filters: mito", "unknown key 'above'", "min"],
    ),
    "value of a filter": (real(filters={"mito": None}), ["datasets: screen: filters: mito", "None"]),
    "missing file": (local("data/scren.h5ad"), ["datasets: screen: path", "'data/scren.h5ad'"]),
    "misspelt file": (local("confg/demo.yaml"), ["datasets: screen: path", "a folder 'confg'"]),
    "path from home": (local("~/screen.h5ad"), ["datasets: screen: path", "~", "write the folder out"]),
    "path with braces": (local("data/{lane}.h5ad"), ["datasets: screen: path", "brace"]),
    "path of a folder": (local("config"), ["datasets: screen: path", "'config' is a folder"]),
    "missing gene lists": (
        real(gene_lists="config/replogle2022_gene_list.json"),
        ["datasets: screen: gene_lists", "did you mean 'config/replogle2022_gene_lists.json'"],
    ),
    "gene sets from home": (
        real(gene_sets="~/sets.gmt"),
        ["datasets: screen: gene_sets", "~", "write the folder out"],
    ),
    "missing pathways": (
        changed("splits/random", {"kind": "pathway", "held_out": "x", "pathways": "config/pathways.json"}),
        ["splits: random: pathways", "'config/pathways.json'"],
    ),
    "no file of pathways": (
        changed("splits/random", {"kind": "pathway", "held_out": "x"}),
        ["splits: random", "'pathways'"],
    ),
    "all of the perturbations": (
        changed("splits/random/held_out", 1.0),
        ["splits: random", "held_out is 1.0", "write 1"],
    ),
    "fraction of any size": (changed("splits/random/held_out", 1e308), ["held_out is 1e+308", "below 1"]),
    "range that counts down": (
        changed("splits/random", {"kind": "named", "held_out": ["p5..p2"]}),
        ["splits: random", "'p2..p5'"],
    ),
    "empty separator": (real(separator=""), ["datasets: screen: separator"]),
    "text as a bound": (
        real(filters={"mito": {"max": "low"}}),
        ["datasets: screen: filters: mito: max", "low"],
    ),
    "half a number": (
        changed("datasets/simulated/seeds", [0, 1.5]),
        ["datasets: simulated: seeds: 1", "1.5"],
    ),
    "seed of 33 bits": (
        changed("datasets/simulated/seeds", [2**32]),
        ["datasets: simulated: seeds: 0", "4294967295"],
    ),
    "number of any size": (
        changed("datasets/simulated/parameters/dispersion", 10**400),
        ["datasets: simulated: parameters", "dispersion", "must be a number"],
    ),
    "key that does not print": (changed("\x1b", 1), [r"unknown key '\x1b'"]),
    "key with a space": (changed(" seed", 1), ["unknown key ' seed'", "did you mean 'seed'"]),
    "accelerator": (changed("accelerator", "gpu"), ["accelerator", "'gpu'", "cuda"]),
    "dataset from two places": (
        changed("datasets/simulated/path", "x.h5ad"),
        ["datasets: simulated", "path"],
    ),
    "type": (changed("replicates", "two"), ["replicates", "'two'"]),
    "range": (changed("replicates", 0), ["replicates", "0"]),
}


def check(config: dict, where: str) -> None:
    """Check a config as the workflow does."""
    checked_scope(config, ROOT, where)


def refused_in_one_sentence(config, named):
    """Check that the message is one short sentence with the file and all that it should name."""
    with pytest.raises(BenchmarkError) as error:
        check(config, "config/mine.yaml")
    said = str(error.value)
    assert said.startswith("config/mine.yaml: ")
    assert "\n" not in said
    assert len(said) < 400
    for name in named:
        assert name in said, said


@pytest.mark.parametrize(("config", "named"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_is_told_in_one_sentence(config, named):
    refused_in_one_sentence(config, named)


def test_the_tiny_scope_has_no_mistake():
    check(TINY, "tiny.yaml")
    check(real(), "tiny.yaml")


def test_a_zarr_store_is_told(tmp_path):
    (tmp_path / "screen.zarr").mkdir()
    with pytest.raises(BenchmarkError, match=r"mine\.yaml: datasets: screen: path: .* is a zarr store"):
        check(local(str(tmp_path / "screen.zarr")), "mine.yaml")


def test_missing_key():
    with pytest.raises(BenchmarkError, match=r"mine\.yaml: 'splits' is a required property"):
        Scope.check({key: value for key, value in TINY.items() if key != "splits"}, "mine.yaml")


@pytest.mark.workflow
@pytest.mark.parametrize("mistake", ["method", "source"])
def test_snakemake_shows_the_sentence_and_no_traceback(checkout, mistake):
    config, named = MISTAKES[mistake]
    checkout.write_scope(config)
    code, said = checkout.try_snakemake("tiny", "--dry-run")
    assert code != 0
    assert "Traceback" not in said
    assert len(said.splitlines()) < 6, said
    assert all(name in said for name in ["config/tiny.yaml", *named]), said
