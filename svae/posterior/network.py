"""Decoders of counts, in the one form that posteriors are computed from.

A decoder of linear layers with LeakyReLUs between them is affine within each of its pieces, so that its
Jacobian is a product of matrices. Normalisation in evaluation mode, and the batch, are part of weights and
biases. Models and simulators both hand over their decoder as a :class:`CountNetwork`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True, eq=False)
class Affine:
    """The map h ↦ h · weight + bias.

    Attributes
    ----------
    weight
        Inputs × outputs.
    bias
        Batches × outputs: the bias may depend on the batch of a cell.
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, h: Tensor, batch: Tensor) -> Tensor:
        """Map `h`, cells × samples × inputs, of cells from `batch`."""
        if len(self.bias) == 1:
            return (h.flatten(0, 1) @ self.weight).add_(self.bias).view(*h.shape[:2], -1)
        return (h @ self.weight).add_(self.bias[batch][:, None])


@dataclass(frozen=True, eq=False)
class CountNetwork:
    """A piecewise-linear network from latents to expected counts, and which distribution the counts have.

    Attributes
    ----------
    layers
        Affine maps, of which the last gives one logit per gene.
    slope
        Slope below zero of the activation between two layers; 0 for a ReLU.
    dispersion
        Inverse dispersion θ of the negative binomial of each gene; None: counts are Poisson.
    within_cells
        Whether expected counts are library · softmax(logit); otherwise they are exp(logit).
    """

    layers: Sequence[Affine]
    slope: float
    dispersion: Tensor | None
    within_cells: bool

    @property
    def latents(self) -> int:
        """Number of latents."""
        return self.layers[0].weight.shape[0]

    @property
    def genes(self) -> int:
        """Number of genes."""
        return self.layers[-1].weight.shape[1]

    @property
    def width(self) -> int:
        """Outputs of the widest layer."""
        return max(layer.weight.shape[1] for layer in self.layers)

    def run(self, z: Tensor, batch: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run the network.

        Parameters
        ----------
        z
            Latents, cells × samples × latents.
        batch
            Code of each cell's batch.

        Returns
        -------
        Logits, cells × samples × genes; and what each activation gave, cells × samples × units.
        """
        h, activations = z, []
        for layer in self.layers[:-1]:
            h = F.leaky_relu(layer(h, batch), self.slope, inplace=True)
            activations.append(h)
        return self.layers[-1](h, batch), activations

    def pull_back(self, gradient: Tensor, activations: Sequence[Tensor]) -> Tensor:
        """Turn a gradient in the logits into one in the latents, by the chain rule.

        Parameters
        ----------
        gradient
            Cells × samples × genes.
        activations
            Those of :meth:`run`.

        Returns
        -------
        Cells × samples × latents.
        """
        for layer, h in zip(reversed(self.layers[1:]), reversed(activations), strict=True):
            gradient = self._pass_back(gradient @ layer.weight.T, h)
        return gradient @ self.layers[0].weight.T

    def jacobian(self, activations: Sequence[Tensor]) -> Tensor:
        """Derivatives of the logits in the latents, cells × latents × genes.

        Parameters
        ----------
        activations
            Those of :meth:`run`, for one sample per cell.
        """
        product = self.layers[0].weight
        for layer, h in zip(self.layers[1:], activations, strict=True):
            product = self._pass_back(product.expand(len(h), -1, -1), h) @ layer.weight
        return product

    def _pass_back(self, gradient: Tensor, activation: Tensor) -> Tensor:
        """Multiply `gradient` by the slope of the activation function where it gave `activation`."""
        return torch.ops.aten.leaky_relu_backward(gradient, activation.expand_as(gradient), self.slope, True)
