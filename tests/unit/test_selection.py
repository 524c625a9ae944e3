from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from svae.contracts.tables import METRICS_COLUMNS, SELECTED_COLUMNS, read_status, read_tidy
from svae.errors import BenchmarkError
from svae.evaluation.restarts import udr
from svae.evaluation.selection import RULES, Candidates, in_order_of_choice, rule, select
from svae.workflow.scope import Scope

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "reports" / "reference"


def grid(method="svae_plus", replicate=0, **columns):
    settings = ["s10", "s70", "s100"]
    run = {"dataset": "sim", "split": "paper", "replicate": replicate, "method": method}
    return pd.DataFrame({**run, "setting": settings, "status": "ok", **columns})


def truth_of(scores, values, metric="mcc_pearson"):
    return scores[["dataset", "split", "replicate", "method", "setting"]].assign(metric=metric, value=values)


def choices(scores, rules, metrics=None, **kwargs):
    """What each rule chose in the one run of `scores`, and how: ``setting`` and ``outcome`` by rule."""
    metrics = truth_of(scores, np.nan) if metrics is None else metrics
    return select(scores, metrics, rules, **kwargs).set_index("rule")[["setting", "outcome"]]


def chosen(scores, rules, metrics=None, **kwargs):
    """The settings of :func:`choices`, all of which were chosen."""
    table = choices(scores, rules, metrics, **kwargs)
    assert set(table["outcome"]) == {"chosen"}
    return table["setting"]


def test_each_rule_looks_at_its_own_score():
    scores = grid(validation_likelihood=[-369.0, -370, -371], udr=[0.5, 0.9, 0.8])
    picks = chosen(
        scores,
        ["fixed", "validation_likelihood", "udr", "hindsight"],
        metrics=truth_of(scores, [0.5, 0.8, 0.9]),
    )
    assert picks.to_dict() == {
        "fixed": "s10",
        "validation_likelihood": "s10",
        "udr": "s70",
        "hindsight": "s100",
    }


def test_the_truth_moves_hindsight_only():
    scores = grid(validation_likelihood=[1.0, 2, 3], udr=[3.0, 2, 1])
    blind = [name for name, rule in RULES.items() if not rule.sees_truth]
    assert blind == ["fixed", "validation_likelihood", "udr"]
    pd.testing.assert_frame_equal(
        choices(scores, blind), choices(scores, blind, metrics=truth_of(scores, [0.1, 0.9, 0.2]))
    )


def test_hindsight_knows_which_direction_of_its_metric_is_better():
    scores = grid()
    for metric, best in (("target_shd", "s70"), ("target_f1", "s10")):
        metrics = truth_of(scores, [3.0, 1.0, 2.0], metric)
        assert chosen(scores, ["hindsight"], metrics, hindsight_metric=metric)["hindsight"] == best
    with pytest.raises(BenchmarkError, match="unknown metric 'mcc_person', did you mean 'mcc_pearson'"):
        choices(scores, ["hindsight"], hindsight_metric="mcc_person")


def test_fixed_takes_the_named_setting():
    assert chosen(grid(), ["fixed"], fixed={"svae_plus": "s70"})["fixed"] == "s70"
    with pytest.raises(BenchmarkError, match="svae_plus: unknown setting 's71', did you mean 's70'"):
        choices(grid(), ["fixed"], fixed={"svae_plus": "s71"})


def test_only_what_ended_well_is_chosen():
    scores = grid(udr=[0.5, 0.9, 0.8])
    scores["status"] = ["ok", "diverged", "ok"]
    assert chosen(scores, ["udr"])["udr"] == "s100"
    table = choices(scores, ["fixed"], fixed={"svae_plus": "s70"})
    assert pd.isna(table.loc["fixed", "setting"])
    assert table.loc["fixed", "outcome"] == "failed"


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [
        (["failed", "diverged", "timeout"], "failed"),
        (["not_applicable", "not_applicable", "failed"], "failed"),
        (["not_applicable"] * 3, "not_applicable"),
    ],
)
def test_without_a_fit_there_is_no_setting(statuses, outcome):
    scores = grid(udr=[0.5, 0.9, 0.8]).assign(status=statuses)
    table = choices(scores, RULES, metrics=truth_of(scores, [0.1, 0.2, 0.3]))
    assert table["setting"].isna().all()
    assert set(table["outcome"]) == {outcome}


def test_the_first_of_equals_wins_in_grid_order():
    scores = grid(udr=[0.5, 0.9, 0.9]).set_index(pd.Index([7, 3, 5]))
    assert chosen(scores, ["udr"])["udr"] == "s70"
    assert chosen(scores.iloc[::-1], ["udr"])["udr"] == "s100"


@pytest.mark.parametrize("scores", [grid(), grid(udr=np.nan)])
def test_a_rule_without_its_score_falls_back_to_the_fixed_setting(scores):
    table = choices(scores, ["fixed", "udr"], fixed={"svae_plus": "s70"})
    assert table.loc["fixed"].tolist() == ["s70", "chosen"]
    assert table.loc["udr"].tolist() == ["s70", "fallback"]
    scores = scores.assign(status=["ok", "diverged", "ok"])
    assert choices(scores, ["udr"], fixed={"svae_plus": "s70"}).loc["udr", "outcome"] == "failed"


