"""Held-out perturbations: adapting a frozen model to them, and how likely it finds their cells.

Encoder, decoder and dispersion stay as trained; all that is fitted to a held-out perturbation is
its mean shift. The shift enters the ELBO through KL(q(z | x) ‖ Normal(m, I)) alone, so that the
best one is the average posterior mean of the cells it is adapted to. The released code walks there
by gradient descent (stage 3, with dense masks); here it is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from svae.models.module import PerturbationVAE
from svae.training.cells import Cells

ROWS = {"cpu": 4_096, "cuda": 1 << 19}  # decoded cells × samples at a time: what a cache, or a GPU, holds


@dataclass
class Likelihood:
    """Importance-weighted estimates, one value per cell.

    Attributes
    ----------
    log_likelihood
        log p(x | perturbation) in nats, a lower bound in expectation (Burda et al. 2016).
    effective_samples
        (Σ w)² / Σ w² of the importance weights, between 1 and the number of samples.
    """

    log_likelihood: Tensor
    effective_samples: Tensor


@torch.no_grad()
def posterior_means(module: PerturbationVAE, cells: Cells, chunk: int = 8192) -> Tensor:
    """Mean of q(z | x) of every cell, cells × latents; `chunk` cells are encoded at a time."""
    module.eval()
    return torch.cat([module.encode(x)[0] for x in cells.x.split(chunk)])


@torch.no_grad()
def elbo(module: PerturbationVAE, cells: Cells, prior_means: Tensor, seed: int = 0) -> Tensor:
    """Evidence lower bound of each cell in nats, from one draw of its latents.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Cells to score.
    prior_means
        Mean of each cell's prior, cells × latents.
    seed
        Seed of the draw.
    """
    module.eval()
    generator = torch.Generator(cells.x.device).manual_seed(seed)
    noise = module.draw_validation_noise(len(cells), generator)
    reconstruction, kl = module.elbo_terms(cells.x, cells.batch, prior_means, noise)
    return -(reconstruction + kl)


def adapted_shifts(module: PerturbationVAE, cells: Cells, groups: Tensor, n_groups: int) -> Tensor:
    """Best mean shift of each group of held-out cells under the frozen model, groups × latents.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood, as trained.
    cells
        Cells of held-out perturbations.
    groups
        Code in [0, `n_groups`) of the held-out perturbation of each cell.
    n_groups
        Number of held-out perturbations.
    """
    means = posterior_means(module, cells)
    sums = torch.zeros(n_groups, means.shape[1], device=means.device).index_add_(0, groups, means)
    counts = torch.bincount(groups, minlength=n_groups).clamp(min=1)
    return sums / counts[:, None]


@torch.no_grad()
def marginal_log_likelihood(
    module: PerturbationVAE,
    cells: Cells,
    prior_means: Mapping[str, Tensor],
    n_samples: int = 1000,
    seed: int = 0,
) -> tuple[dict[str, Likelihood], Tensor]:
    """Importance-weighted log-likelihood of cells under one or several priors at once.

    log (1/S) Σ_s p(x | z_s) Normal(z_s; m, I) / q(z_s | x), with z_s ~ q(z | x). Priors differ in m
    alone, so they share samples and decoding: three protocols cost what one does. Each cell is
    encoded once, and the terms of the density without z are computed once.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Cells to score.
    prior_means
        For each name, the mean m of every cell's prior, cells × latents.
    n_samples
        Monte-Carlo samples S per cell; 1000 in the paper.
    seed
        Seed of the samples.

    Returns
    -------
    dict[str, Likelihood], Tensor
        The estimates by name; and the reconstruction error −E_q[log p(x | z)] per cell, in nats.
    """
    module.eval()
    generator = torch.Generator(cells.x.device).manual_seed(seed)
    chunk = max(1, ROWS.get(cells.x.device.type, 4_096) // n_samples)
    parts: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in prior_means}
    reconstruction = []
    for index in torch.arange(len(cells), device=cells.x.device).split(chunk):
        part = cells[index]
        mean, sd = module.encode(part.x)
        shape = (n_samples, *mean.shape)
        noise = torch.randn(shape, generator=generator, device=mean.device)
        z = mean + sd * noise
        logit = module.decode(z.flatten(0, 1), part.batch.repeat(n_samples)).view(*shape[:2], -1)
        log_p = module.log_probability_constant(part.x) + module.log_probability_kernel(part.x, logit)
        log_q = -0.5 * noise.square().sum(-1) - sd.log().sum(-1)  # the constants −½ log 2π cancel
        reconstruction.append(-log_p.mean(0))
        for name, means in prior_means.items():
            log_prior = -0.5 * (z - means[index]).square().sum(-1)
            log_w = log_p + log_prior - log_q
            total = torch.logsumexp(log_w, 0)
            effective = torch.exp(2 * total - torch.logsumexp(2 * log_w, 0))
            parts[name].append((total - torch.tensor(float(n_samples)).log(), effective))
    estimates = {
        name: Likelihood(*(torch.cat(column) for column in zip(*pairs, strict=True)))
        for name, pairs in parts.items()
    }
    return estimates, torch.cat(reconstruction)
