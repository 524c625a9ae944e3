"""Autoencoders of single cells that are no model classes of the family, trained by the same fleet."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import anndata as ad
import numpy as np
import pandas as pd
import torch
from scipy import sparse
from torch import Tensor, nn

from svae.contracts.split import cells_of, seen_cells
from svae.models.together import device_of
from svae.seeds import seed_from
from svae.training import fleet
from svae.training.cells import Cells
from svae.training.module import Noise
from svae.training.plan import TrainingPlan
from svae.training.record import Training

CELLS_AT_ONCE = 4096
"""Cells that a trained network is applied to at a time, for memory."""


class Autoencoder(nn.Module, ABC):
    """Base of the networks: what a fleet asks for, of a loss per cell that needs nothing but its counts."""

    mask_names: tuple[str, ...] = ()
    matrix_names: tuple[str, ...] = ()
    """None of the weights is left to another optimiser than Adam."""

    @abstractmethod
    def losses(self, x: Tensor, noise: Noise) -> Tensor:
        """Loss of each cell, from counts `x`, cells × genes."""

    @abstractmethod
    def encode(self, x: Tensor) -> Tensor:
        """Latents of each cell, cells × latents."""

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
    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Latents of cells, cells × latents."""
        return torch.cat([self.encode(x) for x in counts_of(cells).split(CELLS_AT_ONCE)]).numpy()


def counts_of(cells: ad.AnnData) -> Tensor:
    """Counts of cells, cells × genes, float32."""
    dense = cells.X.toarray() if sparse.issparse(cells.X) else np.asarray(cells.X)
    return torch.as_tensor(dense, dtype=torch.float32)


def train(
    module: Autoencoder,
    dataset: ad.AnnData,
    split: pd.DataFrame,
    plan: TrainingPlan,
    seed: int,
    accelerator: str,
) -> Training:
    """Train a network on the cells of the part ``train``, and hand it back on the CPU.

    Parameters
    ----------
    module
        Its weights are changed.
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    plan
        The optimisation.
    seed
        Of the order of the cells and of the noise.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    """
    seen = dataset[dataset.obs_names.isin(seen_cells(split).index)]
    nothing = torch.zeros(seen.n_obs, dtype=torch.int64)
    cells = Cells(counts_of(seen), nothing, nothing).to(device_of(accelerator))
    training, validation = (
        np.flatnonzero(seen.obs_names.isin(cells_of(split, part).index)) for part in ("train", "validation")
    )
    [done] = fleet.train([module], [seed_from(seed, "training")], cells, training, validation, plan)
    module.cpu().eval()
    return done


def plan_of(options: Mapping) -> TrainingPlan:
    """Return the plan of a method that stops early and keeps the best weights, as the originals do."""
    fields = {name: options[name] for name in ("max_epochs", "learning_rate", "batch_size", "patience")}
    return TrainingPlan(**fields, warmup_epochs=0, keep="best")
