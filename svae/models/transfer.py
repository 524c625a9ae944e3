"""Held-out perturbations: adapting a frozen model to them, and how likely it finds their cells.

Encoder, decoder and dispersion stay as trained; all that is fitted to a held-out perturbation is
its mean shift. The shift enters the ELBO through KL(q(z | x) ‖ Normal(m, I)) alone, so that the
best one is the average posterior mean of the cells it is adapted to. The released code walks there
by gradient descent (stage 3, with dense masks); here it is computed.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from svae.models.folded import observe
from svae.models.module import PerturbationVAE, kl_to_prior
from svae.posterior import likelihood, modes
from svae.posterior.elbo import independent_elbo as elbo_at_best
from svae.posterior.likelihood import Likelihood
from svae.posterior.prior import NormalPrior
from svae.training.cells import Cells

ROWS = {"cpu": 4_096, "cuda": 1 << 19}  # decoded cells × samples at a time: what a cache, or a GPU, holds

MODE_STEPS, MODE_TOLERANCE = 10, 0.1
"""A cell has arrived at a mode after so many steps, or when the next one promises no more nats."""


@dataclass
class EncoderEstimate:
    """What samples of the encoder's posterior q(z | x) say of cells, in nats, one value per cell.

    Attributes
    ----------
    log_likelihood
        log p(x | perturbation), a lower bound in expectation (Burda et al. 2016).
    reconstruction
        Reconstruction error −E_q[log p(x | z)].
    elbo
        Evidence lower bound, −reconstruction − KL(q(z | x) ‖ p(z | perturbation)).
    """

    log_likelihood: Tensor
    reconstruction: Tensor
    elbo: Tensor


@torch.no_grad()
def posterior_means(module: PerturbationVAE, cells: Cells, known: Tensor, chunk: int = 8192) -> Tensor:
    """Mean of the encoder's posterior of every cell, cells × latents.

    Parameters
    ----------
    module
        The encoder.
    cells
        Cells to encode, `chunk` at a time.
    known
        What is known of the perturbation of each cell, as the module takes it.
    """
    module.eval()
    rows = torch.arange(len(cells), device=cells.device).split(chunk)
    return torch.cat([module.encode(cells[of].x, known=known[of])[0] for of in rows])


@torch.no_grad()
def elbo(module: PerturbationVAE, cells: Cells, known: Tensor, seed: int = 0) -> Tensor:
    """Evidence lower bound of each cell in nats, from one draw of its latents.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Cells to score.
    known
        What is known of the perturbation of each cell.
    seed
        Seed of the draw.
    """
    module.eval()
    generator = torch.Generator(cells.device).manual_seed(seed)
    noise = module.draw_validation_noise(len(cells), generator)
    reconstruction, kl = module.elbo_terms(cells.x, cells.batch, known, noise)
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
    unknown = torch.zeros(len(cells), module.prior.n_latent, device=cells.device)
    means = posterior_means(module, cells, unknown)
    sums = torch.zeros(n_groups, means.shape[1], device=means.device).index_add_(0, groups, means)
    counts = torch.bincount(groups, minlength=n_groups).clamp(min=1)
    return sums / counts[:, None]


@torch.no_grad()
def posterior_modes(module: PerturbationVAE, cells: Cells, known: Tensor) -> Tensor:
    """Mode of p(z | x, perturbation) of each cell, cells × latents, found from the encoder's mean.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Counts and batches.
    known
        What is known of the perturbation of each cell.
    """
    start = posterior_means(module, cells, known)
    observed, prior = observe(module, cells, known), NormalPrior(module.prior_mean(known))
    return modes.posterior_modes(observed, prior, start, max_steps=MODE_STEPS, tolerance=MODE_TOLERANCE)


@torch.no_grad()
def expected_shares(
    module: PerturbationVAE, known: Tensor, batches: Tensor, n_samples: int, seed: int = 0
) -> Tensor:
    """Share of each gene in the counts that are expected under p(z | perturbation), perturbations × genes.

    Samples are the same for all perturbations, so that what they differ by has less noise than they have.

    Parameters
    ----------
    module
        Decoder, as trained.
    known
        What is known of each perturbation, one row for each.
    batches
        Number of cells of each batch; the samples belong to batches in these proportions.
    n_samples
        Samples per perturbation.
    seed
        Seed of the samples.
    """
    module.eval()
    generator = torch.Generator(known.device).manual_seed(seed)
    noise = torch.randn(n_samples, module.prior.n_latent, generator=generator, device=known.device)
    places = (torch.arange(n_samples, device=batches.device) + 0.5) / n_samples * batches.sum()
    batch = torch.searchsorted(batches.cumsum(0).to(places.dtype), places)
    shares = []
    for of_one in known.unbind():
        of_samples = of_one.expand(n_samples, -1)
        logit = module.decode(module.prior_mean(of_samples) + noise, batch, of_samples)
        shares.append(torch.softmax(logit.double(), -1).mean(0))
    return torch.stack(shares)


def marginal_log_likelihood(
    module: PerturbationVAE,
    cells: Cells,
    known: Mapping[str, Tensor],
    n_samples: int,
    seed: int = 0,
) -> dict[str, Likelihood]:
    """Log p(x | perturbation) of cells, with one or several states of what is known at once.

    Importance sampling around each cell's own posterior (:mod:`svae.posterior.likelihood`), which is
    searched for from the encoder's mean.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Cells to score.
    known
        By name, what is known of the perturbation of each cell.
    n_samples
        Samples per cell, which all share whose decoder is told the same.
    seed
        Seed of the samples.
    """
    if module.n_code and len(known) > 1:
        alone = (marginal_log_likelihood(module, cells, {k: v}, n_samples, seed) for k, v in known.items())
        return {name: estimate for one in alone for name, estimate in one.items()}
    priors = {name: NormalPrior(module.prior_mean(of_cells)) for name, of_cells in known.items()}
    told = next(iter(known.values()))
    start, observed = posterior_means(module, cells, told), observe(module, cells, told)
    return likelihood.marginal_log_likelihood(observed, priors, start, n_samples, seed)


def independent_elbo(
    module: PerturbationVAE, cells: Cells, known: Tensor, n_samples: int, seed: int = 0
) -> Tensor:
    """ELBO of each cell at its own best posterior of the encoder's form, in nats (Cremer et al. 2018).

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Cells to score.
    known
        What is known of the perturbation of each cell.
    n_samples
        Samples per cell.
    seed
        Seed of the samples.
    """
    start, prior = posterior_means(module, cells, known), NormalPrior(module.prior_mean(known))
    return elbo_at_best(observe(module, cells, known), prior, start, n_samples, seed)


@torch.no_grad()
def estimate_by_encoder(
    module: PerturbationVAE, cells: Cells, known: Tensor, n_samples: int, seed: int = 0
) -> EncoderEstimate:
    """Estimate with samples of the encoder's posterior, as the released code of Lopez et al. (2023) does.

    log (1/S) Σ_s p(x | z_s) Normal(z_s; m, I) / q(z_s | x), with z_s ~ q(z | x). The weights of a posterior
    that the encoder does not match are carried by a handful of samples, and the estimate is then too low.

    Parameters
    ----------
    module
        Encoder, decoder and likelihood.
    cells
        Cells to score.
    known
        What is known of the perturbation of each cell; m is the mean of its prior.
    n_samples
        Samples S per cell; 1000 in the paper.
    seed
        Seed of the samples.
    """
    module.eval()
    generator = torch.Generator(cells.device).manual_seed(seed)
    chunk = max(1, ROWS.get(cells.device.type, ROWS["cpu"]) // n_samples)
    parts = []
    for index in torch.arange(len(cells), device=cells.device).split(chunk):
        part, of_these = cells[index], known[index]
        prior_mean = module.prior_mean(of_these)
        mean, sd = module.encode(part.x, known=of_these)
        shape = (n_samples, *mean.shape)
        noise = torch.randn(shape, generator=generator, device=mean.device)
        z = mean + sd * noise
        repeated = part.batch.repeat(n_samples), of_these.repeat(n_samples, 1)
        logit = module.decode(z.flatten(0, 1), *repeated).view(*shape[:2], -1)
        log_p = module.log_probability_constant(part.x) + module.log_probability_kernel(part.x, logit)
        log_q = -0.5 * noise.square().sum(-1) - sd.log().sum(-1)  # the constants −½ log 2π cancel
        log_prior = -0.5 * (z - prior_mean).square().sum(-1)
        log_mean_weight = torch.logsumexp(log_p + log_prior - log_q, 0) - math.log(n_samples)
        reconstruction = -log_p.mean(0)
        elbo = -reconstruction - kl_to_prior(mean, sd, prior_mean)
        parts.append((log_mean_weight, reconstruction, elbo))
    return EncoderEstimate(*(torch.cat(column) for column in zip(*parts, strict=True)))
