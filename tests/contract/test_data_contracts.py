"""Datasets, splits and truths: every breach is told in one sentence."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts.dataset import validate_counts, validate_dataset
from svae.contracts.split import read_split, validate_split
from svae.contracts.truth import validate_truth
from svae.errors import BenchmarkError

CELLS = pd.Index([f"cell{i}" for i in range(6)])
LABELS = ["control", "control", "p0", "p0", "p1", "p1"]


def complaint(check, *arguments) -> str:
    """What a check complains of: one sentence that begins with the name of the file."""
    with pytest.raises(BenchmarkError) as error:
        check(*arguments, "file")
    assert str(error.value).startswith("file")
    assert "\n" not in str(error.value)
    return str(error.value)


# --- datasets -------------------------------------------------------------------------------------


def dataset(counts=None, **columns) -> ad.AnnData:
    obs = pd.DataFrame({"perturbation": pd.Categorical(LABELS), **columns}, index=CELLS)
    return ad.AnnData(sparse.csr_matrix(np.ones((6, 3)) if counts is None else counts), obs=obs)


def test_a_good_dataset_passes():
    validate_dataset(dataset(batch=pd.Categorical(["a", "b"] * 3)), "file")


def with_value(value):
    counts = np.ones((6, 3), dtype=np.result_type(type(value), float))
    counts[2, 1] = value
    return counts


COUNTS = {
    "NaN": (with_value(np.nan), "X holds NaN or infinite values"),
    "fraction": (with_value(0.5), "X holds fractions"),
    "negative": (with_value(-1), "X holds negative values"),
    "complex": (with_value(1j), "X holds complex numbers, not numbers"),
    "above 2^31": (with_value(2.0**31), "X holds 2.14748e+09, more than 2,147,483,647"),
    "empty cell": (np.diag([1, 1, 0, 1, 1, 1]), "cell 'cell2' has no counts (1 such cells)"),
}
KINDS = (np.asarray, sparse.csr_matrix, sparse.csr_array, sparse.csc_array)


@pytest.mark.parametrize(("counts", "said"), COUNTS.values(), ids=COUNTS)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_count_is_told_of_any_kind_of_matrix(counts, said, kind):
    assert said in complaint(validate_counts, kind(counts), CELLS)


@pytest.mark.parametrize(("value", "said"), [("many", "text"), (None, "text or other objects")])
def test_what_is_no_number_is_told(value, said):
    assert f"X holds {said}, not numbers" in complaint(validate_counts, np.full((6, 3), value), CELLS)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_counts_of_any_type_and_kind_of_matrix_pass(kind, dtype):
    validate_counts(kind(np.ones((6, 3), dtype=dtype)), CELLS, "file")


DATASETS = {
    "missing label": ("perturbation", [*LABELS[:5], None], "cells without a label (1 of 6)"),
    "numbers for labels": ("perturbation", [1, 2] * 3, "obs['perturbation'] has the label 1"),
    "empty label": ("perturbation", ["a", " "] * 3, "obs['perturbation'] has the label ' '"),
    "label of two lines": ("perturbation", ["a\n", "b"] * 3, "has the label 'a\\n'; a label is one line"),
    "missing batch": ("batch", [None, "b"] * 3, "obs['batch'] has cells without a label (3 of 6)"),
}


@pytest.mark.parametrize(("column", "labels", "said"), DATASETS.values(), ids=DATASETS)
def test_labels_of_a_dataset_that_are_none_are_told(column, labels, said):
    adata = dataset()
    adata.obs[column] = pd.Categorical(labels)
    assert said in complaint(validate_dataset, adata)


def test_a_dataset_that_is_stored_in_another_way_is_told():
    adata = dataset(np.ones((6, 3)))
    adata.X = np.ones((6, 3))
    assert "X is not stored as a sparse matrix by rows (CSR)" in complaint(validate_dataset, adata)
    adata = dataset()
    adata.obs["perturbation"] = LABELS
    assert "obs['perturbation'] is not categorical" in complaint(validate_dataset, adata)


# --- splits ---------------------------------------------------------------------------------------


def split() -> pd.DataFrame:
    parts = ["train", "validation", "train", "train", "adapt", "test"]
    return pd.DataFrame({"cell": CELLS, "perturbation": LABELS, "part": parts})


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("perturbation", np.nan, "row 3 names no perturbation"),
        ("perturbation", " ", "row 3 names no perturbation"),
        ("cell", "", "row 3 names no cell"),
        ("part", "tset", "unknown part 'tset', did you mean 'test'?"),
        ("part", 1, "unknown part '1'"),
    ],
)
def test_breach_of_a_split_is_told(column, value, said):
    validate_split(split(), "file")
    table = split().astype({column: object})
    table.loc[2, column] = value
    assert said in complaint(validate_split, table)


def test_a_split_without_its_columns_is_told():
    assert "column 'cell' is missing (has 0, 1)" in complaint(validate_split, pd.DataFrame([[1, 2]]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("split.tsv", b""),
        ("split.tsv", b"\xff\xfe\x00"),
        ("split.tsv", b"cell\tpart\na\tb\tc\td\n"),
        ("split.tsv.gz", b"not gzip"),
        ("split.tsv.gz", b"\x1f\x8b\x08\x00cut off"),
    ],
)
def test_a_file_that_is_no_table_is_told(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BenchmarkError) as error:
        read_split(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(BenchmarkError, match="this is a folder, not a file"):
        read_split(tmp_path)


# --- truths ---------------------------------------------------------------------------------------


def truth() -> ad.AnnData:
    true = ad.AnnData(obs=pd.DataFrame(index=CELLS))
    true.obsm["latents"] = np.ones((6, 2), dtype=np.float32)
    true.uns["targets"] = pd.DataFrame(np.eye(2), ["p0", "p1"], ["z1", "z2"])
    true.uns["shifts"] = 3 * true.uns["targets"]
    return true


NAMES = ["p0", "p1"]
TRUTHS = {
    "text": ("latents", np.full((6, 2), "a"), 'obsm["latents"] holds text, not numbers'),
    "no latents": ("latents", np.ones((6, 0)), 'obsm["latents"] has shape (6, 0), not cells × latents'),
    "huge": ("latents", np.full((6, 2), 1e38), 'obsm["latents"] holds a value of size 1e+38'),
    "text targets": (
        "targets",
        pd.DataFrame([["a", "b"]] * 2, NAMES),
        "uns[\"targets\"], column '0', holds text",
    ),
    "repeated": ("targets", pd.DataFrame(np.eye(2), ["p0", "p0"]), "perturbation 'p0' occurs more than once"),
    "infinite": (
        "shifts",
        pd.DataFrame(np.full((2, 2), np.inf), NAMES),
        'uns["shifts"] holds NaN or inf',
    ),
    "array": ("shifts", np.ones((2, 2)), 'uns["shifts"] is not a table of perturbation × latent'),
    "likelihood": ("likelihood", "exact", 'uns["likelihood"] is not a group of named values'),
}


@pytest.mark.parametrize(("key", "value", "said"), TRUTHS.values(), ids=TRUTHS)
def test_breach_of_a_truth_is_told(key, value, said):
    validate_truth(truth(), "file", CELLS)
    true = truth()
    (true.obsm if key == "latents" else true.uns)[key] = value
    assert said in complaint(validate_truth, true)
