import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import sparse

from svae.models.module import PerturbationVAE
from svae.models.priors import SpikeAndSlabShift
from svae.training.cells import Cells, count_tensor
from svae.training.fleet import train
from svae.training.noise import FleetNoise
from svae.training.plan import TrainingPlan

PLAN = TrainingPlan(
    max_epochs=2, learning_rate=3e-3, eps=1e-6, batch_size=32, warmup_epochs=2, weight_decay=1e-4, decay=0.5
)
TRAINING, VALIDATION = np.arange(96), np.arange(96, 120)


@pytest.fixture(scope="module")
def cells():
    generator = torch.Generator().manual_seed(0)
    rates = 2 + 8 * torch.rand(120, 10, generator=generator)
    x = torch.poisson(rates, generator=generator) + 1
    return Cells(x, torch.arange(120) % 4, torch.zeros(120).long())


def build(seed, penalty=5.0, dropout_rate=0.1):
    torch.manual_seed(seed)
    return PerturbationVAE(
        10, SpikeAndSlabShift(4, 3, penalty=penalty), n_hidden=16, dropout_rate=dropout_rate
    )


def run(modules, seeds, cells, plan=PLAN, **options):
    return train(modules, seeds, cells, TRAINING, VALIDATION, plan, **options)


@pytest.mark.parametrize(("largest", "kind"), [(255, torch.uint8), (256, torch.int16), (70_000, torch.int32)])
def test_counts_take_no_more_memory_than_they_need(largest, kind):
    counts = np.array([[0, 1], [largest, 3]], dtype=np.float32)
    for stored in (counts, sparse.csr_matrix(counts)):
        tensor = count_tensor(stored)
        assert tensor.dtype == kind
        assert tensor.tolist() == counts.tolist()


def test_the_type_of_counts_changes_no_number(cells):
    small = Cells(count_tensor(cells.counts.numpy()), cells.perturbation, cells.batch)
    assert small.counts.dtype == torch.uint8
    fitted = []
    for of_type in (cells, small):
        modules = [build(0), build(1)]
        run(modules, [0, 1], of_type)
        fitted.append(modules)
    for first, second in zip(*fitted, strict=True):
        for name, value in first.state_dict().items():
            assert torch.equal(value, second.state_dict()[name]), name


def same(first, second, tolerance=1e-4):
    states = first.state_dict(), second.state_dict()
    return all(torch.allclose(states[0][n].float(), states[1][n].float(), atol=tolerance) for n in states[0])


def test_a_replica_does_not_notice_the_fleet_around_it(cells):
    together = [build(seed, penalty) for seed, penalty in ((1, 2.0), (2, 5.0), (3, 9.0))]
    alone = copy.deepcopy(together[1])
    histories = run(together, [11, 12, 13], cells, learning_rates=[1e-3, 3e-3, 1e-2])
    [history] = run([alone], [12], cells)
    assert same(alone, together[1])
    assert history.table()["validation"].tolist() == pytest.approx(
        histories[1].table()["validation"].tolist()
    )
    assert not same(together[0], together[1])


def test_the_size_of_the_fleet_changes_nothing(cells):
    first, second = ([build(seed) for seed in range(3)] for _ in range(2))
    run(first, [1, 2, 3], cells)
    run(second, [1, 2, 3], cells, fleet_size=2)
    assert all(same(a, b) for a, b in zip(first, second, strict=True))


def test_same_seeds_same_bits(cells):
    first, second = ([build(seed) for seed in range(2)] for _ in range(2))
    run(first, [1, 2], cells)
    run(second, [1, 2], cells)
    assert all(same(a, b, tolerance=0.0) for a, b in zip(first, second, strict=True))


