"""The optimiser of a fleet: one step of every module that is still training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from svae.training.muon import FleetMuon
from svae.training.plan import TrainingPlan
from svae.training.stack import Stack


class FleetOptimiser:
    """Adam over the rows of a stack's matrix, and Muon over its weight matrices where the plan asks for it.

    Each row is cut into vectors, weight matrices and masks. Without a learning rate for matrices, Adam moves
    them like the vectors. Masks may have a learning rate of their own. A module that is stopped stands still.

    Parameters
    ----------
    stack
        What to optimise.
    plan
        The constants of Adam and Muon.
    learning_rates
        One per module, of what Adam moves.
    mask_learning_rate
        That of the masks, where it is not the module's.
    """

    def __init__(
        self,
        stack: Stack,
        plan: TrainingPlan,
        learning_rates: Sequence[float],
        mask_learning_rate: float | None = None,
    ):
        self.stack, self.plan, self.learning_rates = stack, plan, list(learning_rates)
        self.mask_learning_rate = mask_learning_rate
        self.active = [True] * len(stack)
        self.gradient = torch.zeros_like(stack.matrix)
        self.gradients = stack.views(self.gradient)
        has_muon = plan.matrix_learning_rate is not None
        self.muon_names = stack.matrix_names if has_muon else []
        cut = stack.n_vectors if has_muon else stack.n_weights
        self.weights = [row[:cut] for row in stack.matrix]
        has_masks = stack.n_weights < stack.matrix.shape[1]
        self.masks = [row[stack.n_weights :] for row in stack.matrix] if has_masks else []
        for row, gradient in enumerate(self.gradient):
            self.weights[row].grad = gradient[:cut]
            if self.masks:
                self.masks[row].grad = gradient[stack.n_weights :]

    def restart(self, masks_move: bool) -> None:
        """Forget all moments; from now on masks move with their own rate, or not at all."""
        groups = []
        # Modules of one learning rate share a group, because the optimiser spends time on each group.
        for rate in sorted(set(self.learning_rates)):
            rows = [row for row, own in enumerate(self.learning_rates) if own == rate]
            groups.append(self._group([self.weights[row] for row in rows], rate))
            if self.masks and masks_move:
                own = self.mask_learning_rate
                groups.append(self._group([self.masks[row] for row in rows], rate if own is None else own))
        self.adam = torch.optim.Adam(
            groups, eps=self.plan.eps, weight_decay=self.plan.weight_decay, fused=True
        )
        matrices = [self.stack.parameters[name].detach() for name in self.muon_names]
        self.muon = FleetMuon(
            matrices, self.plan.matrix_learning_rate or 0.0, self.plan.momentum, self.plan.matrix_decay
        )

    @staticmethod
    def _group(pieces: list[Tensor], rate: float) -> dict:
        return {"params": pieces, "lr": rate, "full_rate": rate}

    def step(self, loss: Tensor, decay: float) -> None:
        """Take one step down the gradient of `loss`, at `decay` times the full learning rates."""
        found = torch.autograd.grad(loss, list(self.stack.parameters.values()))
        for place, gradient in zip(self.gradients.values(), found, strict=True):
            place.copy_(gradient)
        for group in self.adam.param_groups:
            group["lr"] = group["full_rate"] * decay
        self.adam.step()
        gradients = [self.gradients[name] for name in self.muon_names]
        self.muon.step(gradients, decay * torch.tensor(self.active, device=loss.device))

    def stop(self, row: int) -> None:
        """Let one module stand still from now on."""
        self.active[row] = False
        self.weights[row].grad = None
        if self.masks:
            self.masks[row].grad = None
