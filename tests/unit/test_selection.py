import numpy as np
import pandas as pd
import pytest

from svae.errors import BenchmarkError
from svae.evaluation.selection import select, udr


def grid(method="svae_plus", replicate=0, **columns):
    settings = ["s10", "s70", "s100"]
    run = {"dataset": "sim", "split": "paper", "replicate": replicate, "method": method}
    return pd.DataFrame({**run, "setting": settings, "status": "ok", **columns})


def chosen(scores, rules, **kwargs):
    return select(scores, rules, **kwargs).set_index("rule")["setting"]


def truth_of(scores, values, metric="mcc_pearson"):
    return scores[["dataset", "split", "replicate", "method", "setting"]].assign(metric=metric, value=values)


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
    rules = ["fixed", "validation_likelihood", "udr"]
    pd.testing.assert_frame_equal(
        select(scores, rules), select(scores, rules, metrics=truth_of(scores, [0.1, 0.9, 0.2]))
    )


def test_a_lower_metric_is_better_for_hindsight_if_so_said():
    scores = grid()
    metrics = truth_of(scores, [3.0, 1.0, 2.0], "target_shd")
    kwargs = {"metrics": metrics, "hindsight_metric": "target_shd"}
    assert chosen(scores, ["hindsight"], hindsight_direction="lower", **kwargs)["hindsight"] == "s70"
    assert chosen(scores, ["hindsight"], hindsight_direction="higher", **kwargs)["hindsight"] == "s10"
    assert pd.isna(chosen(scores, ["hindsight"], metrics=truth_of(scores, np.nan))["hindsight"])


def test_fixed_takes_the_named_setting():
    assert chosen(grid(), ["fixed"], fixed={"svae_plus": "s70"})["fixed"] == "s70"
    with pytest.raises(BenchmarkError, match="svae_plus: unknown setting 's71', did you mean 's70'"):
        select(grid(), ["fixed"], fixed={"svae_plus": "s71"})


def test_only_what_ended_well_is_chosen():
    scores = grid(udr=[0.5, 0.9, 0.8])
    scores["status"] = ["ok", "diverged", "ok"]
    assert chosen(scores, ["udr"])["udr"] == "s100"
    assert pd.isna(chosen(scores, ["fixed"], fixed={"svae_plus": "s70"})["fixed"])
    scores["status"] = "failed"
    assert chosen(scores, ["fixed", "udr", "hindsight"]).isna().all()


def test_the_first_of_equals_wins_in_grid_order():
    scores = grid(udr=[0.5, 0.9, 0.9]).set_index(pd.Index([7, 3, 5]))
    assert chosen(scores, ["udr"])["udr"] == "s70"
    assert chosen(scores.iloc[::-1], ["udr"])["udr"] == "s100"


def test_without_the_score_only_a_single_setting_is_chosen():
    assert pd.isna(chosen(grid(), ["udr"])["udr"])
    assert pd.isna(chosen(grid(udr=np.nan), ["udr"])["udr"])
    only = grid().iloc[:1]
    picks = chosen(only, ["udr", "hindsight"], metrics=truth_of(only, np.nan))
    assert picks.tolist() == ["s10", "s10"]


def test_runs_are_chosen_for_one_by_one():
    scores = pd.concat([grid(udr=[1.0, 2, 3]), grid(replicate=1, udr=[3.0, 2, 1]), grid("vae")])
    table = select(scores, ["udr"])
    assert table.columns.tolist() == ["dataset", "split", "replicate", "method", "rule", "setting"]
    assert table["setting"].tolist()[:2] == ["s100", "s10"]
    assert pd.isna(table["setting"].iloc[2])


def test_an_unknown_rule_is_named():
    with pytest.raises(BenchmarkError, match="unknown rule 'urd', did you mean 'udr'"):
        select(grid(), ["urd"])


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
