"""Whatever is wrong with a screen: it is fitted as its file says, or there is one sentence."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from draws import draws
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from svae.contracts.fit import Fit, validate
from svae.contracts.setting import Setting
from svae.contracts.split import validate_split
from svae.datasets.labels import MISSING
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.methods.linear import fit_linear
from svae.options import checked

GUIDES, CELLS, GENES = ["ctrl", "A", "B", "A_B", "C"], 60, 8
HELD_OUT = "C"
PLACE = "splits: s"

cells, genes = st.integers(0, CELLS - 1), st.integers(0, GENES - 1)


@dataclass(frozen=True)
class Defect:
    """What is wrong with a screen, or with what is asked of it.

    ``is_refused`` says what has to become of it: True for a sentence, False for a fit; None if either is
    right, because it depends on how many cells are left.
    """

    name: str
    spoil: Callable[[ad.AnnData], Any]
    is_refused: bool | None
    options: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    n_latent: int = 2


def screen() -> ad.AnnData:
    """A screen without a defect."""
    random = np.random.default_rng(0)
    guides = np.resize(GUIDES, CELLS)
    obs = pd.DataFrame(
        {"guide": guides, "lane": np.resize(["L1", "L2", "L3"], CELLS)},
        index=[f"cell{i}" for i in range(CELLS)],
    ).astype("category")
    var = pd.DataFrame(index=[f"gene{j}" for j in range(GENES)])
    return ad.AnnData(random.poisson(3.0, size=(CELLS, GENES)) + 1.0, obs=obs, var=var)


def nothing(adata: ad.AnnData) -> None:
    """Leave the screen as it is."""


def set_count(cell: int, gene: int, value: float) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        adata.X[cell, gene] = value

    return spoil


def set_cell(cell: int, value: float) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        adata.X[cell] = value

    return spoil


def set_gene(gene: int, value: float) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        adata.X[:, gene] = value

    return spoil


def set_labels(column: str, chosen: set[int], label: object) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        values = adata.obs[column].astype(object)
        values.iloc[sorted(chosen)] = label
        adata.obs[column] = values.astype("category")

    return spoil


def relabel(labels: list[object]) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        adata.obs["guide"] = np.resize(np.array(labels), CELLS)

    return spoil


def repeat(axis: str, first: int, second: int) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        names = list(getattr(adata, axis))
        names[first] = names[second]
        setattr(adata, axis, names)

    return spoil


def store_as(kind: Callable, dtype: type) -> Callable[[ad.AnnData], None]:
    def spoil(adata):
        adata.X = kind(adata.X.astype(dtype))

    return spoil


def move_lane(adata: ad.AnnData) -> None:
    """Give the cells of the held-out perturbation a lane of their own."""
    values = adata.obs["lane"].astype(object)
    values[adata.obs["guide"] == HELD_OUT] = "L9"
    adata.obs["lane"] = values.astype("category")


def drop_counts(adata: ad.AnnData) -> None:
    del adata.X


def add_category(adata: ad.AnnData) -> None:
    adata.obs["guide"] = adata.obs["guide"].cat.add_categories(["nan", "control"])


BAD_COUNTS = st.sampled_from([np.nan, np.inf, -1.0, 0.5, 3e9])
TYPOS = ["guid", "Guide", "", "lane "]


@st.composite
def defects(draw: st.DrawFn) -> Defect:
    """Draw one defect."""
    cell, gene, some = draw(cells), draw(genes), draw(st.sets(cells, min_size=1, max_size=CELLS))
    pair = draw(st.lists(genes, min_size=2, max_size=2, unique=True))
    kind = draw(st.sampled_from([np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array]))
    dtype = draw(st.sampled_from([np.int8, np.uint16, np.int64, np.float32, np.float64]))
    typo, number = draw(st.sampled_from(TYPOS)), draw(st.integers(-3, 99))
    text = draw(st.text(st.characters(codec="utf-8", exclude_characters="\0_/"), max_size=8))
    missing = draw(st.sampled_from(["nan", "NaN", "<NA>"]))
    return draw(
        st.sampled_from(
            [
                Defect("count", set_count(cell, gene, draw(BAD_COUNTS)), True),
                Defect("empty cell", set_cell(cell, 0), False),
                Defect("constant gene", set_gene(gene, draw(st.integers(0, 5))), False),
                Defect("missing labels", set_labels("guide", some, np.nan), None),
                Defect("empty labels", set_labels("guide", some, " "), None),
                Defect("labels that read as missing", set_labels("guide", some, missing), True),
                Defect("two controls", set_labels("guide", some, "control"), True),
                Defect("one label for many", set_labels("guide", some, draw(st.sampled_from(GUIDES))), None),
                Defect("any label", set_labels("guide", some, text or "x"), None),
                Defect("missing batches", set_labels("lane", some, np.nan), None),
                Defect("batches that read as missing", set_labels("lane", some, missing), None),
                Defect("batches", set_labels("lane", some, text or "x"), None),
                Defect("batch of held-out cells", move_lane, True),
                Defect("repeated gene", repeat("var_names", *pair), False),
                Defect("repeated cell", repeat("obs_names", *pair), True),
                Defect("no counts", drop_counts, True),
                Defect("unused categories", add_category, False),
                Defect("another matrix", store_as(kind, dtype), False),
                Defect(
                    "numbers as labels",
                    relabel([0, 1, 2, 3]),
                    False,
                    {"control": "0", "separator": None},
                    {"held_out": "3"},
                ),
                Defect("separator", nothing, True, {"separator": ";"}),
                Defect("twins", set_labels("guide", {1, 2, 3}, "A "), True),
                Defect("another control", set_labels("guide", some, "CTRL"), True),
                Defect("half a combination", set_labels("guide", some, "A__B"), True),
                Defect("number of a guide", set_labels("guide", some, f"A_{abs(number)}"), True),
                Defect("label of two lines", set_labels("guide", some, "A\nB"), True),
                Defect("label column", nothing, True, {"label": typo}),
                Defect("batch column", nothing, True, {"batch": typo}),
                Defect("layer", nothing, True, {"layer": typo}),
                Defect("control", nothing, True, {"control": typo}),
                Defect("filter", nothing, True, {"filters": {"lane": number}}),
                Defect("genes", nothing, True, {"genes": [typo]}),
                Defect("top genes", nothing, None, {"top_genes": max(1, number)}),
                Defect("fewest cells", nothing, None, {"min_cells": max(1, number)}),
                Defect("most cells", nothing, None, {"max_cells": max(1, number)}),
                Defect("held out", nothing, True, plan={"held_out": [typo or "x"]}),
                Defect("number held out", nothing, None, plan={"kind": "random", "held_out": number}),
                Defect(
                    "fraction held out",
                    nothing,
                    None,
                    plan={"kind": "random", "held_out": number / 10 + 0.05},
                ),
                Defect("range", nothing, True, plan={"held_out": [f"p{number + 9}..p{number + 3}"]}),
                Defect("latents", nothing, None, n_latent=max(1, number)),
            ]
        )
    )


def from_file_to_fit(path: Path, defect: Defect) -> tuple[ad.AnnData, Fit]:
    """Do what the workflow does with a real screen and a linear method."""
    entry = {"label": "guide", "control": "ctrl", "batch": "lane", "separator": "_"} | defect.options
    dataset = prepare(path, checked(Preparation, entry, str(path)))
    plan = checked(SplitPlan, {"kind": "named", "held_out": HELD_OUT} | defect.plan, PLACE)
    split = split_dataset(dataset, plan, 0, f"{path}: {PLACE}")
    validate_split(split, path, dataset.obs["perturbation"])
    fit = fit_linear("pca", dataset, split, Setting("s", 1, {"n_latent": defect.n_latent}))
    validate(fit, path, dataset.obs_names)
    return dataset, fit


def has_all(adata: ad.AnnData) -> np.ndarray:
    """Whether each cell has a label, a batch and counts."""
    guides, lanes = (adata.obs[column].astype(str).str.strip() for column in ("guide", "lane"))
    unlabelled = adata.obs["guide"].isna() | (guides == "")
    counts = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
    return ~unlabelled.to_numpy() & ~lanes.isin(["", *MISSING]).to_numpy() & (counts.sum(axis=1) > 0)


def is_what_the_file_says(dataset: ad.AnnData, adata: ad.AnnData) -> bool:
    """Whether counts and labels of the cells and genes that were kept are those of the file."""
    adata.var_names_make_unique()
    kept = adata[dataset.obs_names, dataset.var_names]
    counts = kept.X.toarray() if sparse.issparse(kept.X) else kept.X
    guides = kept.obs["guide"].astype(str)
    control = "0" if "0" in set(guides) else "ctrl"
    labels = guides.replace(control, "control").str.replace("A_B", "A+B")
    return bool(
        (dataset.X.toarray() == counts).all()
        and (dataset.obs["perturbation"].astype(str) == labels).all()
        and (dataset.obs["batch"].astype(str) == kept.obs["lane"].astype(str)).all()
    )


@pytest.mark.filterwarnings("ignore")
@draws(quick=60, full=2000)
@given(defects())
def test_a_spoilt_screen_is_fitted_as_its_file_says_or_told_in_a_sentence(tmp_path_factory, defect):
    path = tmp_path_factory.getbasetemp() / "spoilt.h5ad"
    adata = screen()
    defect.spoil(adata)
    adata.write_h5ad(path)
    try:
        dataset, fit = from_file_to_fit(path, defect)
    except BenchmarkError as error:
        said = str(error)
        assert defect.is_refused is not False, f"{defect.name}: {said}"
        assert "\n" not in said
        assert len(said) < 500
        assert said.startswith((str(path), PLACE)), said
        return
    assert not defect.is_refused, f"{defect.name} was not noticed"
    assert is_what_the_file_says(dataset, adata), defect.name
    if not defect.options:
        assert list(dataset.obs_names) == list(adata.obs_names[has_all(adata)])
    if fit.run.status == "ok":
        assert np.isfinite(fit.latents).all()
        assert fit.latents.shape == (dataset.n_obs, defect.n_latent)
    else:
        assert defect.name == "latents"
        assert f"{defect.n_latent} latents" in fit.run.message
