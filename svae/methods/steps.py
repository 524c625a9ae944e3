"""Predictions of models in which a perturbation is a step in latent space, the same for all cells."""

from collections.abc import Callable, Mapping

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import Tensor

from svae.expression import profile, profiles_of
from svae.words import CONTROL, Basis

CELLS_AT_ONCE = 4096
"""Cells that a trained network is applied to at a time, for memory."""


def profiles_after_steps(
    decode: Callable[[Tensor], Tensor],
    of_control: np.ndarray,
    steps: Mapping[Basis, pd.DataFrame],
    dataset: ad.AnnData,
    controls: pd.Series,
) -> dict[Basis, pd.DataFrame]:
    """Profiles of control cells after each step, perturbation × gene, by basis.

    The decoder gives means of logarithms, and a profile is the logarithm of a mean. What a step changes is
    nearly the same in both, so the change is predicted: it is added to the measured profile of the control.
    What falls below 0 becomes 0.

    Parameters
    ----------
    decode
        Log-normalised expression, cells × genes, from latents, cells × latents.
    of_control
        Latents of control cells, cells × latents.
    steps
        By basis, perturbation × latent.
    dataset
        Counts of all cells, cells × genes.
    controls
        The control cells whose profile is measured: the label of each, indexed by cell.
    """
    measured = profiles_of(dataset, controls).loc[CONTROL].to_numpy()
    before = _decoded_profile(decode, of_control)
    predictions = {}
    for basis, table in steps.items():
        after = np.array([_decoded_profile(decode, of_control + step) for step in table.to_numpy()])
        predicted = np.maximum(measured + after - before, 0)
        predictions[basis] = pd.DataFrame(predicted, table.index, dataset.var_names)
    return predictions


@torch.no_grad()
def _decoded_profile(decode: Callable[[Tensor], Tensor], latents: np.ndarray) -> np.ndarray:
    """Profile of cells with these latents, one value per gene."""
    pieces = torch.as_tensor(latents, dtype=torch.float32).split(CELLS_AT_ONCE)
    decoded = torch.cat([decode(z) for z in pieces]).double()
    expected = torch.expm1(decoded.clamp(min=0)).mean(0, keepdim=True).clamp(min=1e-12)
    return profile(expected.numpy())[0]