def test_hindsight_does_not_fall_back():
    table = choices(grid(), ["hindsight"])
    assert pd.isna(table.loc["hindsight", "setting"])
    assert table.loc["hindsight", "outcome"] == "not_applicable"


def test_the_only_setting_is_chosen_by_every_rule():
    only = grid().iloc[:1]
    assert chosen(only, RULES).tolist() == ["s10"] * len(RULES)


def test_runs_are_chosen_for_one_by_one():
    scores = pd.concat([grid(udr=[1.0, 2, 3]), grid(replicate=1, udr=[3.0, 2, 1]), grid("vae")])
    table = select(scores, truth_of(scores, np.nan), ["udr"])
    assert tuple(table.columns) == SELECTED_COLUMNS
    assert table["setting"].tolist() == ["s100", "s10", "s10"]
    assert table["outcome"].tolist() == ["chosen", "chosen", "fallback"]


def test_an_unknown_rule_is_named():
    with pytest.raises(BenchmarkError, match="unknown rule 'urd', did you mean 'udr'"):
        choices(grid(), ["urd"])


def test_a_rule_is_one_function():
    try:

        @rule(label="frugal", sentence="the shortest run time")
        def frugal(candidates: Candidates):
            return candidates.score("seconds").idxmin()

        assert RULES["frugal"].label == "frugal"
        assert chosen(grid(seconds=[3.0, 2, 1]), ["frugal"])["frugal"] == "s100"
        with pytest.raises(BenchmarkError, match="rule 'frugal': the name is taken"):
            rule(label="", sentence="")(frugal)
    finally:
        RULES.pop("frugal", None)


@pytest.mark.parametrize("run", ["simulation", "papalexi"])
def test_the_committed_choices_are_those_of_the_rules(run):
    folder = REFERENCE / run
    metrics = read_tidy(folder / "metrics.tsv.gz", METRICS_COLUMNS)
    fixed = Scope.read(ROOT / "config" / f"{run}.yaml").selection.fixed
    selected = select(read_status(folder / "status.tsv"), metrics, fixed=fixed)
    committed = read_tidy(folder / "selected.tsv", SELECTED_COLUMNS)
    pd.testing.assert_frame_equal(selected, committed, check_dtype=False)
    linear = committed[(committed["rule"] == "udr") & committed["method"].isin(["ica", "pca"])]
    # They have several settings in the simulation, and no restarts that could agree.
    assert set(linear["outcome"]) == {"fallback" if run == "simulation" else "chosen"}


def test_udr_finds_the_restart_that_went_astray():
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(300, 4))
    same = [latents, -latents[:, ::-1], latents[:, [1, 0, 3, 2]] * 3]
    scores = udr([*same, rng.normal(size=(300, 4))])
    np.testing.assert_allclose(scores[:3], 1)
    assert scores[3] < 0.3


def test_restarts_have_to_agree_on_targets_too():
    rng = np.random.default_rng(0)
    latents, targets = rng.normal(size=(300, 3)), np.eye(3, dtype=bool)
    extra = targets.copy()
    extra[0] = True
    turned = [2, 0, 1]
    same = udr([latents, -latents[:, turned]], [targets, targets[:, turned]])
    np.testing.assert_allclose(same, 1)
    # |r| is 1, and F1 is 2 · 3 / (3 + 5)
    np.testing.assert_allclose(udr([latents, latents], [targets, extra]), (1 + 0.75) / 2)
    np.testing.assert_allclose(udr([latents, latents], [~targets & targets] * 2), 0.5)


def test_udr_by_hand():
    a = np.array([[1.0], [2], [3], [4]])
    b, c = np.array([[2.0], [1], [4], [3]]), np.array([[4.0], [3], [2], [1]])
    # |r|: a-b .6, a-c 1, b-c .6; of two others, the better one is at least half of them
    np.testing.assert_allclose(udr([a, b, c]), [1.0, 0.6, 1.0])
    assert np.isnan(udr([a])).all()
    assert len(udr([])) == 0


def test_the_order_of_choice_is_that_of_the_scores():
    scores = grid(validation_likelihood=[-371.0, -369, -370], udr=[0.5, np.nan, 0.8])
    assert in_order_of_choice(RULES["validation_likelihood"], scores) == ["s70", "s100", "s10"]
    assert in_order_of_choice(RULES["udr"], scores) == ["s100", "s10"], "what has no score is never chosen"
    assert in_order_of_choice(RULES["fixed"], scores) == []
    assert in_order_of_choice(RULES["udr"], scores.head(1)) == ["s10"], "there is nothing else"
    lost = scores.assign(status=["ok", "diverged", "ok"])
    assert in_order_of_choice(RULES["validation_likelihood"], lost) == ["s100", "s10"]
