"""Adam for a fleet: modules with learning rates of their own, which may begin anew at times of their own."""

import torch
from torch import Tensor

from svae.training.plan import TrainingPlan

DECAYS = (0.9, 0.999)
"""Of the averages of gradients and of their squares (Kingma & Ba 2015)."""


class FleetAdam:
    """Adam (Kingma & Ba 2015; ``torch.optim.Adam``) over the rows of a matrix, one row per module.

    Parameters
    ----------
    values
        R × parameters, moved in place.
    plan
        Has Adam's eps, and the weight decay that is added to the gradient.
    """

    def __init__(self, values: Tensor, plan: TrainingPlan):
        self.values, self.eps, self.weight_decay = values, plan.eps, plan.weight_decay
        self.mean, self.square = torch.zeros_like(values), torch.zeros_like(values)
        self.steps = torch.zeros(len(values), 1, device=values.device)

    def restart(self, row: int) -> None:
        """Forget the moments of one module."""
        for state in (self.mean, self.square, self.steps):
            state[row] = 0.0

    @torch.no_grad()
    def step(self, gradient: Tensor, rates: Tensor) -> None:
        """Take one step.

        Parameters
        ----------
        gradient
            Of the shape of the values.
        rates
            R learning rates; a module whose rate is 0 stands still.
        """
        if self.weight_decay:
            gradient = gradient + self.weight_decay * self.values
        self.steps += 1
        self.mean.lerp_(gradient, 1 - DECAYS[0])
        self.square.mul_(DECAYS[1]).addcmul_(gradient, gradient, value=1 - DECAYS[1])
        mean = self.mean / (1 - DECAYS[0] ** self.steps)
        root = (self.square / (1 - DECAYS[1] ** self.steps)).sqrt_()
        moves = rates[:, None] > 0  # a NaN in the gradient of a stopped module must not reach its weights
        self.values.sub_(torch.where(moves, rates[:, None] * mean / root.add_(self.eps), 0.0))
