"""Latents that are made independent of a nuisance: the HSIC-constrained VAE (Lopez et al. 2018, NeurIPS)."""

import math

import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import LossOutput
from torch import Tensor
from torch.nn import functional as F

from svae.models.module import PerturbationVAE
from svae.training.module import Noise

SMALLEST = 1e-8
"""HSIC is at least this under its root, whose slope at 0 is infinite."""


def hsic(a: Tensor, b: Tensor) -> Tensor:
    """Hilbert–Schmidt independence criterion of two samples, 0 if and only if they are independent.

    The biased estimate of Gretton et al. (2005), with Gaussian kernels whose width is the mean distance
    of two draws from a standard normal distribution (Lopez et al. 2018).

    Parameters
    ----------
    a, b
        Cells × dimensions; each on a scale on which its dimensions have a variance near 1.
    """
    of_a, of_b = _kernel(a), _kernel(b)
    together = (of_a * of_b).mean() + of_a.mean() * of_b.mean()
    return together - 2 * (of_a.mean(0) * of_b.mean(0)).mean()


def _kernel(points: Tensor) -> Tensor:
    """Gaussian kernel of all pairs of points, cells × cells."""
    d = points.shape[1]
    width = 2 * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    return torch.exp(-squared_distances(points) / (2 * width**2))


def squared_distances(points: Tensor) -> Tensor:
    """Squared Euclidean distances of all pairs of points, cells × cells, from points, cells × dimensions."""
    squares = points.square().sum(1)
    return (squares[:, None] + squares[None, :] - 2 * points @ points.T).clamp(min=0)


class IndependentVAE(PerturbationVAE):
    """A module whose loss counts how much the latents tell of the batch or, without batches, of the library.

    Attributes
    ----------
    independence
        Weight λ of √HSIC in the loss per cell, in nats.
    """

    independence: Tensor

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.register_buffer("independence", torch.tensor(0.0))

    def objective(
        self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise, kl_weight: float, n_cells: int
    ) -> Tensor:
        """Loss per cell of a batch, dependence on the nuisance included; a scalar in nats."""
        loss = super().objective(x, perturbation, batch, noise, kl_weight, n_cells)
        mean, sd = self.encode(x, noise.get("keep"))
        return loss + self.dependence(mean + sd * noise["z"], x, batch)

    def dependence(self, z: Tensor, x: Tensor, batch: Tensor) -> Tensor:
        """λ √HSIC(z, nuisance) of a batch of cells."""
        return self.independence * hsic(z, self.nuisance(x, batch)).clamp(min=SMALLEST).sqrt()

    def nuisance(self, x: Tensor, batch: Tensor) -> Tensor:
        """Batch of each cell, one-hot; without batches the standardised logarithm of its library."""
        if self.n_batch:
            return F.one_hot(batch, self.n_batch).to(x.dtype)
        log_library = torch.log(x.sum(-1, keepdim=True).clamp(min=1))
        return (log_library - log_library.mean()) / (log_library.std() + SMALLEST)

    def loss(
        self, tensors, inference_outputs, generative_outputs, kl_weight: float = 1.0, n_obs: int = 1
    ) -> LossOutput:
        """Return the same loss as :meth:`objective`, from the pieces the Lightning trainer carries along."""
        output = super().loss(tensors, inference_outputs, generative_outputs, kl_weight, n_obs)
        batch = tensors[REGISTRY_KEYS.BATCH_KEY][:, 0].long()
        z, x = inference_outputs["z"], tensors[REGISTRY_KEYS.X_KEY]
        output.loss = output.loss + self.dependence(z, x, batch)
        return output
