"""Screens as other people write them, each prepared from its config alone."""

import itertools
import tracemalloc

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from svae.contracts.dataset import read_dataset, read_left_out, write_dataset
from svae.contracts.setting import Setting
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.methods.linear import fit_linear
from svae.options import checked

CELLS, GENES = 60, 12
GUIDES = ["ZAP70_1", "ZAP70_2", "CD3E_1", "CD3E_2", "NT_1", "NT_2"]
GENE_OF = {"ZAP70_1": "ZAP70", "ZAP70_2": "ZAP70", "CD3E_1": "CD3E", "CD3E_2": "CD3E"}
SYMBOLS = ["ZAP70", "CD3E", *(f"G{number}" for number in range(GENES - 2))]


@pytest.fixture
def screen():
    """Sixty cells of six guides under two stimulations, in two lanes on two days."""
    random = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "sgrna": np.resize(GUIDES, CELLS),
            "stimulation": np.repeat(["rest", "tcr"], CELLS // 2),
            "lane": np.resize([1.0, 2.0, 2.0], CELLS),
            "day": np.resize(["mon", "tue"], CELLS),
            "n_guides": np.resize([1.0, 1.0, 2.0], CELLS),
            "doublet": np.resize([False, False, True], CELLS),
        },
        index=[f"cell{number}" for number in range(CELLS)],
    )
    var = pd.DataFrame({"symbol": SYMBOLS}, index=[f"ENSG{number}" for number in range(GENES)])
    counts = random.poisson(3.0, size=(CELLS, GENES)) + 1.0
    return ad.AnnData(counts.astype(np.float32), obs=obs, var=var)


@pytest.fixture
def prepared(screen, tmp_path):
    """Write the screen, prepare it with the keys of a config, and write and read the dataset."""

    def prepared(**keys):
        path = tmp_path / "screen.h5ad"
        screen.write_h5ad(path)
        entry = {"label": "sgrna"} | keys
        write_dataset(prepare(path, checked(Preparation, entry, "config")), tmp_path / "dataset.h5ad")
        return read_dataset(tmp_path / "dataset.h5ad")

    return prepared


def sizes(dataset):
    return dataset.obs["perturbation"].value_counts().to_dict()


MERGED = {"ZAP70": 20, "CD3E": 20, "control": 20}
BY_PATTERN = {"guide_pattern": "(.+)_[0-9]+", "control": "NT"}


def test_guides_are_merged_to_targets_by_a_pattern_and_stay_in_the_dataset(screen, prepared):
    dataset = prepared(**BY_PATTERN)
    assert sizes(dataset) == MERGED
    assert list(dataset.obs["guide"]) == list(screen.obs["sgrna"])


def test_guides_are_merged_by_a_table(prepared, tmp_path):
    table = tmp_path / "guides.tsv"
    rows = [*GENE_OF.items(), ("NT_1", "safe"), ("NT_2", "safe")]
    table.write_text("guide\ttarget\n" + "".join(f"{guide}\t{target}\n" for guide, target in rows))
    dataset = prepared(guide_table=str(table), control="safe")
    assert sizes(dataset) == MERGED
    assert set(dataset.obs["guide"]) == set(GUIDES)
    table.write_text(table.read_text().replace("safe", "control"))
    assert sizes(prepared(guide_table=str(table))) == MERGED


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("guide\tgene\nZAP70_1\tZAP70\n", "column 'target' is missing"),
        ("guide\ttarget\nZAP70_1\t\n", "column 'target' has an empty field"),
        ("guide\ttarget\nZAP70_1\tA\nZAP70_1\tB\n", r"guide 'ZAP70_1' has several targets \(A, B\)"),
        (
            "guide\ttarget\nZAP70_1\tZAP70\n",
            "10 cells are labelled '.*_.', but '.*_.' is not in the guide_table",
        ),
        (None, "no such file"),
    ],
)
def test_what_is_wrong_with_a_table_of_guides_is_one_sentence(prepared, tmp_path, text, message):
    table = tmp_path / "guides.tsv"
    if text is not None:
        table.write_text(text)
    with pytest.raises(BenchmarkError, match=message) as caught:
        prepared(guide_table=str(table))
    assert "guides.tsv" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_many_labels_mean_control_by_a_list_or_a_pattern(prepared):
    listed = prepared(control=["NT_1", "NT_2"])
    by_pattern = prepared(control_pattern="NT_[0-9]+")
    for dataset in (listed, by_pattern):
        assert sizes(dataset) == dict.fromkeys(GENE_OF, 10) | {"control": 20}
    few = prepared(control_pattern="NT_[0-9]+", perturbations=["ZAP70_1"])
    assert sizes(few) == {"ZAP70_1": 10, "control": 20}


