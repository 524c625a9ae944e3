import json

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts.pathways import read_pathways
from svae.contracts.split import read_split, validate_split, write_split
from svae.datasets.split_plan import Fold, SplitPlan
from svae.datasets.splits import split, split_dataset
from svae.errors import BenchmarkError
from svae.options import checked
from svae.seeds import seed_from


def plan(kind, held_out, **options):
    """What to hold out, as a config file says it."""
    return checked(SplitPlan, {"kind": kind, "held_out": held_out} | options, "split")


def screen(sizes):
    """Perturbation of each cell of a screen, in no particular order."""
    labels = np.repeat(list(sizes), list(sizes.values()))
    labels = np.random.default_rng(0).permutation(labels)
    return pd.Series(pd.Categorical(labels), index=[f"cell{i}" for i in range(len(labels))])


@pytest.fixture
def labels():
    return screen({f"p{k:02d}": 20 + k for k in range(20)} | {"control": 50})


def held_out(table):
    return set(table.loc[table["part"].isin(["adapt", "test"]), "perturbation"])


@pytest.mark.parametrize(("asked", "number"), [(0.2, 4), (0.01, 1), (5, 5)])
def test_random_holds_out_what_is_asked_and_never_the_control(labels, asked, number):
    draws = [held_out(split(labels, plan("random", asked), seed)) for seed in range(8)]
    assert all(len(draw) == number and "control" not in draw for draw in draws)
    assert len({frozenset(draw) for draw in draws}) > 1
    assert draws[3] == held_out(split(labels, plan("random", asked), 3))


def test_parts_are_halves_and_tenths_within_each_perturbation(labels):
    table = split(labels, plan("named", ["p03", "p04"]), 0)
    assert list(table["cell"]) == list(labels.index)
    assert list(table["perturbation"]) == list(labels.astype(str))
    sizes = pd.crosstab(table["perturbation"], table["part"])
    assert sizes.loc["p03"].to_dict() == {"adapt": 11, "test": 12, "train": 0, "validation": 0}
    assert sizes.loc["p04"].to_dict() == {"adapt": 12, "test": 12, "train": 0, "validation": 0}
    assert sizes.loc["control"].to_dict() == {"adapt": 0, "test": 0, "train": 45, "validation": 5}
    trained = sizes.drop(index=["p03", "p04"])
    assert ((trained["validation"] - trained.sum(axis=1) / 10).abs() <= 0.5).all()


def test_validation_can_be_larger_or_none(labels):
    half = split(labels, plan("named", ["p03"], validation=0.5), 0)["part"].value_counts()
    assert half["validation"] == pytest.approx(half["train"], abs=20)
    assert "validation" not in set(split(labels, plan("named", ["p03"], validation=0), 0)["part"])


def test_cells_depend_on_the_seed_and_not_on_the_other_perturbations(labels):
    first, other = split(labels, plan("named", ["p03"]), 1), split(labels, plan("named", ["p03"]), 2)
    assert (first["part"] != other["part"]).any()
    fewer = split(labels[labels != "p00"], plan("named", ["p03"]), 1).set_index("cell")["part"]
    assert (first.set_index("cell")["part"].loc[fewer.index] == fewer).all()


def test_the_last_twenty_of_the_paper_are_a_range():
    labels = screen({f"p{k:02d}": 5 for k in range(100)})
    assert held_out(split(labels, plan("named", ["p80..p99"]), 0)) == {f"p{k}" for k in range(80, 100)}
    assert held_out(split(labels, plan("named", ["p01", "p08..p11"]), 0)) == {
        "p01",
        "p08",
        "p09",
        "p10",
        "p11",
    }


