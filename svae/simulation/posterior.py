"""How well the best possible model could do: cells under the network that drew them.

The estimator is the one that scores models (:mod:`svae.posterior.likelihood`), so that the distance of a
model to this floor is a distance between models. Numbers are in double precision.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from svae.errors import BenchmarkError
from svae.posterior.likelihood import marginal_log_likelihood
from svae.posterior.modes import posterior_modes
from svae.posterior.network import Affine, CountNetwork
from svae.posterior.observed import ObservedCells
from svae.posterior.prior import NormalPrior
from svae.simulation.decoder import SLOPE, CountDecoder
from svae.simulation.simulator import CellScores


@dataclass(frozen=True, eq=False)
class Posterior(CellScores):
    """How likely cells are, and where their latents lie.

    Attributes
    ----------
    log_likelihood
        log p(x) per cell in nats, log x! included.
    effective_samples
        Effective number of importance samples per cell, between 1 and the number drawn.
    means
        Posterior means of the latents, cells × latents.
    """

    means: np.ndarray


def importance_sample(
    decoder: CountDecoder,
    counts: np.ndarray | sparse.spmatrix,
    means: np.ndarray,
    library: np.ndarray | None = None,
    n_samples: int = 1000,
    seed: int = 0,
) -> Posterior:
    """Estimate log ∫ p(x | z) N(z; mean, I) dz for every cell.

    Parameters
    ----------
    decoder
        Decoder and likelihood.
    counts
        Cells × genes.
    means
        Prior mean of the latents of each cell, cells × latents.
    library
        Expected counts of each cell, where the decoder needs them.
    n_samples
        Importance samples per cell.
    seed
        Of the importance samples.

    Raises
    ------
    BenchmarkError
        If the shapes do not fit the decoder, or it needs libraries and gets none.
    """
    counts = sparse.csr_matrix(counts, dtype=float).toarray()
    means = np.asarray(means, dtype=float)
    for name, got, wanted in (
        ("counts", counts.shape, (len(means), decoder.genes)),
        ("means", means.shape, (len(counts), decoder.latents)),
    ):
        if got != wanted:
            raise BenchmarkError(f"posterior: {name} have shape {got}, but must have {wanted}")
    if library is None and decoder.log_normaliser is None:
        raise BenchmarkError("library: this decoder normalises within a cell, so each cell needs one")
    cells = ObservedCells.of(
        count_network(decoder),
        torch.as_tensor(counts),
        library=None if library is None else torch.as_tensor(np.asarray(library, dtype=float)),
    )
    prior = NormalPrior(torch.as_tensor(means))
    start = posterior_modes(cells, prior, prior.mean, tolerance=1e-3)
    estimate = marginal_log_likelihood(cells, {"": prior}, start, n_samples, seed)[""]
    return Posterior(
        log_likelihood=estimate.log_likelihood.numpy(),
        effective_samples=estimate.effective_samples.numpy(),
        means=estimate.means.numpy(),
    )


def count_network(decoder: CountDecoder) -> CountNetwork:
    """Return `decoder` in the form that posteriors are computed from, in double precision."""

    def layer(weight: np.ndarray, bias: np.ndarray | float = 0.0) -> Affine:
        biases = np.broadcast_to(bias, (1, weight.shape[1])).astype(float)
        return Affine(torch.as_tensor(weight), torch.as_tensor(biases))

    of_genes = 0.0 if decoder.log_normaliser is None else -decoder.log_normaliser
    return CountNetwork(
        layers=[*map(layer, decoder.weights[:-1]), layer(decoder.weights[-1] / decoder.scale, of_genes)],
        slope=SLOPE,
        dispersion=_dispersion(decoder),
        within_cells=decoder.log_normaliser is None,
    )


def _dispersion(decoder: CountDecoder) -> Tensor | None:
    """Inverse dispersion of each gene; None for Poisson counts."""
    if decoder.dispersion is None:
        return None
    return torch.full((decoder.genes,), decoder.dispersion, dtype=torch.float64)