def test_a_guide_that_a_separator_would_cut_is_refused_until_a_pattern_merges_it(prepared):
    with pytest.raises(BenchmarkError, match=r"makes a perturbation '1'.*guide_pattern: \(\.\+\)_\[0-9\]\+"):
        prepared(separator="_", control="NT")


def test_parts_that_are_numbers_are_no_guides_where_they_stand_alone(screen, prepared):
    screen.obs["sgrna"] = np.resize(["ctrl_7", "7", "9_7", "ctrl"], CELLS)
    assert sizes(prepared(separator="_", control="ctrl")) == {"7": 30, "7+9": 15, "control": 15}


def test_a_control_that_a_table_names_is_dropped_from_combinations(screen, prepared, tmp_path):
    table = tmp_path / "guides.tsv"
    table.write_text("guide\ttarget\nA_1\tA\nNT_1\tcontrol\n")
    screen.obs["sgrna"] = np.resize(["A_1|NT_1", "NT_1"], CELLS)
    assert sizes(prepared(guide_table=str(table), separator="|")) == {"A": 30, "control": 30}


def test_guides_of_combinations_are_merged_part_by_part(screen, prepared):
    screen.obs["sgrna"] = np.resize(["B_1|A_2", "A_1|NT_3", "NT_1|NT_2", "A_1|A_2"], CELLS)
    dataset = prepared(**BY_PATTERN, separator="|")
    assert sizes(dataset) == {"A+B": 15, "A": 30, "control": 15}


def test_a_column_names_the_guide_of_each_cell(screen, prepared):
    screen.obs["gene"] = [GENE_OF.get(guide, "control") for guide in screen.obs["sgrna"]]
    screen.obs.loc["cell0", "sgrna"] = None
    dataset = prepared(label="gene", guide="sgrna")
    assert sizes(dataset) == MERGED
    assert list(dataset.obs["guide"]) == [dataset.obs["perturbation"].iloc[0], *screen.obs["sgrna"].iloc[1:]]
    assert "guide" not in prepared(label="gene").obs


def test_two_label_columns_are_joined(prepared):
    dataset = prepared(
        label=["sgrna", "stimulation"], guide_pattern="(.+)_[0-9]+(:.+)", control="NT:rest", guide="sgrna"
    )
    targets = itertools.product(["ZAP70", "CD3E", "NT"], ["rest", "tcr"])
    names = {f"{target}:{stimulation}" for target, stimulation in targets} - {"NT:rest"}
    assert sizes(dataset) == dict.fromkeys((*names, "control"), 10)
    assert set(dataset.obs["guide"]) == set(GUIDES)


def test_two_label_columns_are_parts_of_a_combination_where_the_separator_says_so(prepared):
    dataset = prepared(
        label=["sgrna", "stimulation"],
        separator=":",
        control=["NT", "rest"],
        guide_pattern="(.+?)(?:_[0-9]+)?",
    )
    assert sizes(dataset) == {
        "ZAP70": 10,
        "CD3E": 10,
        "ZAP70+tcr": 10,
        "CD3E+tcr": 10,
        "tcr": 10,
        "control": 10,
    }


def test_batches_are_joined_and_cells_without_one_are_left_out(screen, prepared):
    screen.obs.loc["cell0", "day"] = None
    screen.obs.loc["cell1", "day"] = "nan"
    dataset = prepared(batch=["lane", "day"])
    assert set(dataset.obs["batch"]) == {"1.0:mon", "1.0:tue", "2.0:mon", "2.0:tue"}
    assert list(dataset.obs_names) == list(screen.obs_names[2:])
    assert ("cells", 2, "without a batch", "") in left_out(dataset)
    assert dataset.uns["dataset"]["batch"] == "lane, day"


def left_out(dataset):
    return list(dataset.uns["dataset"]["left_out"].itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("column", "value", "kept"),
    [
        ("lane", 1, 20),
        ("lane", "1", 20),
        ("lane", [1, 2], 60),
        ("as_text", 1, 20),
        ("as_text", 1.0, 20),
        ("as_category", 1, 20),
        ("as_category", {"max": 1}, 20),
        ("nullable", 2, 40),
        ("nullable", {"min": 2}, 40),
        ("doublet", False, 40),
        ("doublet", 0, 40),
        ("of_r", True, 20),
        ("of_r", "TRUE", 20),
    ],
)
def test_filters_compare_numbers_as_numbers(screen, prepared, column, value, kept):
    screen.obs["as_text"] = [str(int(lane)) for lane in screen.obs["lane"]]
    screen.obs["as_category"] = screen.obs["lane"].astype("category")
    screen.obs["nullable"] = screen.obs["lane"].astype("Int64")
    screen.obs["of_r"] = [str(value).upper() for value in screen.obs["doublet"]]
    assert prepared(filters={column: value}).n_obs == kept


