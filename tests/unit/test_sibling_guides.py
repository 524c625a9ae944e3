"""Guides as perturbations of their own: siblings that share a shift, and guides that aim at nothing."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from svae.contracts.fit import Fit
from svae.contracts.setting import Setting
from svae.datasets.each_guide import label_by_guide
from svae.datasets.left_out import LeftOut
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.datasets.split_plan import SplitPlan
from svae.datasets.splits import split_dataset
from svae.errors import BenchmarkError
from svae.evaluation.evaluate import compute_metrics, evaluate_fit
from svae.evaluation.metrics import METRICS
from svae.evaluation.response import read_response, summarise_responses, write_response
from svae.methods.anchors import fit_random
from svae.methods.linear import fit_linear
from svae.options import checked
from svae.simulation import simulate

GUIDES = ["sibling_auroc", "sibling_average_precision", "guides_with_target", "non_targeting_with_target"]
OF_GUIDES = [METRICS[name] for name in GUIDES]


def by_guide(n_guides=3, seed=0):
    """A simulated screen of 12 targets, each with some guides, and 8 non-targeting guides."""
    dataset, _ = simulate(
        "screen",
        seed=seed,
        perturbations=12,
        cells_per_perturbation=90,
        control_cells=240,
        latents=4,
        hidden=8,
        genes=30,
    )
    random = np.random.default_rng(seed)
    numbers = random.integers(n_guides, size=dataset.n_obs).astype(str)
    of_control = random.integers(8, size=dataset.n_obs).astype(str)
    targets = dataset.obs["perturbation"].astype(str).to_numpy()
    guides = np.where(targets == "control", "NT", targets) + np.array(["g"], dtype=object)
    dataset.obs["guide"] = pd.Categorical(guides + np.where(targets == "control", of_control, numbers))
    return label_by_guide(dataset, 0, LeftOut("simulated"))


@pytest.fixture(scope="module")
def screen():
    dataset = by_guide()
    split = split_dataset(dataset, SplitPlan(kind="named", held_out=["p00g0"]), seed=0)
    return dataset, split, summarise_responses(dataset, split)


def test_each_guide_is_a_perturbation_and_half_of_the_others_stay_the_control(screen):
    dataset, _, _ = screen
    aims = dataset.obs.drop_duplicates("perturbation").set_index("perturbation")["target"].astype(str)
    assert aims["p03g1"] == "p03"
    assert aims["control"] == "control"
    apart = [name for name in aims.index if name.startswith("NT")]
    assert len(apart) == 4
    assert set(aims[apart]) == {"control"}
    of_control = dataset.obs.loc[dataset.obs["perturbation"] == "control", "guide"]
    assert of_control.nunique() == 4
    assert not set(of_control) & set(apart)


def guided(rows):
    """A dataset of one gene, whose cells have these targets and guides."""
    obs = pd.DataFrame(rows, columns=["perturbation", "guide"], index=[f"cell{i}" for i in range(len(rows))])
    return ad.AnnData(np.ones((len(rows), 1)), obs=obs.astype("category"))


def test_guides_with_few_cells_and_cells_without_a_guide_are_left_out_unless_they_are_controls():
    rows = [("A", "A1")] * 3 + [("A", "A2")] + [("B", None), ("B", "B"), ("control", "N1"), ("control", None)]
    left_out = LeftOut("x")
    found = label_by_guide(guided(rows), 0, left_out, fewest=2)
    assert found.obs["perturbation"].value_counts().to_dict() == {"A1": 3, "control": 2}
    told = left_out.table().set_index("what")
    assert told.loc[["cells", "guides"], "number"].tolist() == [2, 1]
    assert told.loc["guides", "examples"] == "A2"


def test_guides_that_are_not_known_or_not_clear_are_told():
    with pytest.raises(BenchmarkError, match=r"x: guide 'A1' aims at several targets \(A, B\)"):
        label_by_guide(guided([("A", "A1"), ("B", "A1")]), 0, LeftOut("x"))
    unguided = guided([("A", "A1")])
    del unguided.obs["guide"]
    with pytest.raises(BenchmarkError, match="x: its guides are not known; name their column as `guide`"):
        label_by_guide(unguided, 0, LeftOut("x"))
    with pytest.raises(BenchmarkError, match="each_guide: its guides are not known"):
        checked(Preparation, {"label": "gene", "each_guide": True}, "x")


def values(fit, split, response):
    return compute_metrics(fit, split, metrics=OF_GUIDES, response=response).set_index("metric")["value"]


@pytest.mark.parametrize("method", ["pca", "ica"])
def test_guides_that_share_a_shift_are_found_alike(screen, method):
    dataset, split, response = screen
    found = values(fit_linear(method, dataset, split, Setting("s", options={"n_latent": 4})), split, response)
    assert found["sibling_auroc"] > 0.9
    assert found["sibling_average_precision"] > 0.5
    assert found["guides_with_target"] > found["non_targeting_with_target"], "read off its shifts"


def test_mean_latents_stand_in_for_shifts(screen):
    dataset, split, response = screen
    fit = fit_linear("pca", dataset, split, Setting("s", options={"n_latent": 4}))
    with_shifts = values(fit, split, response)["sibling_auroc"]
    fit.shifts = None
    assert values(fit, split, response)["sibling_auroc"] == pytest.approx(with_shifts, abs=1e-6)


def test_a_random_fit_finds_siblings_no_more_alike_than_others(screen):
    dataset, split, response = screen
    scores = [
        values(fit_random(dataset, split, Setting("s", seed=seed, options={"n_latent": 4})), split, response)
        for seed in range(20)
    ]
    assert np.mean([score["sibling_auroc"] for score in scores]) == pytest.approx(0.5, abs=0.05)


def told(targets, shifts=None, latents=2):
    """A fit of six guides, which aim at A, B and nothing (N); and what it is scored with."""
    guides = ["A1", "A2", "B1", "B2", "N1", "N2"]
    cells = pd.Index([f"cell{i}" for i in range(4 * 7 + 4)])
    labels = [*np.repeat([*guides, "control"], 4), *["C1"] * 4]
    split = pd.DataFrame(
        {"cell": cells, "perturbation": labels, "part": ["train"] * 28 + ["adapt", "test"] * 2}
    )
    obs = pd.DataFrame({"perturbation": labels}, cells)
    obs["target"] = [name[0] if name[0] in "ABC" else "control" for name in labels]
    dataset = ad.AnnData(np.random.default_rng(0).poisson(5, (len(cells), 6)).astype(float), obs=obs)
    tables = {
        name: None if table is None else pd.DataFrame(table, guides, dtype=float)
        for name, table in {"targets": targets, "shifts": shifts}.items()
    }
    fit = Fit(cells, np.random.default_rng(0).normal(size=(len(cells), latents)), **tables)
    return fit, split, summarise_responses(dataset, split)


def test_scores_of_siblings_by_hand():
    """A1 and A2 have one direction, which B1 is nearer to than to its sibling B2."""
    shifts = [[1, 0], [2, 0], [3, 1], [0, 1], [0, 0], [1, 1]]
    fit, split, response = told(None, shifts)
    tables = evaluate_fit(fit, split, None, OF_GUIDES, seed=0, response=response)
    by_target = tables.held_out.set_index(["metric", "perturbation"])["value"]
    # Similarities: A1A2 1, A·B1 .95 twice, B1B2 .32, A·B2 0 twice.
    assert by_target["sibling_auroc"].to_dict() == {"A": 1.0, "B": 0.5}
    assert by_target["sibling_average_precision"].to_dict() == {"A": 1.0, "B": 0.5}
    score = tables.metrics.set_index("metric")["value"]
    assert score["sibling_auroc"] == score["sibling_average_precision"] == 0.75


def test_calls_by_hand_of_guides_that_aim_at_something_and_at_nothing():
    targets = [[0.9, 0], [0.2, 0.3], [0.6, 0.8], [0.7, 0], [0.5, 0.1], [0.1, 0.51]]
    fit, split, response = told(targets)
    tables = evaluate_fit(fit, split, None, OF_GUIDES, seed=0, response=response)
    assert tables.metrics.set_index("metric")["value"]["guides_with_target"] == 0.75
    assert tables.metrics.set_index("metric")["value"]["non_targeting_with_target"] == 0.5
    by_guide = tables.held_out.set_index(["metric", "perturbation"])["value"]
    assert by_guide["non_targeting_with_target"].to_dict() == {"N1": 0, "N2": 1}
    assert by_guide["guides_with_target"].to_dict() == {"A": 0.5, "B": 1}


def test_a_shift_whose_mask_is_closed_is_no_direction():
    """All guides have the same shift, which only those of A are said to have."""
    shifts = [[1, 1]] * 6
    targets = [[1, 0], [1, 0], [0, 1], [0, 0], [0, 0], [0, 0]]
    found = values(*told(targets, shifts))
    assert found["sibling_auroc"] == pytest.approx((1 + 0.5) / 2), "B1 and B2 are like all other pairs"


def test_without_guides_nothing_applies(screen):
    dataset, split, _ = screen
    unguided = dataset.copy()
    del unguided.obs["target"]
    response = summarise_responses(unguided, split)
    fit = fit_linear("pca", dataset, split, Setting("s", options={"n_latent": 4}))
    assert values(fit, split, response).isna().all()


def test_what_guides_aim_at_is_read_as_it_was_written(screen, tmp_path):
    _, _, response = screen
    write_response(response, tmp_path / "response.h5ad")
    assert read_response(tmp_path / "response.h5ad").aims.to_dict() == response.aims.to_dict()
    assert response.aims["p00g0"] == "p00", "held-out guides aim at something, too"


def test_real_guides_for_one_gene_are_more_alike_than_others(shared_data):
    """Knock-outs in THP-1 cells (Papalexi et al. 2021), prepared from a config alone."""
    path = shared_data / "papalexi2021_thp1.h5ad"
    if not path.is_file():
        pytest.skip(f"the cells of Papalexi et al. are not there: {path}")
    preparation = Preparation(
        label="perturbation",
        control="control",
        guide="guide",
        each_guide=True,
        perturbations=["IFNGR1", "IFNGR2", "JAK2", "STAT1", "IRF1", "SMAD4"],
        min_cells=30,
        max_control_cells=600,
    )
    dataset = prepare(path, preparation)
    split = split_dataset(dataset, SplitPlan(kind="random", held_out=1), seed=0)
    response = summarise_responses(dataset, split)
    for method in ("pca", "ica"):
        fit = fit_linear(method, dataset, split, Setting("s", options={"n_latent": 8}))
        assert values(fit, split, response)["sibling_auroc"] > 0.6
