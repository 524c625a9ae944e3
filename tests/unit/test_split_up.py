"""Splits that a scope asks for in one line: folds, and one pathway after the other."""

import copy
import json

import pytest
from checkout import ROOT

from svae.contracts.job import Job
from svae.datasets.split_plan import read_plan
from svae.errors import BenchmarkError
from svae.workflow.check import checked_scope
from svae.workflow.scope import Scope

SCOPE = {
    "scope": "x",
    "replicates": 2,
    "datasets": {"screen": {"path": "screen.h5ad", "label": "guide"}},
    "splits": {"each": {"kind": "each", "folds": 3}, "few": {"kind": "random", "held_out": 2}},
    "methods": {"vae": None, "pca": None},
}


@pytest.fixture
def config():
    return copy.deepcopy(SCOPE)


@pytest.fixture
def pathways(tmp_path):
    path = tmp_path / "pathways.json"
    path.write_text(json.dumps({"39S subunit, mt": ["A", "B"], "exosome": ["C", "D"]}))
    return str(path)


def test_an_entry_of_the_kind_each_makes_a_split_of_every_fold(config):
    scope = Scope.check(config)
    assert list(scope.splits) == ["each-1", "each-2", "each-3", "few"]
    assert [scope.splits[f"each-{fold}"].fold for fold in (1, 2, 3)] == [1, 2, 3]
    assert len({scope.splits[f"each-{fold}"].seed for fold in (1, 2, 3)}) == 1
    assert len(scope.jobs) == 4 * 2 * 2
    config["seed"] = 1
    assert Scope.check(config).splits["each-1"].seed != scope.splits["each-1"].seed


def test_a_dataset_that_names_the_entry_has_all_its_folds(config):
    config["datasets"]["screen"]["splits"] = ["each"]
    del config["splits"]["few"]
    assert {job.split for job in Scope.check(config).jobs} == {"each-1", "each-2", "each-3"}


def test_a_fold_survives_the_way_through_a_rule(config):
    fold = Scope.check(config).splits["each-2"]
    assert read_plan(fold.model_dump(exclude_defaults=True)) == fold
    few = Scope.check(config).splits["few"]
    assert read_plan(few.model_dump(exclude_defaults=True)) == few


def test_in_the_tables_folds_are_the_replicates_of_one_split(config):
    scope = Scope.check(config)
    rows = [scope.in_tables(job) for job in scope.jobs if job.method == "vae"]
    assert [row.replicate for row in rows if row.split == "each"] == [0, 3, 1, 4, 2, 5]
    assert [row.replicate for row in rows if row.split == "few"] == [0, 1]
    assert len(set(rows)) == len(rows)
    assert scope.in_tables(Job("screen", "each-3", 1, "pca")) == ("screen", "each", 5, "pca")


def test_a_fold_knows_the_others(config):
    scope = Scope.check(config)
    assert scope.other_folds("each-2") == ["each-1", "each-3"]
    assert scope.other_folds("few") == []


@pytest.mark.parametrize("held_out", ["each", ["39S subunit, mt", "exosome"]])
def test_a_list_of_pathways_makes_a_split_of_each(config, pathways, held_out):
    config["splits"] = {"by": {"kind": "pathway", "pathways": pathways, "held_out": held_out}}
    splits = Scope.check(config).splits
    assert {name: plan.held_out for name, plan in splits.items()} == {
        "by-39S_subunit_mt": "39S subunit, mt",
        "by-exosome": "exosome",
    }


def test_two_splits_of_one_name_are_refused(config):
    config["splits"]["each-2"] = {"kind": "random", "held_out": 1}
    with pytest.raises(BenchmarkError, match="splits: 'each-2' and 'each' both make a split called 'each-2'"):
        Scope.check(config, "x.yaml")


def test_a_file_of_pathways_that_is_not_there_is_told_by_its_key(config, tmp_path):
    config["datasets"]["screen"] |= {"path": str(tmp_path / "screen.h5ad")}
    (tmp_path / "screen.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n")
    missing = str(tmp_path / "no.json")
    config["splits"] = {"by": {"kind": "pathway", "pathways": missing, "held_out": "each"}}
    with pytest.raises(BenchmarkError, match="splits: by-each: pathways: there is no file"):
        checked_scope(config, ROOT, "x.yaml")


def test_simulated_data_have_draws_and_no_folds(config):
    config["datasets"] = {"drawn": {"simulator": "screen"}}
    with pytest.raises(BenchmarkError, match="splits: each: dataset 'drawn' is simulated, and its draws"):
        checked_scope(config, ROOT, "x.yaml")
