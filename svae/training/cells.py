"""Cells as the tensors that training and likelihoods work on."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

COUNT_TYPES = (np.uint8, np.int16, np.int32)
"""Types of counts, the smallest first: most screens need a quarter of the memory that float32 would."""


def count_tensor(counts: Any) -> Tensor:
    """Return counts as a dense tensor, of the smallest of :data:`COUNT_TYPES` that holds them.

    Parameters
    ----------
    counts
        Cells × genes, dense or sparse; whole numbers from 0 on, of any type.
    """
    largest = counts.max()
    smallest = next(kind for kind in COUNT_TYPES if largest <= np.iinfo(kind).max)
    small = counts.astype(smallest)
    return torch.as_tensor(small.toarray() if sparse.issparse(small) else np.asarray(small))


@dataclass
class Cells:
    """Counts and labels as tensors on the device.

    Attributes
    ----------
    counts
        Cells × genes, of any type; :func:`count_tensor` makes them small.
    perturbation
        Codes of the perturbations, int64.
    batch
        Codes of the batches, int64; all 0 without batches.
    """

    counts: Tensor
    perturbation: Tensor
    batch: Tensor

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index) -> "Cells":
        return Cells(self.counts[index], self.perturbation[index], self.batch[index])

    @property
    def x(self) -> Tensor:
        """Counts as models compute with them, float32; ask for those of a batch, rather than of all cells."""
        return self.counts.float()

    @property
    def device(self) -> torch.device:
        """Where the cells are."""
        return self.counts.device

    def to(self, device: str | torch.device) -> "Cells":
        """Move to a device."""
        return Cells(self.counts.to(device), self.perturbation.to(device), self.batch.to(device))

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return what the functions of the module take."""
        return self.x, self.perturbation, self.batch