def test_a_pathway_of_the_screen_is_held_out(shared_data):
    path = str(shared_data / "replogle2022_gene_lists.json")
    pathways = read_pathways(path)
    members = pathways["exosome"]
    labels = screen(dict.fromkeys([*members[:15], *pathways["mediator_complex"], "control"], 10))
    table = split(labels, plan("pathway", "exosome", pathways=path), 0)
    assert held_out(table) == set(members[:15])
    with pytest.raises(BenchmarkError, match="unknown pathway 'exosom', did you mean 'exosome'"):
        split(labels, plan("pathway", "exosom", pathways=path), 0)
    with pytest.raises(BenchmarkError, match="'exosome' has 1 perturbations in the dataset, but needs 2"):
        split(labels[~labels.isin(members[1:])], plan("pathway", "exosome", pathways=path), 0)


@pytest.mark.parametrize(
    ("kind", "asked", "message"),
    [
        ("randm", 1, "unknown kind 'randm', did you mean 'random'"),
        ("random", 0, "held_out is 0, but must be a number of perturbations.* or a fraction"),
        ("random", float("nan"), "held_out is nan, but must be a number of perturbations"),
        ("random", "p01", "held_out is 'p01', but must be a number of perturbations.* or a fraction"),
        ("largest_effect", ["p01"], r"held_out is \['p01'\], but must be a number of perturbations"),
        ("random", 2.5, "held_out is 2.5, but a fraction of the perturbations is below 1$"),
        ("random", 1.0, "held_out is 1.0, but a fraction.* is below 1; for 1 of them, write 1$"),
        ("random", 21, "mine: splits: s: held_out is 21, but the dataset has 20 perturbations"),
        ("random", 20, "mine: splits: s: all 20 perturbations would be held out"),
        ("named", ["p1"], "mine: splits: s: held_out: unknown perturbation 'p1', did you mean 'p1[0-9]'"),
        ("named", ["p18..p22"], "unknown perturbation 'p20'"),
        ("named", ["p05..p02"], "the range 'p05..p02' counts down; write 'p02..p05'"),
        ("named", ["p0..p999999999"], "the range 'p0..p999999999' has 1,000,000,000 names"),
        ("named", ["control"], "held_out names 'control', which is never held out"),
        ("named", [], r"held_out is \[\]; name at least one"),
        ("named", 3, "held_out is 3, but must be a list"),
        ("pathway", "exosome", "the kind 'pathway' needs the key 'pathways'"),
    ],
)
def test_bad_choices_are_one_sentence(labels, kind, asked, message):
    with pytest.raises(BenchmarkError, match=message) as caught:
        split(labels, plan(kind, asked), 0, where="mine: splits: s")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "asked", "message"),
    [
        ("pathway", 3, "held_out is 3, but must be the name of a pathway"),
        ("pathway", [], r"held_out is \[\], but must be the name of a pathway"),
        ("random", 0.2, "the kind 'random' does not take the key 'pathways'"),
    ],
)
def test_a_file_of_pathways_goes_with_the_name_of_one(kind, asked, message):
    with pytest.raises(BenchmarkError, match=f"splits: s: {message}"):
        checked(SplitPlan, {"kind": kind, "held_out": asked, "pathways": "lists.json"}, "splits: s")


def folds(number, seed=0):
    """All folds that a plan of the kind `each` stands for."""
    entry = {"kind": "each", "folds": number, "of": "each", "seed": seed}
    return [Fold.model_validate(entry | {"fold": fold}) for fold in range(1, number + 1)]


def test_each_perturbation_is_held_out_in_one_fold(labels):
    dealt = [held_out(split(labels, fold, seed=7)) for fold in folds(6)]
    assert sorted(name for names in dealt for name in names) == [f"p{k:02d}" for k in range(20)]
    assert sorted(len(names) for names in dealt) == [3, 3, 3, 3, 4, 4]
    again = [held_out(split(labels, fold, seed=8)) for fold in folds(6)]
    assert again == dealt, "another replicate splits the cells anew, and holds out the same"
    assert [held_out(split(labels, fold, seed=7)) for fold in folds(6, seed=1)] != dealt


