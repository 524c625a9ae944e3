"""Cells as the tensors that training and likelihoods work on."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class Cells:
    """Counts and labels as tensors on the device.

    Attributes
    ----------
    x
        Counts, float32, cells × genes.
    perturbation
        Codes of the perturbations, int64.
    batch
        Codes of the batches, int64; all 0 without batches.
    """

    x: Tensor
    perturbation: Tensor
    batch: Tensor

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index) -> "Cells":
        return Cells(self.x[index], self.perturbation[index], self.batch[index])

    def to(self, device: str | torch.device) -> "Cells":
        """Move to a device."""
        return Cells(self.x.to(device), self.perturbation.to(device), self.batch.to(device))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the functions of the module take."""
        return self.x, self.perturbation, self.batch
