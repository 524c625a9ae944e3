"""Adam for a fleet: one step of every module that is still training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from svae.training.plan import TrainingPlan
from svae.training.stack import Stack


class FleetAdam:
    """Adam over the rows of a stack's matrix.

    Each row is cut into weights and masks, which may have learning rates of their own. A module that is
    stopped stands still: Adam passes over what has no gradient.

    Parameters
    ----------
    stack
        What to optimise.
    plan
        Adam's constants.
    learning_rates
        One per module, of its weights.
    """

    def __init__(self, stack: Stack, plan: TrainingPlan, learning_rates: Sequence[float]):
        self.stack, self.plan, self.learning_rates = stack, plan, list(learning_rates)
        self.active = [True] * len(stack)
        self.gradient = torch.zeros_like(stack.matrix)
        self.gradients = list(stack.views(self.gradient).values())
        cut = stack.n_weights
        self.weights = [row[:cut] for row in stack.matrix]
        has_masks = cut < stack.matrix.shape[1]
        self.masks = [row[cut:] for row in stack.matrix] if has_masks else []
        for row, gradient in enumerate(self.gradient):
            self.weights[row].grad = gradient[:cut]
            if self.masks:
                self.masks[row].grad = gradient[cut:]

    def restart(self, masks_move: bool) -> None:
        """Forget all moments; from now on masks move with their own rate, or not at all."""
        groups = []
        # Modules of one learning rate share a group, because the optimiser spends time on each group.
        for rate in sorted(set(self.learning_rates)):
            rows = [row for row, own in enumerate(self.learning_rates) if own == rate]
            groups.append(self._group([self.weights[row] for row in rows], rate))
            if self.masks and masks_move:
                own = self.plan.mask_learning_rate
                groups.append(self._group([self.masks[row] for row in rows], rate if own is None else own))
        self.adam = torch.optim.Adam(
            groups, eps=self.plan.eps, weight_decay=self.plan.weight_decay, fused=True
        )

    @staticmethod
    def _group(pieces: list[Tensor], rate: float) -> dict:
        return {"params": pieces, "lr": rate, "full_rate": rate}

    def step(self, loss: Tensor, decay: float) -> None:
        """Take one step down the gradient of `loss`, at `decay` times the full learning rates."""
        found = torch.autograd.grad(loss, list(self.stack.parameters.values()))
        for place, gradient in zip(self.gradients, found, strict=True):
            place.copy_(gradient)
        for group in self.adam.param_groups:
            group["lr"] = group["full_rate"] * decay
        self.adam.step()

    def stop(self, row: int) -> None:
        """Let one module stand still from now on."""
        self.active[row] = False
        self.weights[row].grad = None
        if self.masks:
            self.masks[row].grad = None
