import hashlib
import json
import logging

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
from checkout import ROOT
from scipy import sparse
from snakemake.utils import update_config

from svae.contracts.dataset import validate_dataset
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare as prepare_file
from svae.errors import BenchmarkError
from svae.options import checked
from svae.workflow.config_file import read_config
from svae.workflow.scope import Scope

LABELS = ["A_B"] * 3 + ["B_A"] * 2 + ["A_ctrl"] * 4 + ["ctrl"] * 6 + ["C"] * 2 + [None]
COUNTS = np.random.default_rng(0).poisson(3.0, size=(len(LABELS), 5)) + np.eye(len(LABELS), 5, dtype=int)


@pytest.fixture
def screen():
    """Return a small screen as published, with labels and covariates of several kinds."""
    n = len(LABELS)
    obs = pd.DataFrame(
        {
            "guide": pd.Categorical(LABELS),
            "lane": pd.Categorical([str(i % 3) for i in range(n)]),
            "mito": np.linspace(0, 0.3, n),
        },
        index=[f"AAAC-{i}" for i in range(n)],
    )
    var = pd.DataFrame(
        {"symbol": ["TP53", "TBCE", "MYC", "TBCE", "ACTB"]}, index=[f"ENSG{g}" for g in range(5)]
    )
    return ad.AnnData(sparse.csr_matrix(COUNTS.astype(np.float32)), obs=obs, var=var)


def prepare(path, label, control=None, seed=0, name=None, **options):
    """Prepare a file with the options of a config file."""
    return prepare_file(path, Preparation(label=label, control=control, **options), seed, name)


@pytest.fixture(autouse=True)
def _messages(caplog):
    caplog.set_level(logging.INFO, logger="svae")


def written(adata, tmp_path):
    path = tmp_path / "screen.h5ad"
    adata.write_h5ad(path)
    return path