def test_folds_have_about_equal_numbers_of_cells():
    """Large perturbations go to different folds, whatever the seed."""
    labels = screen({"a": 400, "b": 400} | {f"p{k}": 20 for k in range(6)} | {"control": 50})
    for seed in range(5):
        first, second = (held_out(split(labels, fold, 0)) for fold in folds(2, seed))
        assert ("a" in first) != ("b" in first)
        assert len(first) == len(second) == 4


def test_there_are_no_more_folds_than_perturbations(labels):
    with pytest.raises(BenchmarkError, match="s: folds is 21, but the dataset has 20 perturbations"):
        split(labels, folds(21)[0], 0, where="s")


def test_a_plan_of_several_splits_is_none_itself(labels):
    several = SplitPlan.model_validate({"kind": "each"})
    with pytest.raises(BenchmarkError, match="s: the plan stands for several splits"):
        split(labels, several, 0, where="s")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"kind": "each", "held_out": 3}, "the kind 'each' does not take the key 'held_out'"),
        ({"kind": "random"}, "the kind 'random' needs the key 'held_out'"),
        ({"kind": "random", "held_out": 3, "folds": 4}, "'random' does not take the key 'folds'"),
        ({"kind": "each", "folds": 1}, "folds"),
    ],
)
def test_folds_go_with_their_kind(entry, message):
    with pytest.raises(BenchmarkError, match=message):
        checked(SplitPlan, entry, "splits: s")


def with_batches(labels, batches):
    """A dataset of cells with labels and batches."""
    obs = pd.DataFrame({"perturbation": labels, "batch": pd.Categorical(batches)}, index=labels.index)
    dataset = ad.AnnData(sparse.csr_matrix(np.ones((len(labels), 2))), obs=obs)
    dataset.uns["dataset"] = {"batch": "lane"}
    return dataset


def test_a_batch_that_no_model_sees_in_training_is_told_by_the_split(labels):
    batches = np.where(labels == "p03", "L3", "L1")
    dataset = with_batches(labels, batches)
    with pytest.raises(BenchmarkError) as caught:
        split_dataset(dataset, plan("named", ["p02", "p03"]), 0, "local.h5ad: splits: s")
    said = str(caught.value)
    assert said.startswith(
        "local.h5ad: splits: s: batch 'L3' of obs['lane'] has held-out cells (of perturbation 'p03')"
    )
    assert held_out(split_dataset(dataset, plan("named", ["p02"]), 0)) == {"p02"}


def test_a_batch_of_validation_cells_alone_is_trained_on(labels):
    chosen = plan("named", ["p02", "p03"])
    before = split(labels, chosen, 0)
    validation, test = (before.index[before["part"] == part] for part in ("validation", "test"))
    batches = pd.Series("L1", before.index)
    batches[[validation[0], test[0]]] = "L2"
    batches[validation[1]] = "L3"
    after = split_dataset(with_batches(labels, batches.to_numpy()), chosen, 0)
    changed = after.index[after["part"] != before["part"]]
    assert set(changed) == set(validation[:2])
    assert set(after.loc[changed, "part"]) == {"train"}


def test_the_seed_reaches_the_effect_sizes(monkeypatch, labels):
    """They are drawn from where a screen has many genes, so a scope's seed has to arrive there."""
    seeds = []

    def effect_sizes(dataset, seed, where):
        seeds.append(seed)
        return pd.Series(range(20), index=[f"p{k:02d}" for k in range(20)])

    monkeypatch.setattr("svae.datasets.effects.effect_sizes", effect_sizes)
    dataset = ad.AnnData(sparse.csr_matrix(np.ones((len(labels), 2))), obs=labels.to_frame("perturbation"))
    for seed in (1, 2):
        assert held_out(split_dataset(dataset, plan("largest_effect", 1), seed)) == {"p19"}
    assert seeds == [seed_from(1, "effects"), seed_from(2, "effects")]