def test_the_steps_are_those_of_adam(cells):
    module = build(0)
    reference, plan = copy.deepcopy(module), replace(PLAN, max_epochs=1, warmup_epochs=0, decay=0.0)
    run([module], [7], cells, plan)

    noise = FleetNoise([reference], [7], torch.device("cpu"))
    [order] = noise.orders(len(TRAINING))
    adam = torch.optim.Adam(reference.parameters(), lr=3e-3, eps=1e-6, weight_decay=1e-4)
    reference.train()
    for step in range(3):
        rows = slice(32 * step, 32 * (step + 1))
        batch = cells[torch.as_tensor(TRAINING)[order[rows]]]
        drawn = {name: values[0] for name, values in noise.step(32).items()}
        loss = reference.objective(*batch.tensors(), drawn, 1.0, 96)
        adam.zero_grad()
        loss.backward()
        adam.step()
    assert same(module, reference, tolerance=1e-5)


def test_noise_follows_from_the_seed_and_the_purpose_alone(cells):
    """Neither validation nor the order of the data changes what a step draws; no two share numbers."""
    module = build(0)
    first, second = (FleetNoise([module], [7], torch.device("cpu")) for _ in range(2))
    second.validation(24)
    second.orders(96)
    drawn, again = first.step(32), second.step(32)
    assert all(torch.equal(drawn[name], again[name]) for name in drawn)
    assert not torch.equal(first.step(32)["z"], drawn["z"])
    assert not torch.equal(first.validation(32)["z"], drawn["z"])


def test_the_number_of_validation_cells_changes_no_weights(cells):
    first, second = build(0), build(0)
    train([first], [1], cells, TRAINING, VALIDATION, PLAN)
    train([second], [1], cells, TRAINING, VALIDATION[:5], PLAN)
    assert same(first, second, tolerance=0.0)


def test_the_sum_objective_is_the_sum(cells):
    """Minimising the loss of all cells equals dividing Adam's constants by their number."""
    plan = replace(PLAN, eps=1e-2, objective="sum")
    per_cell = plan.for_cells(96)
    assert (per_cell.eps, per_cell.weight_decay) == (1e-2 / 96, 1e-4 / 96)
    first, second = build(0), build(0)
    run([first], [1], cells, plan)
    run([second], [1], cells, per_cell)
    assert same(first, second, tolerance=0.0)


def test_one_that_diverges_leaves_the_others_alone(cells):
    modules = [build(seed) for seed in range(3)]
    alone = copy.deepcopy(modules[0])
    with torch.no_grad():
        modules[1].log_dispersion.fill_(float("nan"))
    results = run(modules, [1, 2, 3], cells)
    run([alone], [1], cells)
    assert [result.diverged for result in results] == [False, True, False]
    assert len(results[1].history) == 1
    assert same(alone, modules[0])


def test_a_replica_that_stopped_does_not_move(cells):
    """The second replica takes steps so long that it soon stops; the first goes on."""
    modules, plan = [build(0), build(1)], replace(PLAN, max_epochs=12, patience=2, decay=0.0)
    results = run(modules, [1, 2], cells, plan, learning_rates=[1e-3, 0.2])
    lengths = [len(result.history) for result in results]
    assert lengths[1] < lengths[0]
    alone = build(1)
    run([alone], [2], cells, replace(plan, max_epochs=lengths[1], patience=None, learning_rate=0.2))
    assert same(alone, modules[1], tolerance=1e-2)


def test_the_best_weights_are_kept(cells):
    plan = replace(PLAN, max_epochs=10, learning_rate=0.2, keep="best", decay=0.0)
    module = build(0)
    [result] = run([module], [1], cells, plan)
    losses = result.table()["validation"]
    assert result.best == losses.min() < losses.iloc[-1]
    again = build(0)
    run([again], [1], cells, replace(plan, max_epochs=result.best_epoch, keep="last"))
    assert same(module, again, tolerance=1e-3)


def test_masks_that_may_not_travel_stand_still(cells):
    module = build(0)
    before = module.prior.logit.detach().clone()
    run([module], [1], cells, replace(PLAN, mask_travel=0.0))
    assert torch.equal(module.prior.logit, before)
    assert not torch.equal(module.prior.shift, build(0).prior.shift)


