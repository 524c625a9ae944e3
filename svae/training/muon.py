"""Muon for a fleet: steps on weight matrices that are orthogonal, whatever the scale of the gradient.

Muon (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; ``torch.optim.Muon``)
replaces the momentum of a weight matrix, U S Vᵀ by its singular value decomposition, by the nearest
semi-orthogonal matrix U Vᵀ, which a few Newton–Schulz iterations approximate. All directions of a layer are
then learnt equally fast, while Adam learns those with large gradients first. The optimiser of torch takes one
matrix at a time; this one takes those of all modules of a fleet in one batch.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

NEWTON_SCHULZ_STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the quintic Newton–Schulz iteration, chosen by Jordan et al. (2024) for a steep slope at 0."""


class FleetMuon:
    """Muon over stacked weight matrices, each R × rows × columns.

    Parameters
    ----------
    matrices
        What to optimise, in place.
    learning_rate
        Spectral norm of a step on a square or wide matrix; a tall one moves by √(rows / columns) times that.
    momentum
        Of Nesterov's kind.
    weight_decay
        Share of a matrix that a step of length 1 would take away; decoupled from the gradient.
    """

    def __init__(
        self, matrices: Sequence[Tensor], learning_rate: float, momentum: float, weight_decay: float = 0.0
    ):
        self.matrices, self.learning_rate, self.momentum = list(matrices), learning_rate, momentum
        self.weight_decay = weight_decay
        self.averages = [torch.zeros_like(matrix) for matrix in self.matrices]

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rates_left: Tensor) -> None:
        """Take one step.

        Parameters
        ----------
        gradients
            One per stacked matrix, of its shape.
        rates_left
            Share of the learning rate that each of the R modules takes; with 0 it stands still.
        """
        left = rates_left[:, None, None]
        for matrix, average, gradient in zip(self.matrices, self.averages, gradients, strict=True):
            average.lerp_(gradient, 1 - self.momentum)
            ahead = gradient.lerp(average, self.momentum)
            rows, columns = matrix.shape[-2:]
            scale = max(1.0, rows / columns) ** 0.5
            step = scale * orthogonalised(ahead) + self.weight_decay * matrix
            matrix.sub_(torch.where(left > 0, self.learning_rate * left * step, 0.0))


def orthogonalised(matrices: Tensor) -> Tensor:
    """Nearest semi-orthogonal matrices, approximately: singular values end between about 0.7 and 1.2.

    Parameters
    ----------
    matrices
        R × rows × columns, of any scale; zeros stay zeros.
    """
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-20)
    first, third, fifth = COEFFICIENTS
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=third, alpha=fifth)
        x = torch.baddbmm(x, polynomial, x, beta=first)
    return x.mT if is_tall else x