def test_a_text_in_a_filter_means_no_other_way_to_write_a_number(screen, prepared):
    screen.obs["well"] = np.resize(["01", "1", "2"], CELLS)
    assert prepared(filters={"well": "1"}).n_obs == 20
    with pytest.raises(BenchmarkError, match="filter 'well': unknown value 'a1'"):
        prepared(filters={"well": "a1"})


def test_the_control_has_a_cap_of_its_own(prepared):
    dataset = prepared(**BY_PATTERN, max_cells=5, max_control_cells=12)
    assert sizes(dataset) == {"ZAP70": 5, "CD3E": 5, "control": 12}
    assert sizes(prepared(**BY_PATTERN, max_control_cells=12)) == MERGED | {"control": 12}
    same_draw = prepared(**BY_PATTERN, max_cells=5)
    assert set(same_draw.obs_names) < set(dataset.obs_names)


def test_empty_cells_are_left_out(screen, prepared):
    screen.X[[4, 9]] = 0
    dataset = prepared()
    assert list(dataset.obs_names) == [name for name in screen.obs_names if name not in ("cell4", "cell9")]
    assert ("cells", 2, "without counts in the chosen genes", "") in left_out(dataset)


@pytest.mark.filterwarnings("ignore:.*names are not unique")
def test_repeated_gene_names_are_told_apart(screen, prepared):
    screen.var_names = ["ENSG1", *screen.var_names[1:]]
    assert list(prepared().var_names[:3]) == ["ENSG1", "ENSG1-1", "ENSG2"]


def test_genes_are_named_by_symbol_or_id(prepared):
    dataset = prepared(gene_column="symbol", genes=["ZAP70", "ENSG5"])
    assert list(dataset.var_names) == ["ZAP70", SYMBOLS[5]]
    assert list(dataset.var["gene_id"]) == ["ENSG0", "ENSG5"]


def test_the_column_of_genes_may_be_the_index(screen, prepared):
    screen.var = screen.var.set_index("symbol")
    dataset = prepared(gene_column="symbol")
    assert list(dataset.var_names) == SYMBOLS
    assert "gene_id" not in dataset.var


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        (np.asarray, np.float64),
        (np.asarray, np.uint16),
        (sparse.csr_matrix, np.float32),
        (sparse.csr_matrix, np.int64),
        (sparse.csc_matrix, np.float32),
    ],
)
def test_whole_numbers_of_any_type_and_layout_are_counts(screen, prepared, kind, dtype):
    counts = screen.X.astype(int)
    screen.X = kind(screen.X.astype(dtype))
    dataset = prepared()
    assert dataset.X.dtype == np.int32
    np.testing.assert_array_equal(dataset.X.toarray(), counts)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_counts_are_in_a_layer(screen, prepared, kind):
    counts = screen.X.astype(int)
    screen.layers["counts"] = kind(screen.X)
    screen.X = np.log1p(screen.X)
    np.testing.assert_array_equal(prepared(layer="counts").X.toarray(), counts)
    with pytest.raises(BenchmarkError, match="fractions; raw counts are needed"):
        prepared()


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_counts_are_in_raw_with_genes_of_their_own(screen, tmp_path, prepared, kind):
    counts = screen.X.astype(int)
    screen.X = kind(screen.X)
    screen.raw = screen.copy()
    path = tmp_path / "few_genes.h5ad"
    few = screen[:, :4].copy()
    few.X = few.X * 0.5
    few.write_h5ad(path)
    dataset = prepare(path, Preparation(label="sgrna", layer="raw", gene_column="symbol"))
    assert list(dataset.var_names) == SYMBOLS
    np.testing.assert_array_equal(dataset.X.toarray(), counts)
    few.raw = None
    few.write_h5ad(path)
    with pytest.raises(BenchmarkError, match="unknown layer 'raw'"):
        prepare(path, Preparation(label="sgrna", layer="raw"))


def test_genes_counted_in_few_cells_are_left_out_but_for_perturbed_ones(screen, prepared):
    screen.X[:57, [0, 3]] = 0  # ZAP70 and another gene
    keys = {**BY_PATTERN, "gene_column": "symbol", "min_cells_per_gene": 4}
    dataset = prepared(**keys)
    assert list(dataset.var_names) == [*SYMBOLS[:3], *SYMBOLS[4:]]
    assert ("genes", 1, "with counts in fewer than 4 cells", "") in left_out(dataset)
    assert list(prepared(**keys, keep_perturbed=False).var_names) == [*SYMBOLS[1:3], *SYMBOLS[4:]]