def test_a_real_screen(shared_data):
    path = shared_data / "papalexi2021_thp1.h5ad"
    raw = ad.read_h5ad(path)
    dataset = prepare(
        path,
        "perturbation",
        "control",
        batch="batch",
        filters={"guide_frac": {"min": 0.6}},
        name="papalexi2021",
        citation="Papalexi et al., Nat Genet 53:322 (2021)",
    )
    kept = raw[raw.obs["guide_frac"] >= 0.6]
    assert list(dataset.obs_names) == list(kept.obs_names)
    assert (dataset.X != kept.X).nnz == 0
    assert (dataset.obs["perturbation"].astype(str) == kept.obs["perturbation"].astype(str)).all()
    assert (dataset.obs["batch"].astype(str) == kept.obs["batch"].astype(str)).all()
    assert dataset.uns["dataset"]["name"] == "papalexi2021"
    assert dataset.uns["dataset"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_scope_papalexi_merges_the_guides_of_a_panel_to_the_knock_outs(shared_data):
    panel = shared_data / "papalexi2021_thp1.h5ad"
    config = read_config(ROOT / "config" / "papalexi.yaml")
    update_config(config, read_config(ROOT / "config" / "panel" / "papalexi2021_thp1.yaml"))
    dataset = prepare_file(panel, Scope.check(config).real["papalexi"].preparation)
    of_panel = ad.read_h5ad(panel).obs.loc[dataset.obs_names]
    assert (dataset.obs["perturbation"].astype(str) == of_panel["perturbation"].astype(str)).all()
    assert (dataset.obs["guide"].astype(str) == of_panel["guide"].astype(str)).all()
    assert dataset.obs.groupby("perturbation", observed=True)["guide"].nunique().min() == 3


def test_most_variable_genes_and_fewer_cells_of_a_real_screen(shared_data, caplog):
    dataset = prepare(
        shared_data / "papalexi2021_thp1.h5ad",
        "perturbation",
        "control",
        top_genes=50,
        max_cells=40,
        max_control_cells=900,
    )
    assert dataset.n_vars >= 50
    assert {"STAT1", "JAK2", "IFNGR2"} <= set(dataset.var_names), "they are knocked out"
    sizes = dataset.obs["perturbation"].value_counts()
    assert len(sizes) == 26
    assert sizes.drop("control").max() == 40
    assert "cells without counts in the chosen genes" in caplog.text or dataset.n_obs == 25 * 40 + 900


def test_combinations_of_a_real_screen_are_put_in_order_when_asked(shared_data):
    path = shared_data / "norman2019_k562_small.h5ad"
    labels = ad.read_h5ad(path).obs["perturbation"].astype(str)
    as_they_are = prepare(path, "perturbation", "control")
    assert (as_they_are.obs["perturbation"].astype(str) == labels).all()
    in_order = prepare(path, "perturbation", "control", separator="+").obs["perturbation"].astype(str)
    assert (in_order == labels.map(lambda label: "+".join(sorted(label.split("+"))))).all()
    assert (in_order != labels).any()


def test_labels_become_the_convention(screen, tmp_path, caplog):
    dataset = prepare(written(screen, tmp_path), "guide", "ctrl", separator="_", batch="lane")
    assert dataset.obs["perturbation"].value_counts().to_dict() == {"control": 6, "A+B": 5, "A": 4, "C": 2}
    assert dataset.X.dtype == np.int32
    np.testing.assert_array_equal(dataset.X.toarray(), COUNTS[:-1])
    assert dataset.obs["batch"].dtype == "category"
    assert dataset.uns["dataset"]["name"] == "screen"
    assert "screen.h5ad: left out 1 cells without a label" in caplog.text


@pytest.mark.parametrize("kind", [np.asarray, sparse.csc_matrix, sparse.csr_matrix])
@pytest.mark.parametrize("layer", [None, "raw"])
def test_counts_are_read_from_any_kind_of_matrix(screen, tmp_path, kind, layer):
    matrix = kind(COUNTS.astype(np.float32))
    if layer is None:
        screen.X = matrix
    else:
        screen.layers["raw"] = matrix
        screen.X = screen.X * 0.5
    dataset = prepare(written(screen, tmp_path), "guide", layer=layer, filters={"mito": {"min": 0.1}})
    kept = screen.obs["mito"].to_numpy() >= 0.1
    np.testing.assert_array_equal(dataset.X.toarray(), COUNTS[kept & screen.obs["guide"].notna().to_numpy()])


def test_a_file_is_read_in_blocks(screen, tmp_path, monkeypatch):
    monkeypatch.setattr("svae.datasets.blocks.ROWS_AT_ONCE", 4)
    dataset = prepare(written(screen, tmp_path), "guide", filters={"guide": ["C", "A_B"]})
    rows = [i for i, label in enumerate(LABELS) if label in ("C", "A_B")]
    np.testing.assert_array_equal(dataset.X.toarray(), COUNTS[rows])
    assert list(dataset.obs_names) == [f"AAAC-{i}" for i in rows]


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"lane": 1}, 6),
        ({"lane": ["0", "2"]}, 11),
        ({"mito": {"max": 0.1}}, 6),
        ({"mito": {"min": 0.1, "max": 0.2}, "lane": "1"}, 2),
    ],
)
def test_filters_keep_the_cells_they_name(screen, tmp_path, filters, kept):
    assert prepare(written(screen, tmp_path), "guide", filters=filters).n_obs == kept


def test_perturbations_are_chosen_beside_the_control(screen, tmp_path):
    path = written(screen, tmp_path)
    with_control = prepare(path, "guide", "ctrl", separator="_", perturbations=["A"])
    assert set(with_control.obs["perturbation"]) == {"A", "control"}
    without = prepare(path, "guide", separator="_", perturbations=["C"])
    assert set(without.obs["perturbation"]) == {"C"}


def test_small_perturbations_are_left_out_and_large_ones_thinned(screen, tmp_path, caplog):
    path = written(screen, tmp_path)
    dataset = prepare(path, "guide", "ctrl", separator="_", min_cells=3, max_cells=4)
    assert dataset.obs["perturbation"].value_counts().to_dict() == {"control": 4, "A+B": 4, "A": 4}
    assert "left out 1 perturbations with fewer than 3 cells (C)" in caplog.text
    again = prepare(path, "guide", "ctrl", separator="_", min_cells=3, max_cells=4)
    assert list(again.obs_names) == list(dataset.obs_names)


def test_cells_that_are_drawn_depend_on_the_seed_and_not_on_other_perturbations(screen, tmp_path):
    path = written(screen, tmp_path)

    def drawn(seed, **options):
        return list(prepare(path, "guide", "ctrl", seed, separator="_", max_cells=3, **options).obs_names)

    assert len({tuple(drawn(seed)) for seed in range(5)}) > 1
    assert set(drawn(1, perturbations=["A"])) < set(drawn(1))


