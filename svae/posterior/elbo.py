"""The best evidence lower bound that a posterior with independent latents can have."""

import torch
from torch import Tensor

from svae.posterior.observed import ObservedCells
from svae.posterior.prior import NormalPrior
from svae.posterior.proposal import fit_normal


@torch.no_grad()
def independent_elbo(
    cells: ObservedCells, prior: NormalPrior, start: Tensor, n_samples: int, seed: int = 0
) -> Tensor:
    """ELBO of each cell at its own best normal distribution with independent latents, in nats.

    What an encoder's ELBO lacks of it is the amortisation gap of Cremer et al. (2018). The distribution has
    the mean and the diagonal of the precision of the normal distribution that is fitted to the posterior,
    which is the best one where the posterior is normal, and otherwise near: the gap is, if anything, larger.

    Parameters
    ----------
    cells
        Counts and network.
    prior
        Prior of the same cells, whose precision is the identity.
    start
        Where the search for the posterior begins, cells × latents.
    n_samples
        Samples per cell of the expected log-likelihood.
    seed
        Of the fit and of the samples.
    """
    generator = torch.Generator(start.device).manual_seed(seed)
    fit = fit_normal(cells, prior, start, generator)
    precision = torch.linalg.inv_ex(fit.root)[0].square().sum(1)  # the diagonal of (A Aᵀ)⁻¹
    variance = 1 / precision
    noise = torch.randn(
        (len(start), n_samples, start.shape[1]), dtype=start.dtype, device=start.device, generator=generator
    )
    z = fit.location[:, None] + variance.sqrt()[:, None] * noise
    away = (fit.location - prior.mean).square()
    divergence = 0.5 * (variance + away - 1 + precision.log()).sum(1)
    return cells.log_likelihood(z).mean(1) - divergence
