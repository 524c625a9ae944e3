"""Real screens from file to leaderboard: local and downloaded, split by pathway and effect, with restarts."""

import json

import look_alike
import numpy as np
import pytest
from checkout import ROOT
from screens import ENTRY, GENES, GUIDES, SCREENS

from svae.contracts.dataset import read_dataset
from svae.contracts.split import read_split
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.workflow.scope import Scope

pytestmark = pytest.mark.workflow

PERTURBATIONS = {"control", "A", "B", "C", "D", "E", "A+B", "strong"}
RESTARTS = [f"penalty={penalty}.r{restart}" for penalty in (10, 100) for restart in (0, 1)]


def dataset(run, name):
    return read_dataset(run.path / f"results/screens/data/{name}/rep0.h5ad")


def first_page(run):
    return (run.path / "results/screens/summary.rst").read_text(encoding="utf-8")


def held_out(run, name, split):
    labels = dataset(run, name).obs["perturbation"]
    table = read_split(run.path / f"results/screens/splits/{name}/{split}/rep0.tsv.gz", labels)
    return set(table.loc[table["part"].isin(["adapt", "test"]), "perturbation"])


@pytest.mark.parametrize("name", ["local", "public"])
def test_the_dataset_has_the_labels_and_batches_of_the_benchmark(screens_run, name):
    obs = dataset(screens_run, name).obs
    assert set(obs["perturbation"]) == PERTURBATIONS
    assert set(obs["batch"]) == {"L1", "L2"}


def test_the_download_is_what_was_published(screens_run):
    published = screens_run.path / "published" / "screen.h5ad"
    assert (screens_run.path / "resources/made.h5ad").read_bytes() == published.read_bytes()
    assert dataset(screens_run, "public").n_obs == sum(GUIDES.values())
    facts = dataset(screens_run, "public").uns["dataset"]
    assert (facts["citation"], facts["licence"]) == ("Somebody et al. (2025)", "CC0")


def test_only_the_cells_that_are_kept_are_fetched_of_a_large_file(screens_run):
    """The paper's dataset, its address apart, on a file of the study's layout."""
    kept = dataset(screens_run, "replogle")
    assert kept.n_obs == look_alike.CELLS_KEPT
    assert set(kept.obs["perturbation"]) == set(look_alike.KEPT)
    assert kept.n_vars == look_alike.GENES // 2
    published = screens_run.path / "published" / "K562.h5ad"
    sent = json.loads((screens_run.path / "published" / "sent.json").read_text(encoding="utf-8"))
    wanted = kept.n_obs * look_alike.GENES * np.dtype(np.float32).itemsize
    assert wanted <= look_alike.bytes_of_counts(sent, published) <= 1.1 * wanted
    tables = published.stat().st_size - look_alike.CELLS * look_alike.GENES * 4  # of cells and genes
    assert sum(stop - start for start, stop in sent) <= 1.1 * wanted + tables
    names = {key: look_alike.ENTRY[key] for key in ("label", "gene_column")}
    gene_lists = str(ROOT / look_alike.ENTRY["gene_lists"])
    whole = prepare(published, Preparation(**names, gene_lists=gene_lists))
    assert whole.obs_names.equals(kept.obs_names)
    assert (whole.X != kept.X).nnz == 0


def test_genes_are_chosen_and_the_dataset_says_on_which_cells(screens_run):
    chosen = dataset(screens_run, "public")
    assert chosen.n_vars == 25 < GENES
    assert chosen.uns["dataset"]["genes"].endswith("chosen on control cells")


def test_the_report_has_a_table_of_what_was_left_out(screens_run):
    table = screens_run.table("left_out.tsv", "screens")
    assert set(table["dataset"]) == {"local", "public", "replogle"}
    of_cells = table[(table["dataset"] == "local") & (table["what"] == "cells")]
    assert of_cells["number"].sum() + dataset(screens_run, "local").n_obs == sum(GUIDES.values())
    page = first_page(screens_run)
    assert f":Left out: local, {of_cells['number'].sum()} cells; public, 5 genes" in page


def test_the_seed_of_the_scope_reaches_the_draw_of_cells(screens_run):
    drawn = dataset(screens_run, "local")
    assert drawn.obs["perturbation"].value_counts().max() == 30
    preparation = Preparation(**ENTRY, filters={"mito": {"max": 0.19}}, max_cells=30)
    seed = Scope.check(SCREENS).preparation_seed("local")
    file = screens_run.path / "data" / "screen.h5ad"
    assert list(drawn.obs_names) == list(prepare(file, preparation, seed).obs_names)
    assert list(drawn.obs_names) != list(prepare(file, preparation, seed=0).obs_names)


def test_a_pathway_is_held_out(screens_run):
    assert held_out(screens_run, "local", "stress") == {"A", "C"}


def test_the_largest_effect_is_held_out(screens_run):
    assert held_out(screens_run, "public", "strongest") == {"strong"}


def test_all_fits_end_well(screens_run):
    status = screens_run.table("status.tsv", "screens")
    assert set(status["status"]) == {"ok"}, status[["method", "message"]]
    model = status[status["method"] == "svae_plus"]
    assert list(model.loc[model["dataset"] == "local", "setting"]) == RESTARTS
    assert model["seed"].is_unique