def test_perturbations_need_enough_cells():
    labels = screen({"few": 3, "one": 1, "many": 10})
    with pytest.raises(BenchmarkError, match="'few' has 3 cells, but needs 4 to be held out"):
        split(labels[labels != "one"], plan("named", ["few"]), 0)
    with pytest.raises(BenchmarkError, match="'one' has 1 cells, but needs 2 to be trained on"):
        split(labels, plan("named", ["many"]), 0)
    table = split(labels, plan("named", ["few"]), 0, min_cells_held_out=2, min_cells_trained=1)
    assert table.loc[table["perturbation"] == "one", "part"].tolist() == ["train"]
    with pytest.raises(BenchmarkError, match=r"validation: .* less than 1 .*1\.0"):
        split(labels, plan("named", ["few"], validation=1.0), 0)


def test_a_split_is_read_as_written(tmp_path):
    labels = screen({"NA": 6, "nan": 6, "p": 6})
    table = split(labels, plan("named", ["NA"]), 0)
    path = tmp_path / "splits" / "rep0.tsv.gz"
    write_split(table, path, labels)
    pd.testing.assert_frame_equal(read_split(path, labels), table)
    with pytest.raises(BenchmarkError, match="not those of the dataset"):
        read_split(path, labels[::-1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="part"), r"column 'part' is missing \(has cell, perturbation\)"),
        (lambda t: t.assign(part=t["part"].replace("test", "tests")), "unknown part 'tests'.*'test'"),
        (lambda t: pd.concat([t, t.iloc[[0]]]), "occurs more than once"),
        (lambda t: t.assign(part=t["part"].replace("adapt", "train")), "both trained on and held out"),
        (lambda t: t.assign(part=t["part"].replace("adapt", "test")), "'p03' lacks cells to adapt on"),
        (lambda t: t[t["part"] != "train"], "no cell has the part 'train'"),
        (lambda t: t.iloc[1:], "not those of the dataset"),
        (
            lambda t: t.assign(perturbation=t["perturbation"].replace("p05", "p5")),
            "is labelled 'p5', but 'p05' in the dataset",
        ),
    ],
)
def test_a_broken_split_is_told_by_its_file(labels, change, message):
    table = split(labels, plan("named", ["p03"]), 0)
    validate_split(table, "rep0.tsv.gz", labels)
    with pytest.raises(BenchmarkError, match=message) as caught:
        validate_split(change(table), "rep0.tsv.gz", labels)
    assert str(caught.value).startswith("rep0.tsv.gz")


def test_pathway_files_of_the_wrong_kind_are_told(tmp_path):
    path = tmp_path / "lists.json"
    with pytest.raises(BenchmarkError, match="no such file"):
        read_pathways(path)
    path.write_text("{")
    with pytest.raises(BenchmarkError, match="not a readable JSON file"):
        read_pathways(path)
    path.write_text(json.dumps({"pathways": {"exosome": "EXOSC1"}}))
    with pytest.raises(BenchmarkError, match="not a mapping of pathway to a list"):
        read_pathways(path)
    path.write_text(json.dumps({"exosome": ["EXOSC1"]}))
    assert read_pathways(path) == {"exosome": ["EXOSC1"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"exosome\tsource\tEXOSC1\n\n\xe9", "sets.gmt: not text in UTF-8"),
        (b"exosome\tsource\tEXOSC1\n\nalone", "sets.gmt: line 3 has not name, description and genes"),
        (b"a\tsource\tG1\na\tsource\tG2", "sets.gmt: line 2: there is another gene set 'a' above"),
    ],
)
def test_a_bad_line_of_gene_sets_is_told(tmp_path, content, message):
    path = tmp_path / "sets.gmt"
    path.write_bytes(content)
    with pytest.raises(BenchmarkError, match=message):
        read_pathways(path)


def test_empty_lines_between_gene_sets_are_passed_over(tmp_path):
    path = tmp_path / "sets.gmt"
    path.write_text("a\tsource\tG1\n\nb\tsource\tG2\tG3\n")
    assert read_pathways(path) == {"a": ["G1"], "b": ["G2", "G3"]}
