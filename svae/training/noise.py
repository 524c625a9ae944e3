"""The randomness of a fleet: each module has generators of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from svae.seeds import seed_from
from svae.training.module import FleetModule, Noise


class FleetNoise:
    """Order of the data and noise of the steps, for each module what it would draw alone.

    Order, noise and validation have generators of their own, derived from the module's seed by name, so
    that neither the number of validation cells nor the size of a batch changes what the others draw.

    Parameters
    ----------
    modules
        The R modules, which know what a step needs.
    seeds
        One per module.
    device
        Where to draw.
    """

    def __init__(self, modules: Sequence[FleetModule], seeds: Sequence[int], device: torch.device):
        self.modules, self.seeds, self.device = modules, list(seeds), device
        self._order, self._steps = self._generators("order"), self._generators("noise")

    def _generators(self, purpose: str) -> list[torch.Generator]:
        seeds = [seed_from(seed, purpose) for seed in self.seeds]
        return [torch.Generator(self.device).manual_seed(seed) for seed in seeds]

    def orders(self, n_cells: int) -> Tensor:
        """One random order of `n_cells` per module, R × cells."""
        orders = [torch.randperm(n_cells, generator=g, device=self.device) for g in self._order]
        return torch.stack(orders)

    def step(self, n_cells: int) -> Noise:
        """Draw the noise of one training step, R × cells × what it is of."""
        draws = [m.draw_noise(n_cells, g) for m, g in zip(self.modules, self._steps, strict=True)]
        return _stacked(draws)

    def validation(self, n_cells: int) -> Noise:
        """Draw the noise of validation, the same at every call."""
        generators = self._generators("validation")
        draws = [m.draw_validation_noise(n_cells, g) for m, g in zip(self.modules, generators, strict=True)]
        return _stacked(draws)


def _stacked(draws: Sequence[Noise]) -> Noise:
    return {name: torch.stack([draw[name] for draw in draws]) for name in draws[0]}