def test_a_dataset_says_how_its_genes_were_chosen(screen, tmp_path):
    path = written(screen, tmp_path)
    told = {
        "all 5 in the file": {},
        "all 2 named in the scope": {"genes": ["ENSG0", "ENSG1"]},
    }
    for said, options in told.items():
        assert prepare(path, "guide", **options).uns["dataset"]["genes"] == said
    counts = np.random.default_rng(0).poisson(np.arange(1, 61), size=(200, 60)).astype(np.float32)
    many = ad.AnnData(
        sparse.csr_matrix(counts), obs=pd.DataFrame({"guide": ["A", "B"] * 100}, dtype="category")
    )
    path = written(many, tmp_path)
    on_all = prepare(path, "guide", top_genes=30, top_genes_on="all")
    said = on_all.uns["dataset"]["genes"]
    assert said == "the 30 most variable of 60 in the file, chosen on all cells, held-out ones included"
    on_control = prepare(path, "guide", "A", top_genes=30)
    assert (
        on_control.uns["dataset"]["genes"]
        == "the 30 most variable of 60 in the file, chosen on control cells"
    )
    assert on_all.n_vars == on_control.n_vars == 30
    alone = prepare(path, "guide", filters={"guide": "A"}, top_genes=30, top_genes_on="all")
    assert list(on_control.var_names) == list(alone.var_names) != list(on_all.var_names)


def test_gene_lists_of_a_study_are_read_from_their_file(screen, tmp_path):
    lists = tmp_path / "lists.json"
    lists.write_text('{"perturbations": ["C", "A"], "genes": ["ENSG1", "ENSG3"], "pathways": {}}')
    dataset = prepare(written(screen, tmp_path), "guide", "ctrl", separator="_", gene_lists=str(lists))
    assert set(dataset.obs["perturbation"]) == {"A", "C", "control"}
    assert list(dataset.var_names) == ["ENSG1", "ENSG3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a readable JSON file"),
        ('{"gens": ["ENSG1"]}', "holds neither a list 'perturbations' nor a list 'genes'"),
        ("[1]", "holds neither a list 'perturbations' nor a list 'genes'"),
        ('{"genes": "ENSG1"}', "'genes' is not a list of names"),
        ('{"genes": []}', "'genes' is not a list of names"),
    ],
)
def test_gene_lists_of_the_wrong_kind_are_told(screen, tmp_path, text, message):
    lists = tmp_path / "lists.json"
    lists.write_text(text)
    with pytest.raises(BenchmarkError, match=rf"lists\.json: {message}"):
        prepare(written(screen, tmp_path), "guide", gene_lists=str(lists))


def test_genes_are_chosen_by_symbol_and_repeated_symbols_told_apart(screen, tmp_path):
    dataset = prepare(written(screen, tmp_path), "guide", gene_column="symbol", genes=["TBCE", "MYC"])
    assert list(dataset.var_names) == ["TBCE", "MYC", "TBCE-1"]
    assert list(dataset.var["gene_id"]) == ["ENSG1", "ENSG2", "ENSG3"]


def test_names_in_the_list_of_a_study_need_not_be_there_but_those_of_a_scope_do(screen, tmp_path, caplog):
    path, lists = written(screen, tmp_path), tmp_path / "lists.json"
    wanted = {"perturbations": ["C", "Z"], "genes": ["ENSG1", "GONE"]}
    lists.write_text(json.dumps(wanted))
    dataset = prepare(path, "guide", gene_lists=str(lists))
    assert set(dataset.obs["perturbation"]) == {"C"}
    assert list(dataset.var_names) == ["ENSG1"]
    assert "left out 1 perturbation names that are not in the file (Z)" in caplog.text
    assert "left out 1 gene names that are not in the file (GONE)" in caplog.text
    for key, absent in (("perturbations", "Z"), ("genes", "GONE")):
        with pytest.raises(BenchmarkError, match=rf"screen\.h5ad: unknown {key[:-1]} '{absent}'"):
            prepare(path, "guide", **{key: wanted[key]})


def test_a_cell_without_counts_in_the_chosen_genes_is_left_out(screen, tmp_path, caplog):
    counts = COUNTS.copy()
    counts[15, 0] = 0
    counts[16, 0] = 0
    counts[:15, 0] = 1
    screen.X = sparse.csr_matrix(counts)
    dataset = prepare(written(screen, tmp_path), "guide", genes=["ENSG0"])
    assert dataset.n_obs == 15
    assert "C" not in dataset.obs["perturbation"].cat.categories
    assert "left out 2 cells without counts in the chosen genes" in caplog.text
    validate_dataset(dataset, "dataset")


def spoil(value):
    def change(screen):
        screen.X[3, 2] = value

    return change


def relabel(old, new):
    def change(screen):
        screen.obs["guide"] = screen.obs["guide"].cat.rename_categories({old: new})

    return change


