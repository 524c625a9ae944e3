"""What docs/real-cells.md and the README say of the committed real screen holds in its tables."""

import pandas as pd
import pytest
from checkout import ROOT

from docs.generate.comparisons import Chosen
from docs.generate.results import REFERENCE, Leaderboard
from docs.generate.screen import GUIDES, RUN, SCREEN
from svae.contracts.tables import LATENT_GENES_COLUMNS, TARGETS_COLUMNS, read_tidy
from svae.evaluation.metrics import METRICS
from svae.files import read_table
from svae.targets import THRESHOLD
from svae.workflow.scope import Scope

FOLDER = REFERENCE / RUN
PATHWAY = ["IFNGR1", "IFNGR2", "JAK2", "STAT1"]
SPARSE = ["svae_plus", "svae", "sams_vae"]
DENSE = ["ivae", "ivae_rotated", "cpa_vae"]


@pytest.fixture(scope="module")
def targets():
    table = read_tidy(FOLDER / "targets.tsv.gz", TARGETS_COLUMNS)
    return table[(table["method"] == "svae_plus") & (table["dataset"] == "papalexi")]


@pytest.fixture(scope="module")
def trained(targets):
    """Targets of trained knock-outs, with the sign of the shift."""
    return targets[(targets["part"] == "trained") & (targets["probability"] > THRESHOLD)]


def test_the_pathway_shares_one_latent_and_one_direction_in_every_fold(trained):
    of_pathway = trained[trained["perturbation"].isin(PATHWAY)]
    assert set(of_pathway["perturbation"]) == set(PATHWAY)
    for _, fold in of_pathway.groupby("replicate"):
        assert fold["latent"].nunique() == 1
        assert fold["perturbation"].is_unique
        assert len(set(fold["shift"] > 0)) == 1


def test_smad4_has_a_latent_of_its_own_and_the_others_have_none(trained):
    assert set(trained["perturbation"]) == {*PATHWAY, "SMAD4"}
    for _, fold in trained.groupby("replicate"):
        own = set(fold.loc[fold["perturbation"] == "SMAD4", "latent"])
        assert own.isdisjoint(fold.loc[fold["perturbation"].isin(PATHWAY), "latent"])


def test_held_out_members_of_the_pathway_are_nearest_to_the_others():
    nearest = pd.read_csv(FOLDER / "figures" / "nearest_trained.tsv", sep="\t")
    first = nearest.groupby("perturbation").first()
    assert set(first.loc[PATHWAY, "other"]) <= set(PATHWAY)
    assert first.loc[PATHWAY, "similarity"].min() > 0.95
    assert first.loc["IRF1", "other"] in PATHWAY
    assert 0.7 < first.loc["IRF1", "similarity"] < 0.95


def test_the_latent_of_the_pathway_moves_genes_of_interferon_signalling(trained):
    genes = read_tidy(FOLDER / "latent_genes.tsv.gz", LATENT_GENES_COLUMNS)
    genes = genes[(genes["method"] == "svae_plus") & (genes["dataset"] == "papalexi")]
    stat1 = trained[trained["perturbation"] == "STAT1"]
    for row in stat1.itertuples():
        of_latent = genes[(genes["replicate"] == row.replicate) & (genes["latent"] == row.latent)]
        change = of_latent.set_index("gene")["log2_fold_change"] * (1 if row.shift > 0 else -1)
        assert (change[["JAK2", "STAT1", "PSMB9", "UBE2L6"]] < 0).all(), "the knock-out lowers them"
        assert change.rank()[["JAK2", "PSMB9"]].max() <= 0.1 * len(change), "among those that fall most"


def test_masks_find_fewer_siblings_than_dense_shifts():
    run = Chosen(*GUIDES)
    for dense in DENSE:
        for sparse in SPARSE:
            assert run.difference(dense, sparse, "sibling_auroc")["low"] > 0
    called = run.of_metric("guides_with_target").mean()
    assert called[SPARSE].max() < 0.5, "for most guides a mask names no target"
    assert called[["svae_plus", *DENSE]].between(0.2, 0.3).all()
    assert run.difference("ivae", "ica", "sibling_auroc")["verdict"] == "not decided"


