"""How likely cells are: log p(x) = log ∫ p(x | z) p(z) dz by importance sampling (Burda et al. 2016).

Every cell has its own proposal, which is fitted to its posterior. The points that it is fitted to are no part
of the estimate, so that the expectation of the estimate is p(x) itself; its logarithm errs, if at all, on the
low side, by about half a nat divided by the effective samples.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from svae.posterior.observed import ObservedCells
from svae.posterior.prior import NormalPrior
from svae.posterior.proposal import propose

DRAWN = {"cpu": 1 << 21, "cuda": 1 << 26}
"""Numbers that one array of samples holds at most, cells × samples × latents."""


@dataclass(frozen=True, eq=False)
class Likelihood:
    """Estimates by importance sampling, one per cell.

    Attributes
    ----------
    log_likelihood
        log p(x) in nats.
    effective_samples
        (Σ w)² / Σ w² of the importance weights w, between 1 and the number of samples (Kong 1992).
    means
        Posterior means of the latents, cells × latents.
    """

    log_likelihood: Tensor
    effective_samples: Tensor
    means: Tensor

    @classmethod
    def of_weights(cls, log_weights: Tensor, z: Tensor) -> "Likelihood":
        """Sum up samples `z` (cells × samples × latents) by their weights log p(x, z) / q(z)."""
        total = torch.logsumexp(log_weights, 1)
        weights = torch.exp(log_weights - total[:, None])
        return cls(
            log_likelihood=total - math.log(log_weights.shape[1]),
            effective_samples=1 / weights.square().sum(1),
            means=(weights[:, None] @ z)[:, 0],
        )


@torch.no_grad()
def marginal_log_likelihood(
    cells: ObservedCells,
    priors: Mapping[str, NormalPrior],
    start: Tensor,
    n_samples: int,
    seed: int = 0,
) -> dict[str, Likelihood]:
    """Estimate log p(x) of cells under one or several priors at once.

    The proposal of a cell has one Student-t distribution per prior, all of the shape of the posterior under
    the mean of the priors, and a small share of the priors themselves. Every sample counts for every prior,
    weighted by the density of the whole mixture (Veach & Guibas 1995), so that the network is run once for
    all of them.

    Parameters
    ----------
    cells
        Counts and network.
    priors
        Priors of the same cells, by name; they may differ in mean only.
    start
        Latents near the posterior, cells × latents: where the search for it begins.
    n_samples
        Samples per cell, which all priors share.
    seed
        Of the points that proposals are fitted to, and of the samples.

    Returns
    -------
    Estimates by name. Where the network or `start` holds NaN, so do they.
    """
    generator = torch.Generator(cells.counts.device).manual_seed(seed)
    size = max(1, DRAWN.get(start.device.type, DRAWN["cpu"]) // (n_samples * start.shape[1]))
    parts: dict[str, list[Likelihood]] = {name: [] for name in priors}
    for first in range(0, len(cells), size):
        rows = slice(first, first + size)
        some = {name: prior[rows] for name, prior in priors.items()}
        proposal = propose(cells[rows], list(some.values()), start[rows], n_samples, generator)
        z = proposal.draw(generator)
        log_ratio = cells[rows].log_likelihood(z) - proposal.log_density(z)
        for name, prior in some.items():
            parts[name].append(Likelihood.of_weights(log_ratio + prior.log_density(z), z))
    return {name: _together(estimates) for name, estimates in parts.items()}


def _together(parts: list[Likelihood]) -> Likelihood:
    """Join estimates of one chunk of cells after the other."""
    return Likelihood(
        log_likelihood=torch.cat([part.log_likelihood for part in parts]),
        effective_samples=torch.cat([part.effective_samples for part in parts]),
        means=torch.cat([part.means for part in parts]),
    )