def test_masks_wait_for_the_rotation(cells):
    """During the dense epochs the masks stand still and nothing is stopped; then they move."""
    plan = replace(PLAN, max_epochs=3, dense=1.0, patience=1)
    dense, sparse = build(0), build(0)
    before = dense.prior.logit.detach().clone()
    [result] = run([dense], [1], cells, plan)
    assert torch.equal(dense.prior.logit, before)
    assert len(result.history) == 3
    assert not torch.equal(dense.prior.shift, build(0).prior.shift)
    run([sparse], [1], cells, replace(plan, max_epochs=4, dense=0.75))
    assert not torch.equal(sparse.prior.logit, before)


def test_a_fleet_rotates_as_each_would_alone(cells):
    plan = replace(PLAN, max_epochs=3, dense=0.4)
    together = [build(seed) for seed in range(3)]
    alone = copy.deepcopy(together[2])
    run(together, [1, 2, 3], cells, plan)
    run([alone], [3], cells, plan)
    assert same(alone, together[2])


def test_one_that_diverges_before_the_rotation_leaves_the_others_alone(cells):
    modules = [build(seed) for seed in range(2)]
    alone = copy.deepcopy(modules[0])
    with torch.no_grad():
        modules[1].prior.shift.fill_(float("nan"))
    plan = replace(PLAN, max_epochs=2, dense=0.5)
    results = run(modules, [1, 2], cells, plan)
    run([alone], [1], cells, plan)
    assert [result.diverged for result in results] == [False, True]
    assert same(alone, modules[0])


def test_masks_keep_their_own_rate_whatever_that_of_the_replica(cells):
    """Mask logits move alike in replicas that differ only in a learning rate too small to matter."""
    modules = [build(0), build(0)]
    plan = replace(PLAN, max_epochs=1, mask_travel=0.3, decay=0.0)
    run(modules, [1, 1], cells, plan, learning_rates=[1e-8, 1e-9])
    assert not torch.equal(modules[0].prior.logit, build(0).prior.logit)
    assert torch.allclose(modules[0].prior.logit, modules[1].prior.logit, atol=1e-4)


@pytest.mark.parametrize("max_epochs", [2, 8])
def test_masks_travel_as_far_in_few_steps_as_in_many(cells, max_epochs):
    """A penalty that outweighs all else moves every mask by as much as the plan allows."""
    module = build(0, penalty=1e6)
    run([module], [1], cells, replace(PLAN, max_epochs=max_epochs, mask_travel=7.0, warmup_epochs=0))
    assert module.prior.logit.detach().numpy() == pytest.approx(5.0 - 7.0, abs=0.5)


def test_muon_moves_the_weight_matrices_and_adam_all_else(cells):
    plan = replace(PLAN, max_epochs=1, warmup_epochs=0, decay=0.0, weight_decay=0.0, learning_rate=1e-9)
    module = build(1)
    run([module], [7], cells, replace(plan, matrix_learning_rate=0.02))
    moved = {
        name for name, p in module.named_parameters() if not torch.allclose(p, build(1).state_dict()[name])
    }
    assert moved == set(module.matrix_names)


def test_a_replica_of_a_fleet_with_muon_does_not_notice_the_others(cells):
    plan = replace(PLAN, matrix_learning_rate=0.02)
    together = [build(seed) for seed in range(3)]
    alone = copy.deepcopy(together[2])
    run(together, [1, 2, 3], cells, plan)
    run([alone], [3], cells, plan)
    assert same(alone, together[2])


def test_training_lowers_the_loss(cells):
    [result] = run([build(0)], [1], cells, replace(PLAN, max_epochs=30, warmup_epochs=0))
    table = result.table()
    assert table["train"].iloc[-1] < table["train"].iloc[0] - 2