def test_false_positives_are_those_of_linear_models():
    found = Chosen(*GUIDES).of_metric("non_targeting_with_target")
    assert len(found) == 4
    called = found.sum().drop("random").dropna()
    assert called[called > 0].to_dict() == {"gsfa": 1, "perturbvi": 4, "discrepancy_vae": 4, "scarches": 1}


def test_models_that_know_the_perturbation_differ_in_likelihood_by_less_than_the_margin():
    run = Chosen(*SCREEN)
    for method in ("svae", "sams_vae", "cpa_vae", "ivae", "ivae_rotated"):
        row = run.difference(method, "svae_plus", "inll_clean")
        assert max(-row["low"], row["high"]) < METRICS["inll_clean"].margin


def test_adapted_predictions_come_near_a_duplicate_and_others_are_not_found_better_than_the_mean():
    board = Leaderboard(*SCREEN).rows.set_index(["metric", "method"])
    adapted = board.loc["weighted_r2_adapted_calibrated", "mean"].dropna()
    cannot_adapt = ["vae", "beta_vae", "hsic_vae", "no_change", "mean_response"]
    reconstructs = ["dca", "scvi", "scanvi", "contrastive_vi"]
    assert adapted["discrepancy_vae"] < 0
    assert adapted.drop([*cannot_adapt, *reconstructs, "discrepancy_vae", "scarches"]).min() > 0.8
    difference = Chosen(*SCREEN).difference("scarches", "mean_response", "weighted_r2_adapted_calibrated")
    assert difference["low"] < 0 < difference["high"]
    assert adapted[cannot_adapt].max() < 0.25
    zero_shot = board.loc["weighted_r2_zero_shot_calibrated", "low"].dropna()
    assert zero_shot.drop("mean_response").max() < 0


def test_the_discrepancy_vae_names_one_latent_for_all():
    table = read_tidy(FOLDER / "targets.tsv.gz", TARGETS_COLUMNS)
    own = table[(table["method"] == "discrepancy_vae") & (table["part"] == "trained")]
    assert own["setting"].nunique() == 1
    named = own[own["probability"] > THRESHOLD]
    for _, fit in named.groupby(["dataset", "replicate"]):
        assert fit["latent"].nunique() == 1


def test_scvi_is_not_found_to_differ_from_ica_or_its_own_kind_in_sibling_guides():
    for other in ("ica", "scanvi", "scarches", "contrastive_vi"):
        assert Chosen(*GUIDES).difference("scvi", other, "sibling_auroc")["verdict"] == "not decided"


@pytest.mark.parametrize("method", ["scvi", "scarches"])
def test_models_of_scvi_tools_find_held_out_cells_less_likely_by_less_than_the_margin(method):
    row = Chosen(*SCREEN).difference(method, "vae", "inll_clean")
    assert row["low"] > 0
    assert row["high"] < METRICS["inll_clean"].margin


def test_the_correlation_of_deltas_is_no_evidence_on_this_screen():
    warnings = read_table(FOLDER / "warnings.tsv")
    said = warnings[(warnings["dataset"] == "papalexi") & (warnings["warning"] == "no evidence")]["detail"]
    assert {"Pearson of deltas, zero-shot", "Pearson of deltas, adapted"} <= set(said)
    board = Leaderboard(*SCREEN).rows
    assert board.loc[board["metric"] == "pearson_delta_adapted_calibrated", "mean"].isna().all()


def test_no_method_of_the_scope_is_missing():
    status = read_table(FOLDER / "status.tsv")
    assert set(status["method"]) == set(Scope.read(ROOT / "config" / "papalexi.yaml").methods)
    assert set(status["status"]) == {"ok"}
