"""Where a module stands in its plan: when its dense epochs end, and what follows."""

import math

import pytest

from svae.training.plan import TrainingPlan
from svae.training.record import Training

PLAN = TrainingPlan(max_epochs=100, dense=0.4, decay=0.6, mask_travel=20.0)


def follow(plan, validation):
    """Train on losses as they come; the verdicts until it stops."""
    training, verdicts = Training(plan), []
    for loss in validation:
        verdicts.append(training.add(loss, loss))
        if verdicts[-1].stop:
            break
    return training, verdicts


def test_without_patience_the_plan_is_followed():
    _, verdicts = follow(PLAN, [5.0] * 200)
    assert len(verdicts) == 100
    assert [epoch for epoch, verdict in enumerate(verdicts, 1) if verdict.turn] == [40]
    assert all(verdict.keep for verdict in verdicts)
    assert [PLAN.rate_left(done) for done in (0, 40, 70, 100)] == pytest.approx([1, 1, 0.5, 0])


def test_no_one_stops_in_the_dense_epochs():
    """After them patience begins anew."""
    plan = TrainingPlan(max_epochs=100, dense=0.4, decay=0.6, patience=5)
    _, verdicts = follow(plan, [1.0] * 40 + [3.0, 2.0] + [4.0] * 50)
    assert len(verdicts) == 42 + 5


def test_patience_ends_a_stage():
    plan = TrainingPlan(max_epochs=100, patience=5)
    training, verdicts = follow(plan, [3.0, 2.0, 1.0, *[4.0] * 50])
    assert len(verdicts) == 3 + 5
    assert training.best_epoch == 3


def test_the_best_weights_are_those_after_the_dense_epochs():
    """In the dense epochs a model with masks is not yet the one that is asked for."""
    plan = TrainingPlan(max_epochs=10, dense=0.5, decay=0.5, keep="best")
    training, verdicts = follow(plan, [1.0] * 5 + [4.0, 3.0, 2.0, 3.0, 3.0])
    assert [verdict.keep for verdict in verdicts[5:]] == [True, True, True, False, False]
    assert (training.best, training.best_epoch) == (2.0, 8)


def test_a_loss_that_is_not_finite_ends_training():
    training, verdicts = follow(PLAN, [3.0, math.nan])
    assert training.diverged
    assert verdicts[-1] == (False, False, True)


@pytest.mark.parametrize("steps_per_epoch", [3, 300])
def test_the_steps_of_masks_sum_up_to_their_travel(steps_per_epoch):
    training = Training(PLAN)
    for _ in range(40):
        training.add(1.0, 1.0)
    rate = training.mask_learning_rate(steps_per_epoch)
    shares = [PLAN.rate_left(40 + step / steps_per_epoch) for step in range(60 * steps_per_epoch)]
    assert rate * sum(shares) == pytest.approx(20.0, rel=0.02)


def test_masks_without_a_travel_have_the_rate_of_all_else():
    assert Training(TrainingPlan()).mask_learning_rate(10) is None