def repeat_cell(screen):
    screen.obs_names = ["AAAC-1", *screen.obs_names[1:]]


def nothing(screen):
    pass


@pytest.mark.parametrize(
    ("change", "parameters", "message"),
    [
        (nothing, {"label": "guides"}, "unknown column of obs 'guides', did you mean 'guide'.*lane, mito"),
        (nothing, {"control": "ctl"}, r"obs\['guide'\]: unknown control label 'ctl', did you mean 'ctrl'"),
        (nothing, {"batch": "line"}, "unknown column of obs 'line', did you mean 'lane'"),
        (nothing, {"layer": "counts"}, "unknown layer 'counts'"),
        (nothing, {"filters": {"mitos": {"max": 1}}}, "unknown column of obs 'mitos', did you mean 'mito'"),
        (nothing, {"filters": {"lane": {"min": 1}}}, "filter 'lane': obs.* is not numeric"),
        (nothing, {"filters": {"lane": "7"}}, "filter 'lane': unknown value '7'"),
        (nothing, {"filters": {"mito": {"min": 1}}}, "no cell is left of 18"),
        (nothing, {"genes": ["ENSF0"]}, "unknown gene 'ENSF0', did you mean 'ENSG0'"),
        (nothing, {"gene_column": "symbols"}, "unknown column of var 'symbols', did you mean 'symbol'"),
        (nothing, {"perturbations": ["CC"]}, "unknown perturbation 'CC', did you mean 'C'"),
        (
            relabel("C", "nan"),
            {},
            r"obs\['guide'\]: 2 cells are labelled 'nan', which reads like a missing label",
        ),
        (
            relabel("C", "control"),
            {"control": "ctrl"},
            r"obs\['guide'\]: 2 cells are labelled 'control', beside those of the control 'ctrl'",
        ),
        (
            relabel("C", "C_control"),
            {"control": "ctrl", "separator": "_"},
            "2 cells are labelled 'C_control', beside those of the control 'ctrl'",
        ),
        (
            relabel("C", "CTRL"),
            {"control": "ctrl"},
            "2 cells are labelled 'CTRL', which reads like a control",
        ),
        (relabel("C", "Control"), {}, "2 cells are labelled 'Control', which reads like a control; name it"),
        (relabel("C", "A_B "), {}, "labelled 'A_B', and others 'A_B ', which differ by spaces alone"),
        (relabel("C", "C__"), {"separator": "_"}, "labelled 'C__', in which the separator '_' joins nothing"),
        (nothing, {"separator": ";"}, r"obs\['guide'\]: the separator ';' is in no label"),
        (nothing, {"control": "ctrl", "min_cells": 6}, "only control cells are left of 18"),
        (
            nothing,
            {"top_genes": 4, "top_genes_on": "all"},
            "top_genes: the variability of 5 genes in 17 cells cannot be ranked",
        ),
        (nothing, {"top_genes": 4}, "top_genes: they are chosen on control cells, and there are none; name"),
        (
            relabel("C", "C_1"),
            {"separator": "_"},
            r"2 cells are labelled 'C_1', of which the separator '_' makes a perturbation '1', which reads "
            r"like the number of a guide; to merge guides, give `guide_pattern: \(\.\+\)_\[0-9\]\+`",
        ),
        (
            nothing,
            {"guide_pattern": "(A).*"},
            "labelled 'ctrl', but 'ctrl' is not matched by the guide_pattern",
        ),
        (
            nothing,
            {"control_pattern": "NT.*"},
            r"obs\['guide'\]: the control_pattern 'NT.\*' matches no label",
        ),
        (nothing, {"control": ["ctrl", "NT"]}, "unknown control label 'NT'"),
        (nothing, {"guide": "guid"}, "unknown column of obs 'guid', did you mean 'guide'"),
        (nothing, {"label": ["guide", "dose"]}, "unknown column of obs 'dose'"),
        (spoil(3e9), {}, "X holds 3e[+]09, more than 2,147,483,647"),
        (spoil(-1.0), {}, "negative values"),
        (spoil(0.5), {}, "fractions; raw counts are needed"),
        (spoil(np.nan), {}, "NaN"),
        (repeat_cell, {}, "cell name 'AAAC-1' occurs more than once"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_every_error_is_one_sentence_that_names_the_file(screen, tmp_path, change, parameters, message):
    change(screen)
    path = written(screen, tmp_path)
    with pytest.raises(BenchmarkError, match=message) as caught:
        prepare(path, **({"label": "guide"} | parameters))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def cut_rows(file):
    replace(file, "X/indptr", file["X/indptr"][:-3])
    file["X"].attrs["shape"] = (len(LABELS) - 3, 5)


def point_beyond(file):
    file["X/indices"][3] = 99


def point_backwards(file):
    file["X/indptr"][2] = 10**6


def forget_values(file):
    del file["X/data"]


def write_words(file):
    replace(file, "X/data", np.array([b"a"] * len(file["X/data"])))


def replace(file, name, values):
    del file[name]
    file[name] = values


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut_rows, "X has shape .15, 5., but cells and genes have .18, 5."),
        (point_beyond, "X is a damaged matrix .indices must be < 5"),
        (point_backwards, "X is a damaged matrix .indptr"),
        (forget_values, "damaged h5ad file"),
        (write_words, "X is a damaged matrix .scipy.sparse does not support dtype"),
    ],
)
def test_a_damaged_matrix_is_told(screen, tmp_path, damage, message):
    path = written(screen, tmp_path)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(BenchmarkError, match=rf"screen\.h5ad: {message}") as caught:
        prepare(path, "guide")
    assert "\n" not in str(caught.value)


