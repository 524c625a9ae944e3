import pytest

from svae.errors import BenchmarkError
from svae.training.plan import TrainingPlan
from svae.training.presets import PRESETS, named_preset, plan_with


@pytest.mark.parametrize(
    ("n_cells", "expected"),
    [(100_000, 512), (18_000, 512), (7_200, 225), (2_560, 80), (1_000, 64), (50, 50)],
)
def test_batches_shrink_with_the_data(n_cells, expected):
    assert TrainingPlan(batch_size=512, min_steps=32).cells_per_step(n_cells) == expected


def test_without_a_minimum_of_steps_a_batch_is_what_was_asked_for():
    assert TrainingPlan(batch_size=128).cells_per_step(300) == 128


@pytest.mark.parametrize("name", PRESETS)
def test_the_second_stage_moves_no_masks(name):
    plan = PRESETS[name].plan.for_refit()
    assert (plan.mask_travel, plan.dense) == (0.0, 0.0)


@pytest.mark.parametrize("name", PRESETS)
def test_the_second_stage_begins_with_the_whole_loss(name):
    """It goes on from a trained model: an epoch without the KL terms would let the latents drift."""
    assert PRESETS[name].plan.for_refit().kl_weight(1) == 1.0


def test_the_first_stage_warms_up_from_zero():
    plan = TrainingPlan(warmup_epochs=4)
    assert [plan.kl_weight(epoch) for epoch in (1, 2, 5, 9)] == [0.0, 0.25, 1.0, 1.0]


def test_unknown_names_get_the_nearest_one():
    with pytest.raises(BenchmarkError, match="did you mean 'tuned'"):
        named_preset("tunde")
    with pytest.raises(BenchmarkError, match="did you mean 'learning_rate'"):
        plan_with(TrainingPlan(), learning_rat=1.0)