def test_perturbed_genes_stay_beside_the_most_variable_of_control_cells(tmp_path):
    random = np.random.default_rng(1)
    labels = np.repeat(["control", "G0", "G1+G2:rest"], 100)
    counts = random.poisson(np.linspace(2, 20, 60), size=(300, 60))
    counts[100:, 30:36] *= random.integers(1, 30, size=(200, 6))  # these vary in perturbed cells alone
    obs = pd.DataFrame({"label": labels}, index=[f"cell{number}" for number in range(300)])
    var = pd.DataFrame(index=[f"G{number}" for number in range(60)])
    path = tmp_path / "screen.h5ad"
    ad.AnnData(counts.astype(np.float32), obs=obs, var=var).write_h5ad(path)
    keys = {"label": "label", "top_genes": 20}
    top, everywhere, beside = (
        prepare(path, Preparation(**keys, **choice)).var_names
        for choice in ({"keep_perturbed": False}, {"top_genes_on": "all", "keep_perturbed": False}, {})
    )
    assert len(top) == len(everywhere) == 20
    assert set(beside) == {*top, "G0", "G1", "G2"}
    vary = set(var.index[30:36])
    assert len(vary & set(everywhere)) > len(vary & set(top))


def test_kept_and_left_out_cells_and_genes_add_up_to_the_file(screen, prepared, tmp_path):
    screen.X[0] = 0
    screen.obs.loc["cell1", "sgrna"] = None
    screen.obs.loc["cell6", "day"] = None
    screen.obs.loc[["cell3", "cell4"], "sgrna"] = "RARE_1"
    dataset = prepared(
        **BY_PATTERN,
        batch="day",
        filters={"doublet": False, "stimulation": "rest"},
        min_cells=3,
        max_control_cells=2,
        gene_column="symbol",
        genes=SYMBOLS[:10],
    )
    table = read_left_out(tmp_path / "dataset.h5ad")
    assert list(table["reason"]) == [
        "without a label",
        "that the filter 'doublet' does not keep",
        "that the filter 'stimulation' does not keep",
        "without a batch",
        "with fewer than 3 cells",
        "of perturbations with fewer than 3 cells",
        "that were not drawn from those of their perturbation",
        "that are not listed",
        "without counts in the chosen genes",
    ]
    totals = table.groupby("what")["number"].sum()
    assert totals["cells"] + dataset.n_obs == CELLS
    assert totals["genes"] + dataset.n_vars == GENES
    assert totals["perturbations"] == 1
    assert table.loc[table["what"] == "perturbations", "examples"].item() == "RARE"


def test_memory_holds_blocks_of_a_dense_file_and_not_the_whole(tmp_path, monkeypatch):
    cells, genes, rows_at_once = 2000, 2000, 100
    monkeypatch.setattr("svae.datasets.blocks.ROWS_AT_ONCE", rows_at_once)
    path = tmp_path / "screen.h5ad"
    counts = sparse.random(cells, genes, 0.01, dtype=np.float32, rng=np.random.default_rng(0)).toarray() > 0
    obs = pd.DataFrame(
        {"label": ["A", "B"] * (cells // 2)}, index=[f"cell{number}" for number in range(cells)]
    )
    ad.AnnData(counts.astype(np.float32), obs=obs).write_h5ad(path)
    tracemalloc.start()
    dataset = prepare(path, Preparation(label="label"))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert dataset.shape == (cells, genes)
    assert peak < path.stat().st_size / 2


def test_a_sparse_screen_goes_from_file_to_fit(shared_data):
    keys = {"label": "perturbation", "control": "control", "separator": "+", "min_cells_per_gene": 5}
    dataset = prepare(shared_data / "norman2019_k562_small.h5ad", Preparation(**keys))
    plan = SplitPlan(kind="combinations", held_out=2)
    split = split_dataset(dataset, plan, 0)
    assert {"CBL+CNN1", "MAP2K6", "control"} <= set(dataset.obs["perturbation"])
    fit = fit_linear("pca", dataset, split, Setting("s", 1, {"n_latent": 5}))
    assert fit.run.status == "ok"
    assert fit.latents.shape == (dataset.n_obs, 5)


def test_where_nothing_is_left_out_the_table_is_empty(prepared, tmp_path):
    assert left_out(prepared()) == []
    assert len(read_left_out(tmp_path / "dataset.h5ad")) == 0


@pytest.mark.parametrize("strange", ["K562", {"left_out": 3}, {"left_out": pd.DataFrame({"number": [1.5]})}])
def test_other_people_may_store_anything_beside_their_screen(screen, prepared, strange):
    screen.uns["dataset"] = strange
    assert left_out(prepared()) == []


def test_the_guides_of_a_dataset_are_checked(prepared, tmp_path):
    dataset = prepared(**BY_PATTERN)
    dataset.obs["guide"] = dataset.obs["guide"].cat.remove_categories(["NT_1"])
    with pytest.raises(BenchmarkError, match=r"obs\['guide'\] has cells without a label"):
        write_dataset(dataset, tmp_path / "dataset.h5ad")