def test_damaged_and_other_files_are_told(screen, tmp_path):
    path = written(screen, tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BenchmarkError, match="not a readable h5ad file"):
        prepare(path, "guide")
    path.write_text("perturbation\tgene\n")
    with pytest.raises(BenchmarkError, match="not a readable h5ad file"):
        prepare(path, "guide")
    with pytest.raises(BenchmarkError, match="no such file"):
        prepare(tmp_path / "elsewhere.h5ad", "guide")
    with pytest.raises(BenchmarkError, match="a folder, or a zarr store; an h5ad file is needed"):
        prepare(tmp_path, "guide")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"separator": ""}, "separator: .*at least 1 character"),
        ({"batch": "guide"}, "batch and label are the same column 'guide'"),
        ({"batch": ["lane", "guide"]}, "batch and label are the same column 'guide'"),
        ({"guide_pattern": "(.+"}, "guide_pattern: not a regular expression .missing "),
        ({"guide_pattern": ".+_1"}, "guide_pattern: '.+_1' has no group; put the target in parentheses"),
        (
            {"guide_pattern": "(.+)", "guide_table": "t.tsv"},
            "guide_table stands in the place of guide_pattern",
        ),
        ({"label": ["guide", "dose"], "separator": "_"}, "separator is '_', but label lists several columns"),
        (
            {"top_genes": 5, "top_genes_on": "trained"},
            "top_genes_on: unknown top_genes_on 'trained'.*known: all, control",
        ),
        ({"genes": ["G", "H"], "top_genes": 2}, "top_genes is 2, but genes lists no more than 2"),
        ({"perturbations": []}, "perturbations: name at least one"),
        ({"genes": []}, "genes: name at least one"),
        ({"genes": ["G"], "gene_lists": "l.json"}, "gene_lists stands in the place of genes"),
        ({"filters": {"mito": {}}}, "filters: mito: .*give min, max or both"),
        ({"filters": {"mito": {"min": 2, "max": 1}}}, "filters: mito: no value is between min 2 and max 1"),
        ({"filters": {"mito": {"min": "low"}}}, "filters: mito: min: .*low"),
    ],
)
def test_options_that_no_file_could_make_right_are_told_when_they_are_read(options, message):
    with pytest.raises(BenchmarkError, match=f"datasets: local: {message}") as caught:
        checked(Preparation, {"label": "guide"} | options, "datasets: local")
    assert "\n" not in str(caught.value)


def test_labels_that_are_asked_for_by_name_are_clear(screen, tmp_path):
    relabel("C", "nan")(screen)
    dataset = prepare(written(screen, tmp_path), "guide", "ctrl", perturbations=["nan", "A_B"])
    assert set(dataset.obs["perturbation"]) == {"nan", "A_B", "control"}
    relabel("nan", "control")(screen)
    path = written(screen, tmp_path)
    kept = prepare(path, "guide", "ctrl", filters={"guide": ["A_B", "ctrl"]})
    assert set(kept.obs["perturbation"]) == {"A_B", "control"}


def test_a_file_without_x_names_its_layers(screen, tmp_path):
    bare = ad.AnnData(obs=screen.obs, var=screen.var, layers={"counts": screen.X})
    path = written(bare, tmp_path)
    with pytest.raises(BenchmarkError, match=r"unknown matrix 'X'.*layers/counts"):
        prepare(path, "guide")
    assert prepare(path, "guide", layer="counts").n_obs == 17
