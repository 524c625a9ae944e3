"""What the autoencoders have in common: the network as a fleet trains it, and the questions put to it."""

from abc import ABC, abstractmethod
from typing import ClassVar

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor, nn

from svae.methods.steps import CELLS_AT_ONCE
from svae.training.module import Noise
from svae.words import Basis


class Autoencoder(nn.Module, ABC):
    """Base of the networks, whose loss of a cell needs nothing but its counts.

    Attributes
    ----------
    without_control
        Why the method does not apply where there are no control cells; None if it does.
    """

    without_control: ClassVar[str | None] = None
    mask_names: tuple[str, ...] = ()
    matrix_names: tuple[str, ...] = ()
    """None of the weights is left to another optimiser than Adam."""

    @abstractmethod
    def losses(self, x: Tensor, noise: Noise) -> Tensor:
        """Loss of each cell, from counts `x`, cells × genes."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Latents of each cell, cells × latents."""

    @abstractmethod
    def shifts(self, latents: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
        """Shift of each perturbation, perturbation × latent; a held-out one is known by its part ``adapt``.

        Parameters
        ----------
        latents
            Of all cells, cells × latents.
        split
            One row per cell: ``cell``, ``perturbation``, ``part``.
        """

    @abstractmethod
    def predictions(
        self, latents: pd.DataFrame, dataset: ad.AnnData, split: pd.DataFrame
    ) -> dict[Basis, pd.DataFrame] | None:
        """Predicted profiles of held-out perturbations by basis; None if nothing is held out.

        Parameters
        ----------
        latents
            Of all cells, cells × latents.
        dataset
            Counts of all cells, cells × genes.
        split
            One row per cell: ``cell``, ``perturbation``, ``part``.
        """

    def draw_noise(self, n_cells: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what a training step on `n_cells` needs; by default nothing."""
        return {}

    def draw_validation_noise(self, n_cells: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what validation of `n_cells` needs; by default nothing."""
        return {}

    def objective(
        self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise, kl_weight: float, n_cells: int
    ) -> Tensor:
        """Mean loss of a batch, a scalar."""
        return self.losses(x, noise).mean()

    def negative_elbo(self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """Mean loss of validation cells, a scalar."""
        return self.losses(x, noise).mean()

    def rotate_to_sparse_shifts(self, seed: int) -> None:
        """There are no shifts to rotate to."""

    @torch.no_grad()
    def latents(self, cells: ad.AnnData) -> pd.DataFrame:
        """Latents of cells, cells × latents."""
        values = torch.cat([self.encode(x) for x in counts_of(cells).split(CELLS_AT_ONCE)]).numpy()
        return pd.DataFrame(values, cells.obs_names, [f"z{j + 1}" for j in range(values.shape[1])])


def counts_of(cells: ad.AnnData) -> Tensor:
    """Counts of cells, cells × genes, float32."""
    dense = cells.X.toarray() if sparse.issparse(cells.X) else np.asarray(cells.X)
    return torch.as_tensor(dense, dtype=torch.float32)
