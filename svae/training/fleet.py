"""Train many modules at once: a fleet.

Modules of the size of the paper are tiny, so that a training step is almost all overhead. A fleet
stacks the parameters of R ordinary modules and runs the steps of all of them together under
``torch.func.vmap``, on data that lie on the device once. Afterwards each module holds its own
weights again, as if it had been trained alone: noise and the order of the data come from generators of
its own, and nothing that one module does (stopping, diverging) reaches another.
"""

import logging
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import nn

from svae.seeds import seed_from
from svae.training.cells import Cells
from svae.training.module import FleetModule, Noise
from svae.training.noise import FleetNoise
from svae.training.optimiser import FleetOptimiser
from svae.training.plan import TrainingPlan
from svae.training.record import Training
from svae.training.stack import Stack

logger = logging.getLogger(__name__)
VALIDATION_BATCH = 2048


def train(
    modules: Sequence[FleetModule],
    seeds: Sequence[int],
    cells: Cells,
    training: np.ndarray,
    validation: np.ndarray,
    plan: TrainingPlan,
    learning_rates: Sequence[float] | None = None,
    fleet_size: int | None = None,
) -> list[Training]:
    """Train `modules` in place, all of them at once.

    Parameters
    ----------
    modules
        R modules of one shape; they may differ in weights, penalty and β.
    seeds
        One seed per module, for its noise and the order of its data.
    cells
        All cells, on the device to train on.
    training, validation
        Indices of the cells to train on and to validate with (may be empty).
    plan
        The optimisation, shared by all modules.
    learning_rates
        One learning rate per module instead of the plan's.
    fleet_size
        Train at most so many at a time, for when memory is short.

    Returns
    -------
    list[Training]
        One per module. A module that met a NaN is marked `diverged` and keeps its last weights.
    """
    # Adam's moments of idle weights shrink to numbers so small that processors are slow with them.
    torch.set_flush_denormal(True)
    plan = plan.for_cells(len(training))
    rates = list(learning_rates or [plan.learning_rate] * len(modules))
    size = fleet_size or len(modules)
    results: list[Training] = []
    for start in range(0, len(modules), size):
        part = slice(start, start + size)
        fleet = _Fleet(modules[part], seeds[part], rates[part], cells, plan, training, validation)
        results += fleet.run()
    return results


class _Fleet:
    """The loop: epochs of steps, validation, and what follows from it for each module."""

    def __init__(
        self,
        modules: Sequence[FleetModule],
        seeds: Sequence[int],
        learning_rates: Sequence[float],
        cells: Cells,
        plan: TrainingPlan,
        training: np.ndarray,
        validation: np.ndarray,
    ):
        self.modules, self.seeds, self.cells, self.plan = modules, seeds, cells, plan
        self.device = cells.device
        self.training = torch.as_tensor(training, device=self.device)
        self.validation = torch.as_tensor(validation, device=self.device)
        self.batch_size = plan.cells_per_step(len(training))
        self.n_steps = len(training) // self.batch_size
        for module in cast(Sequence[nn.Module], modules):
            module.to(self.device).train()
        self.stack = Stack(modules)
        self.noise = FleetNoise(modules, seeds, self.device)
        mask_rate = plan.mask_learning_rate(self.n_steps)
        self.optimiser = FleetOptimiser(self.stack, plan, learning_rates, mask_rate)
        self.optimiser.restart(masks_move=plan.dense_epochs == 0)
        self.results = [Training() for _ in modules]
        self.kept = self.stack.snapshot()

    def run(self) -> list[Training]:
        """Run the epochs, and give the modules their weights back."""
        validation_noise = self.noise.validation(len(self.validation))
        for epoch in range(1, self.plan.max_epochs + 1):
            train_losses = self._epoch(epoch)
            validation_losses = self._validate(validation_noise)
            self.stack.copy_into(self.kept, self._record(epoch, train_losses, validation_losses))
            self._log(epoch, train_losses, validation_losses)
            if not any(self.optimiser.active):
                logger.info("every module has stopped")
                break
            if epoch == self.plan.dense_epochs:
                self._end_dense_epochs()
        self.stack.unload(self.kept)
        for module in cast(Sequence[nn.Module], self.modules):
            module.eval()
        return self.results

    def _epoch(self, epoch: int) -> list[float]:
        """Train for one epoch; mean loss per cell of each module."""
        size, n_cells = self.batch_size, len(self.training)
        orders = self.training[self.noise.orders(n_cells)]
        kl_weight = self.plan.kl_weight(epoch)
        total = torch.zeros(len(self.stack), device=self.device)
        for step in range(self.n_steps):
            batch = self.cells[orders[:, step * size : (step + 1) * size]]
            losses = self.stack.objective(batch.tensors(), self.noise.step(size), kl_weight, n_cells)
            self.optimiser.step(losses.sum(), self.plan.rate_left(epoch - 1 + step / self.n_steps))
            total += losses.detach()
        return (total / self.n_steps).tolist()

    def _validate(self, noise: Noise) -> list[float] | None:
        """Mean −ELBO per validation cell of each module, with the same noise at every epoch."""
        if not len(self.validation):
            return None
        total = torch.zeros(len(self.stack), device=self.device)
        for start in range(0, len(self.validation), VALIDATION_BATCH):
            part = slice(start, start + VALIDATION_BATCH)
            chosen = self.validation[part]
            batch = self.cells[chosen.expand(len(self.stack), -1)]
            of_part = {name: values[:, part] for name, values in noise.items()}
            total += self.stack.negative_elbo(batch.tensors(), of_part) * len(chosen)
        return (total / len(self.validation)).tolist()

    def _record(self, epoch: int, train: list[float], validation: list[float] | None) -> list[int]:
        """Add an epoch to the learning curves and stop who is done; return whose weights to keep."""
        keep = []
        for row, result in enumerate(self.results):
            if not self.optimiser.active[row]:
                continue
            loss = validation[row] if validation else None
            keep_row, stop_row = result.add(
                train[row], loss, self.plan, dense=epoch <= self.plan.dense_epochs
            )
            if keep_row:
                keep.append(row)
            if stop_row:
                self.optimiser.stop(row)
        return keep

    def _end_dense_epochs(self) -> None:
        """Rotate the latents of models with masks to sparse shifts, and let the masks move from there.

        The optimiser begins anew, because its moments belong to the old axes. It does so for models without
        masks, too, so that all methods have the same schedule.
        """
        self.stack.unload(self.kept)
        for active, module, seed in zip(self.optimiser.active, self.modules, self.seeds, strict=True):
            if active and module.mask_names:
                module.rotate_to_sparse_shifts(seed_from(seed, "rotation"))
        self.stack.reload()
        self.kept = self.stack.snapshot()
        self.optimiser.restart(masks_move=True)

    def _log(self, epoch: int, train: list[float], validation: list[float] | None) -> None:
        """Say between what losses the modules are."""
        line = f"epoch {epoch}/{self.plan.max_epochs}: loss {min(train):.1f}–{max(train):.1f}"
        if validation:
            line += f", validation {min(validation):.1f}–{max(validation):.1f}"
        logger.info("%s nats/cell, %d/%d running", line, sum(self.optimiser.active), len(self.modules))
