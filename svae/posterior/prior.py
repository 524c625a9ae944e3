"""The normal prior of the latents of cells."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class NormalPrior:
    """z ~ Normal(mean, precision⁻¹), a prior for each cell; an index or a slice selects some of the cells.

    Attributes
    ----------
    mean
        Cells × latents.
    precision
        Inverse covariance, latents × latents or cells × latents × latents; None: the identity.
    """

    mean: Tensor
    precision: Tensor | None = None

    def __getitem__(self, rows: slice | Tensor) -> "NormalPrior":
        of_cells = self.precision is not None and self.precision.ndim == 3
        return NormalPrior(self.mean[rows], self.precision[rows] if of_cells else self.precision)  # type: ignore[index]

    def matrix(self) -> Tensor:
        """The precision as a matrix that broadcasts over cells."""
        if self.precision is None:
            return torch.eye(self.mean.shape[1], dtype=self.mean.dtype, device=self.mean.device)
        return self.precision

    def draw(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw samples of each cell's latents, cells × samples × latents."""
        cells, latents = self.mean.shape
        noise = torch.randn(
            (cells, n_samples, latents),
            dtype=self.mean.dtype,
            device=self.mean.device,
            generator=generator,
        )
        if self.precision is not None:
            noise = noise @ torch.linalg.inv(torch.linalg.cholesky(self.precision))
        return noise.add_(self.mean[:, None])

    def pull(self, z: Tensor) -> Tensor:
        """Gradient of the log density at `z`, cells × samples × latents."""
        away = self.mean[:, None] - z
        return away if self.precision is None else away @ self.precision

    def log_density(self, z: Tensor) -> Tensor:
        """Log density at `z` (cells × samples × latents), cells × samples."""
        away = z - self.mean[:, None]
        constant = -0.5 * z.shape[-1] * math.log(2 * math.pi)
        if self.precision is None:
            return constant - 0.5 * away.square().sum(-1)
        log_determinant = torch.logdet(self.precision).view(-1, 1)
        return constant + 0.5 * log_determinant - 0.5 * (away * (away @ self.precision)).sum(-1)
