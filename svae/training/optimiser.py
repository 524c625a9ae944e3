"""The optimiser of a fleet: one step of every module that is still training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from svae.training.adam import FleetAdam
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
        One per module, of what Adam moves, masks excepted.

    Attributes
    ----------
    active
        Which modules are still training.
    mask_rates
        Learning rate of the masks of each module, which stand still until they are given one.
    """

    def __init__(self, stack: Stack, plan: TrainingPlan, learning_rates: Sequence[float]):
        self.stack = stack
        device = stack.matrix.device
        self.active = [True] * len(stack)
        self.learning_rates = torch.tensor(list(learning_rates), device=device)
        self.mask_rates = torch.zeros_like(self.learning_rates)
        self.gradient = torch.zeros_like(stack.matrix)
        self.gradients = stack.views(self.gradient)
        has_muon = plan.matrix_learning_rate is not None
        self.of_adam = slice(stack.n_vectors if has_muon else stack.n_weights)
        self.of_masks = slice(stack.n_weights, None)
        matrix = stack.matrix.detach()
        self.adam = FleetAdam(matrix[:, self.of_adam], plan)
        self.adam_of_masks = FleetAdam(matrix[:, self.of_masks], plan)
        self.muon_names = stack.matrix_names if has_muon else []
        matrices = [stack.parameters[name].detach() for name in self.muon_names]
        self.muon = FleetMuon(matrices, plan.matrix_learning_rate or 0.0, plan.momentum, plan.matrix_decay)

    def restart(self, row: int, mask_rate: float | None) -> None:
        """Forget the moments of one module, and let its masks move from now on.

        Parameters
        ----------
        row
            The module.
        mask_rate
            Learning rate of its masks; that of its other vectors where None.
        """
        for optimiser in (self.adam, self.adam_of_masks, self.muon):
            optimiser.restart(row)
        self.mask_rates[row] = self.learning_rates[row] if mask_rate is None else mask_rate

    def step(self, loss: Tensor, decay: float) -> None:
        """Take one step down the gradient of `loss`, at `decay` times the full learning rates.

        Parameters
        ----------
        loss
            Sum of the losses of all modules.
        decay
            Share of the learning rates that is left.
        """
        found = torch.autograd.grad(loss, list(self.stack.parameters.values()))
        for place, gradient in zip(self.gradients.values(), found, strict=True):
            place.copy_(gradient)
        left = decay * torch.tensor(self.active, device=loss.device)
        self.adam.step(self.gradient[:, self.of_adam], left * self.learning_rates)
        self.adam_of_masks.step(self.gradient[:, self.of_masks], left * self.mask_rates)
        self.muon.step([self.gradients[name] for name in self.muon_names], left)
