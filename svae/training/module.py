"""What a module must offer to be trained in a fleet."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import torch
from torch import Tensor

Noise = Mapping[str, Tensor]
"""The random numbers of one step, by name; the first axis of each is the cell."""


class FleetModule(Protocol):
    """A ``torch.nn.Module`` with a loss, whose randomness enters as arguments alone.

    Noise that is drawn outside of the loss is what lets many modules run under ``torch.func.vmap``, each
    with the numbers that it would see alone. Buffers that differ between modules (a penalty, say) must be
    registered as such, so that they are stacked with the weights.
    """

    @property
    def mask_names(self) -> Sequence[str]:
        """Names of the parameters that are mask logits; empty for a module without masks."""

    @property
    def matrix_names(self) -> Sequence[str]:
        """Names of the parameters that are weight matrices of layers, outputs × inputs."""

    def draw_noise(self, n_cells: int, generator: torch.Generator) -> Noise:
        """Draw what :meth:`objective` needs for `n_cells`."""

    def draw_validation_noise(self, n_cells: int, generator: torch.Generator) -> Noise:
        """Draw what :meth:`negative_elbo` needs for `n_cells`."""

    def objective(
        self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise, kl_weight: float, n_cells: int
    ) -> Tensor:
        """Loss of a batch in nats per cell, a scalar.

        Parameters
        ----------
        x, perturbation, batch
            As in :class:`svae.training.cells.Cells`.
        noise
            Drawn by :meth:`draw_noise`.
        kl_weight
            Weight of the KL terms, which warms up from 0 to 1.
        n_cells
            Number of all cells to train on, over which penalties are spread.
        """

    def negative_elbo(self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """Mean −ELBO of a batch in nats per cell, a scalar; masks at their more probable values."""

    def rotate_to_sparse_shifts(self, seed: int) -> None:
        """Turn the latents to axes along which shifts are sparse; asked only of modules with masks."""
