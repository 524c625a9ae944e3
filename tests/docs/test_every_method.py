"""What docs/every-method.md says of the committed run of all methods holds in its tables."""

import re
from itertools import combinations

from checkout import ROOT

from docs.generate.comparisons import Chosen
from docs.generate.every import OF_PAIRS, PAIRS, RUN, UNSEEN
from docs.generate.results import REFERENCE, Leaderboard
from svae.contracts.tables import read_status
from svae.evaluation.matching import mcc_of_rotations
from svae.workflow.scope import Scope

KNOW_THE_PERTURBATION = ["svae_plus", "svae", "sams_vae", "cpa_vae", "ivae", "ivae_rotated"]
KNOW_NO_PERTURBATION = ["vae", "beta_vae", "hsic_vae"]
ANCHORS = ["oracle", "random"]


def board(place, metric):
    """Rows of the methods that have a value of a metric, by method."""
    rows = Leaderboard(*place).rows
    return rows[(rows["metric"] == metric) & rows["mean"].notna()].set_index("method")


def test_every_method_of_the_scope_was_run():
    scope = Scope.read(ROOT / "config" / f"{RUN}.yaml")
    status = read_status(REFERENCE / RUN / "status.tsv.gz")
    assert set(status["method"]) == set(scope.methods)
    assert set(status["status"]) == {"ok", "not_applicable"}
    assert status["replicate"].nunique() == scope.replicates == 3


def test_nobody_is_found_above_a_rotation():
    mcc = board(UNSEEN, "mcc_pearson").drop(ANCHORS)
    rotation = mcc_of_rotations(int(Chosen(*UNSEEN).facts["latents"]))
    assert mcc["low"].max() < rotation
    assert mcc.loc[["discrepancy_vae", "contrastive_vi"], "mean"].max() < rotation - 0.3
    assert mcc["mean"].drop(["discrepancy_vae", "contrastive_vi"]).min() > rotation - 0.3


def test_targets_that_are_read_off_shifts_are_too_few():
    f1 = board(UNSEEN, "target_f1")["mean"]
    assert 0.45 < f1["random"] < 0.55
    assert set(f1.drop(ANCHORS).nlargest(3).index) == {"sams_vae", "gsfa", "perturbvi"}
    assert f1[["ivae", "ivae_rotated", "cpa_vae"]].max() < f1["random"]
    recall = board(UNSEEN, "target_recall")["mean"]
    assert recall[["ivae", "ivae_rotated", "cpa_vae"]].max() < 0.25


def test_knowing_the_perturbation_makes_adapted_cells_more_likely():
    run = Chosen(*UNSEEN)
    for one in KNOW_THE_PERTURBATION:
        for other in KNOW_NO_PERTURBATION:
            assert run.difference(one, other, "inll_clean")["high"] < 0
    for pair in combinations(KNOW_THE_PERTURBATION, 2):
        assert run.difference(*pair, "inll_clean")["verdict"] != "differs"
    means = run.of_metric("inll_clean").mean()
    assert means["oracle"] < means.drop("oracle").min() - 10


def test_the_conditional_vae_is_between_those_that_know_the_perturbation_and_those_that_do_not():
    run = Chosen(*UNSEEN)
    others = ("ivae", "beta_vae", "svae_plus", "vae")
    to = {name: run.difference("conditional_vae", name, "inll_clean") for name in others}
    assert to["ivae"]["low"] > 0
    assert to["beta_vae"]["high"] < 0
    assert {to[name]["verdict"] for name in ("svae_plus", "vae")} == {"not decided"}


def test_shifts_that_were_adapted_predict_genes():
    for metric in ("pearson_delta_adapted_calibrated", "weighted_r2_adapted_calibrated"):
        mean = board(UNSEEN, metric)["mean"]
        assert mean[KNOW_THE_PERTURBATION].min() > 0.95
        assert mean[["gsfa", "perturbvi", "discrepancy_vae"]].max() < mean[KNOW_THE_PERTURBATION].min()
    zero_shot = board(UNSEEN, "pearson_delta_zero_shot_calibrated").drop(["oracle", "mean_response"])
    assert zero_shot["low"].max() < 0


def test_pairs_are_sums_of_their_parts():
    run = Chosen(*PAIRS)
    for method in ("cpa_vae", "sams_vae", "gsfa"):
        assert run.difference(method, "additive", OF_PAIRS[1])["verdict"] == "not decided"
        assert board(PAIRS, OF_PAIRS[1]).loc[method, "low"] > 0, "better than the mean response"


def test_the_readme_and_the_page_name_the_command():
    for name in ("README.md", "docs/every-method.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(rf"make report SCOPE={RUN}\b", text)