def test_restarts_are_scored_by_their_agreement_and_udr_chooses(screens_run):
    status = screens_run.table("status.tsv", "screens").set_index("method")
    assert status.loc["svae_plus", "udr"].between(-1, 1).all()
    selected = screens_run.table("selected.tsv", "screens")
    udr = selected[selected["rule"] == "udr"].set_index(["dataset", "method"])
    assert set(udr.loc[(slice(None), "svae_plus"), "outcome"]) == {"chosen"}
    assert set(udr.loc[(slice(None), "svae_plus"), "setting"]) <= set(RESTARTS)
    # One start cannot agree with others: the fixed setting is shown instead, and marked.
    assert set(udr.loc[(slice(None), "pca"), "outcome"]) == {"fallback"}
    assert set(udr.loc[(slice(None), "pca"), "setting"]) == {"n_latent=2"}


def test_only_what_needs_no_truth_is_measured(screens_run):
    metrics = screens_run.table("metrics.tsv.gz", "screens").dropna(subset="value")
    assert "mcc_pearson" not in set(metrics["metric"])
    assert {"inll_zero_shot", "inll_clean"} <= set(metrics.loc[metrics["method"] == "svae_plus", "metric"])
    assert not any(metric.startswith("inll") for metric in metrics.loc[metrics["method"] == "pca", "metric"])


def test_likelihoods_are_told_for_each_held_out_perturbation(screens_run):
    """They are what methods are compared over: replicates of real data share their cells."""
    told = screens_run.table("held_out.tsv.gz", "screens").query("metric == 'inll_clean'")
    assert set(told.query("dataset == 'local' and split == 'stress'")["perturbation"]) == {"A", "C"}
    keys = ["dataset", "split", "replicate", "method", "setting"]
    values = screens_run.table("metrics.tsv.gz", "screens").query("metric == 'inll_clean'").dropna()
    means = told.groupby(keys)["value"].mean()
    np.testing.assert_allclose(means, values.set_index(keys)["value"].reindex(means.index))
    assert len(means) > 0


def test_the_genes_of_latents_are_told_and_the_gene_sets_among_them(screens_run):
    genes = screens_run.table("latent_genes.tsv.gz", "screens")
    assert set(genes["dataset"]) == {"local", "public"}
    assert genes.groupby("dataset")["gene"].nunique().to_dict() == {"local": 30, "public": 25}
    sets = screens_run.table("enrichment.tsv.gz", "screens")
    assert set(sets["dataset"]) == {"local"}, "the other names no file of gene sets"
    assert set(sets["gene_set"]) == {"first"}, "the other is too small"
    assert sorted(sets["latent"]) == [1, 2, 3]


def test_generated_counts_are_compared_with_real_ones(screens_run):
    checks = screens_run.table("predictive.tsv.gz", "screens")
    assert set(checks["method"]) == {"svae_plus"}, "PCA generates no cells"
    assert checks.groupby("dataset")["gene"].nunique().to_dict() == {"local": 30, "public": 25}
    means = checks.query("statistic == 'mean'")
    assert (means["generated"] - means["real"]).abs().median() < means["real"].median()


def test_what_each_perturbation_does_is_told(screens_run):
    table = screens_run.table("perturbations.tsv.gz", "screens").query("method == 'svae_plus'")
    of_local = table[table["dataset"] == "local"].set_index("perturbation")
    assert set(of_local.index) == PERTURBATIONS - {"control"}
    assert set(of_local["cells"]) == {30}
    assert set(of_local.index[of_local["part"] == "held_out"]) == {"A", "C"}
    assert of_local["effect"].idxmax() == "strong"
    assert of_local["called"].notna().equals(of_local["part"] == "trained")
    page = (screens_run.path / "results/screens/perturbations.html").read_text(encoding="utf-8")
    assert page.count('<th scope="row">') == len(table)


def test_cells_are_on_a_map(screens_run):
    """It is that of the first fit on each dataset, with the setting that the rule chose."""
    cells = screens_run.table("embedding.tsv.gz", "screens")
    selected = screens_run.table("selected.tsv", "screens").query("rule == 'udr' and method == 'svae_plus'")
    assert cells.groupby("dataset")["cell"].nunique().to_dict() == {"local": 240, "public": 340}
    assert set(cells["batch"]) == {"L1", "L2"}
    keys = ["dataset", "split", "replicate", "method", "setting"]
    assert len(cells[keys].drop_duplicates().merge(selected)) == 2


def test_the_first_page_names_the_screens(screens_run):
    page = first_page(screens_run)
    assert "local (real, 240 cells, 30 genes, 7 perturbations)" in page
    genes = "public, the 25 most variable of 30 in the file, chosen on control cells"
    assert f":Genes: local, all 30 in the file; {genes}" in page
    assert ":Control: local, 30 cells (ctrl); public, 60 cells (ctrl)" in page
    assert ":Cells per perturbation: local, 30; public, 40" in page
    assert ":Batches: local, 2 (lane); public, 2 (lane)" in page
