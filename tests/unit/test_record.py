"""What becomes of a module: which weights are kept, and when it stops; and what its plan is at each epoch."""

import math

import pytest

from svae.training.plan import TrainingPlan
from svae.training.record import Training

PLAN = TrainingPlan(max_epochs=100, dense=0.4, decay=0.6, mask_travel=20.0)


def follow(plan, validation):
    """Train on losses as they come, whether to keep the weights of each epoch, until it stops."""
    training, kept = Training(), []
    for epoch, loss in enumerate(validation[: plan.max_epochs], 1):
        keep, stop = training.add(loss, loss, plan, dense=epoch <= plan.dense_epochs)
        kept.append(keep)
        if stop:
            break
    return training, kept


def test_without_patience_the_plan_is_followed():
    _, kept = follow(PLAN, [5.0] * 200)
    assert len(kept) == 100
    assert PLAN.dense_epochs == 40
    assert all(kept)
    assert [PLAN.rate_left(done) for done in (0, 40, 70, 100)] == pytest.approx([1, 1, 0.5, 0])


def test_no_one_stops_in_the_dense_epochs():
    """After them patience begins anew."""
    plan = TrainingPlan(max_epochs=100, dense=0.4, decay=0.6, patience=5)
    _, kept = follow(plan, [1.0] * 40 + [3.0, 2.0] + [4.0] * 50)
    assert len(kept) == 42 + 5


def test_patience_ends_a_stage():
    plan = TrainingPlan(max_epochs=100, patience=5)
    training, kept = follow(plan, [3.0, 2.0, 1.0, *[4.0] * 50])
    assert len(kept) == 3 + 5
    assert training.best_epoch == 3


def test_the_best_weights_are_those_after_the_dense_epochs():
    """In the dense epochs a model with masks is not yet the one that is asked for."""
    plan = TrainingPlan(max_epochs=10, dense=0.5, decay=0.5, keep="best")
    training, kept = follow(plan, [1.0] * 5 + [4.0, 3.0, 2.0, 3.0, 3.0])
    assert kept[5:] == [True, True, True, False, False]
    assert (training.best, training.best_epoch) == (2.0, 8)


def test_a_loss_that_is_not_finite_ends_training():
    training, kept = follow(PLAN, [3.0, math.nan, 3.0])
    assert training.diverged
    assert kept == [True, False]


@pytest.mark.parametrize("steps_per_epoch", [3, 300])
def test_the_steps_of_masks_sum_up_to_their_travel(steps_per_epoch):
    rate = PLAN.mask_learning_rate(steps_per_epoch)
    shares = [PLAN.rate_left(40 + step / steps_per_epoch) for step in range(60 * steps_per_epoch)]
    assert rate * sum(shares) == pytest.approx(20.0, rel=0.02)


def test_masks_without_a_travel_have_the_rate_of_all_else():
    assert TrainingPlan().mask_learning_rate(10) is None
