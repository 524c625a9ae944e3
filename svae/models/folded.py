"""A model's decoder as it answers in evaluation mode, in the form that posteriors are computed from."""

import torch
from torch import Tensor, nn

from svae.models.module import SMALLEST_LIBRARY, Hidden, PerturbationVAE
from svae.posterior.network import Affine, CountNetwork
from svae.posterior.observed import ObservedCells
from svae.training.cells import Cells


@torch.no_grad()
def observe(module: PerturbationVAE, cells: Cells, known: Tensor | None = None) -> ObservedCells:
    """Put `cells` and the decoder of `module` together; their libraries are what was counted.

    Parameters
    ----------
    module
        Decoder and likelihood.
    cells
        Counts and batches.
    known
        What is known of the perturbation of each cell, for a module that has a code.
    """
    x = cells.x
    library = x.sum(-1).clamp(min=SMALLEST_LIBRARY)
    if not module.n_code:
        return ObservedCells.of(count_network(module), x, cells.batch, library)
    # Cells of one batch and one perturbation have a network of their own, as those of one batch have above.
    contexts, context = torch.unique(module.covariates(cells.batch, known), dim=0, return_inverse=True)
    return ObservedCells.of(count_network(module, contexts), x, context, library)


@torch.no_grad()
def count_network(module: PerturbationVAE, contexts: Tensor | None = None) -> CountNetwork:
    """Fold normalisation and covariates into the weights of the decoder of `module`.

    Parameters
    ----------
    module
        Decoder and likelihood.
    contexts
        Values that covariates have together, contexts × covariates; by default each batch.
    """
    if contexts is None:
        contexts = torch.eye(module.n_batch, device=module.expression_logit.weight.device)
    return CountNetwork(
        layers=[*_folded(module.decoder, contexts), _affine(module.expression_logit)],
        slope=module.decoder.slope,
        dispersion=module.bounded_log_dispersion().exp(),
        within_cells=True,
    )


def _folded(hidden: Hidden, contexts: Tensor) -> list[Affine]:
    layers = []
    for i, (linear, norm) in enumerate(zip(hidden.linear, hidden.norm, strict=True)):
        assert isinstance(linear, nn.Linear)
        layer = _affine(linear)
        if len(hidden.of_covariates):
            layer = Affine(layer.weight, layer.bias + hidden.of_covariates[i](contexts))
        if isinstance(norm, nn.BatchNorm1d):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            layer = Affine(layer.weight * scale, (layer.bias - norm.running_mean) * scale + norm.bias)
        layers.append(layer)
    return layers


def _affine(linear: nn.Linear) -> Affine:
    """Weights of a linear layer as they are applied from the right, with one bias for all contexts."""
    weight = linear.weight.T.contiguous()
    bias = weight.new_zeros(linear.out_features) if linear.bias is None else linear.bias
    return Affine(weight, bias[None])
