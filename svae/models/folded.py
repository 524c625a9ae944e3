"""A model's decoder as it answers in evaluation mode, in the form that posteriors are computed from."""

import torch
from torch import nn

from svae.models.module import SMALLEST_LIBRARY, Hidden, PerturbationVAE
from svae.posterior.network import Affine, CountNetwork
from svae.posterior.observed import ObservedCells
from svae.training.cells import Cells


@torch.no_grad()
def observe(module: PerturbationVAE, cells: Cells) -> ObservedCells:
    """Put `cells` and the decoder of `module` together; their libraries are what was counted."""
    library = cells.x.sum(-1).clamp(min=SMALLEST_LIBRARY)
    return ObservedCells.of(count_network(module), cells.x, cells.batch, library)


@torch.no_grad()
def count_network(module: PerturbationVAE) -> CountNetwork:
    """Fold normalisation and batch into the weights of the decoder of `module`."""
    return CountNetwork(
        layers=[*_folded(module.decoder, module.n_batch), _affine(module.expression_logit)],
        slope=module.decoder.slope,
        dispersion=module.bounded_log_dispersion().exp(),
        within_cells=True,
    )


def _folded(hidden: Hidden, n_batch: int) -> list[Affine]:
    layers = []
    for linear, norm in zip(hidden.linear, hidden.norm, strict=True):
        assert isinstance(linear, nn.Linear)
        layer = _affine(linear, n_batch)
        if isinstance(norm, nn.BatchNorm1d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            layer = Affine(layer.weight * scale, (layer.bias - norm.running_mean) * scale + norm.bias)
        layers.append(layer)
    return layers


def _affine(linear: nn.Linear, n_batch: int = 0) -> Affine:
    """Turn the last `n_batch` inputs of a linear layer, which are the batch one-hot, into its biases."""
    weight, of_batch = linear.weight.T.split([linear.in_features - n_batch, n_batch])
    bias = weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias
    return Affine(weight.contiguous(), bias + of_batch if n_batch else bias[None])
