"""The one module behind every model: encoder, decoder, likelihood and loss around a given prior.

All randomness enters as arguments (:meth:`PerturbationVAE.draw_noise`), never from a global
generator. That is what lets a fleet of modules run under ``torch.func.vmap`` and still give each
replica exactly the numbers it would see alone.
"""

import math
from functools import partial

import torch
from scvi import REGISTRY_KEYS
from scvi.module.base import BaseModuleClass, LossOutput, auto_move_data
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional as F

from svae.models.priors import DenseShift, MaskedShift, StandardNormal
from svae.posterior import density
from svae.training.module import Noise

LOG_DISPERSION_RANGE = (math.log(density.SMALLEST_DISPERSION), math.log(density.LARGEST_DISPERSION))
SMALLEST_LIBRARY = 1e-6


class Hidden(nn.Module):
    """Fully connected layers, as in ``scvi.nn.FCLayers``: linear, BatchNorm where asked for, LeakyReLU.

    Two things differ: dropout takes its noise as an argument (see the module's docstring), and covariates,
    such as the batch one-hot, have weights of their own at every layer. In one matrix with the other inputs,
    more columns would make Muon's steps shorter, and the decay stronger beside them.

    Parameters
    ----------
    n_in
        Inputs, without the covariates.
    n_hidden, n_layers
        Width and depth.
    n_covariates
        Number of covariates; 0 means none.
    dropout_rate
        Share of the units that are dropped in training.
    batch_norm
        Whether a BatchNorm follows each linear layer.
    slope
        Slope of the LeakyReLU below zero; 0 is the ReLU.
    """

    def __init__(
        self,
        n_in: int,
        n_hidden: int,
        n_layers: int,
        n_covariates: int = 0,
        dropout_rate: float = 0.0,
        batch_norm: bool = True,
        slope: float = 0.0,
    ):
        super().__init__()
        widths = [n_in] + [n_hidden] * n_layers
        # No bias before BatchNorm, which takes the mean away: it would only drift on rounding errors.
        self.linear = nn.ModuleList(nn.Linear(width, n_hidden, bias=not batch_norm) for width in widths[:-1])
        self.of_covariates = nn.ModuleList(
            nn.Linear(n_covariates, n_hidden, bias=False) for _ in widths[:-1] if n_covariates
        )
        self.norm = nn.ModuleList(
            nn.BatchNorm1d(n_hidden, momentum=0.01, eps=1e-3) if batch_norm else nn.Identity()
            for _ in widths[:-1]
        )
        self.dropout_rate = dropout_rate
        self.slope = slope

    def forward(self, h: Tensor, covariates: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """Map cells × n_in to cells × n_hidden; `keep` is uniform noise, cells × layers × n_hidden."""
        assert (covariates is None) == (len(self.of_covariates) == 0), "covariates are given if there are any"
        for i, (linear, norm) in enumerate(zip(self.linear, self.norm, strict=True)):
            h = linear(h) if covariates is None else linear(h) + self.of_covariates[i](covariates)
            h = F.leaky_relu(norm(h), self.slope)
            if keep is not None:
                h = h * (keep[:, i] > self.dropout_rate) / (1 - self.dropout_rate)
        return h

    def rotate_input(self, rotation: Tensor, origin: Tensor) -> None:
        """Take Qᵀh − c for input from now on, and answer as before."""
        first, norm = self.linear[0], self.norm[0]
        assert isinstance(first, nn.Linear)
        weight = first.weight
        weight.copy_(weight @ rotation)
        if first.bias is not None:
            first.bias.add_(weight @ origin)
        else:
            assert isinstance(norm, nn.BatchNorm1d)
            assert norm.running_mean is not None
            norm.running_mean.sub_(weight @ origin)


def kl_to_prior(mean: Tensor, sd: Tensor, prior_mean: Tensor) -> Tensor:
    """KL(Normal(mean, sd²) ‖ Normal(prior_mean, I)) in nats, summed over the last axis."""
    return 0.5 * (sd**2 + (mean - prior_mean) ** 2 - 1).sum(-1) - sd.log().sum(-1)


class PerturbationVAE(BaseModuleClass):
    """Variational auto-encoder of counts whose prior depends on the perturbation.

    The encoder sees log(1 + x) only, never the perturbation or the batch; the decoder sees the
    latents and the batch, never the perturbation (Lopez et al. 2023, and its released code). What is known
    of a perturbation is the mean of its prior. A class for which it is something else overrides
    :meth:`known`, :meth:`prior_mean` and :meth:`code`.

    Parameters
    ----------
    n_genes
        Number of genes G.
    prior
        One of :mod:`svae.models.priors`.
    n_batch
        Number of batches; 0 or 1 means none.
    n_hidden, n_layers
        Width and depth of encoder and decoder.
    dropout_rate
        Dropout in the encoder.
    beta
        Weight of the KL divergence (Higgins et al. 2017).
    slope
        Slope of the LeakyReLU below zero; 0 is the ReLU.
    batch_norm
        Whether encoder and decoder have BatchNorm.
    n_code
        Numbers of the code that encoder and decoder are told of a perturbation; 0: they are told nothing.
    """

    prior: StandardNormal
    beta: Tensor

    def __init__(
        self,
        n_genes: int,
        prior: StandardNormal,
        n_batch: int = 0,
        n_hidden: int = 128,
        n_layers: int = 2,
        dropout_rate: float = 0.1,
        beta: float = 1.0,
        slope: float = 0.0,
        batch_norm: bool = True,
        n_code: int = 0,
    ):
        super().__init__()
        self.n_code = n_code
        self.n_batch = n_batch if n_batch > 1 else 0
        self.dropout_rate = dropout_rate
        self.prior = prior
        layers = partial(Hidden, n_hidden=n_hidden, n_layers=n_layers, batch_norm=batch_norm, slope=slope)
        self.encoder = layers(n_genes, n_covariates=n_code, dropout_rate=dropout_rate)
        self.posterior = nn.Linear(n_hidden, 2 * prior.n_latent)  # means, then log variances
        self.decoder = layers(prior.n_latent, n_covariates=self.n_batch + n_code)
        self.expression_logit = nn.Linear(n_hidden, n_genes)
        self.log_dispersion = nn.Parameter(torch.randn(n_genes))
        self.register_buffer("beta", torch.tensor(float(beta)))

    @property
    def mask_names(self) -> tuple[str, ...]:
        """Names of the parameters that are mask logits; empty for a prior without masks."""
        return ("prior.logit",) if isinstance(self.prior, MaskedShift) else ()

    @property
    def matrix_names(self) -> list[str]:
        """Names of the weight matrices of all layers."""
        return [f"{name}.weight" for name, part in self.named_modules() if isinstance(part, nn.Linear)]

    def draw_validation_noise(self, n_cells: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw standard normal noise of the latents of `n_cells`: ``z``, cells × latents."""
        shape = (n_cells, self.prior.n_latent)
        return {"z": torch.randn(shape, generator=generator, device=generator.device)}

    def draw_noise(self, n_cells: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw what one training step on `n_cells` needs; the first axis is the cell.

        Returns
        -------
        ``z``, standard normal, cells × latents; ``mask``, uniform, cells × most parts of a perturbation ×
        latents, where there are masks;
        ``keep``, uniform, cells × layers × hidden, where there is dropout.
        """
        device = generator.device
        noise = self.draw_validation_noise(n_cells, generator)
        if isinstance(self.prior, MaskedShift):
            mask_shape = (n_cells, self.prior.most_parts, self.prior.n_latent)
            noise["mask"] = torch.rand(mask_shape, generator=generator, device=device)
        if self.dropout_rate > 0:
            noise["keep"] = torch.rand(self._shape_of_keep(n_cells), generator=generator, device=device)
        return noise

    def _shape_of_keep(self, n_cells: int) -> tuple[int, int, int]:
        """Return the shape of the noise of dropout: cells × layers × hidden."""
        return n_cells, len(self.encoder.linear), self.posterior.in_features

    def known(self, perturbation: Tensor, mask_noise: Tensor | None = None) -> Tensor:
        """What is known of trained perturbations, cells × latents; masks are drawn from `mask_noise`."""
        return self.prior.mean(perturbation, mask_noise)

    def prior_mean(self, known: Tensor) -> Tensor:
        """Mean of p(z | perturbation), ... × latents, from what is known of perturbations."""
        return known

    def code(self, known: Tensor | None) -> Tensor | None:
        """What encoder and decoder are told of perturbations, ... × n_code; nothing by default."""
        return None

    def encode(
        self, x: Tensor, keep: Tensor | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the posterior of the latents, both cells × latents.

        Parameters
        ----------
        x
            Counts, cells × genes.
        keep
            Noise of the dropout; None: nothing is dropped.
        known
            What is known of the perturbation of each cell, which matters to modules with a code alone.
        """
        h = self.encoder(torch.log1p(x), self.code(known), keep)
        mean, log_variance = self.posterior(h).chunk(2, dim=-1)
        return mean, (torch.exp(log_variance) + 1e-4).sqrt()

    def decode(self, z: Tensor, batch: Tensor, known: Tensor | None = None) -> Tensor:
        """Logits of the expected share of each gene, cells × genes; `batch` holds integer codes."""
        return self.expression_logit(self.decoder(z, self.covariates(batch, known)))

    def covariates(self, batch: Tensor, known: Tensor | None = None) -> Tensor | None:
        """What the decoder is told beside the latents: the batch, one-hot, then the code; None if nothing."""
        code, dtype = self.code(known), self.expression_logit.weight.dtype
        if not self.n_batch:
            return code
        one_hot = F.one_hot(batch, self.n_batch).to(dtype)
        return one_hot if code is None else torch.cat([one_hot, code], dim=-1)

    def log_probability(self, x: Tensor, logit: Tensor) -> Tensor:
        """Log p(x | z) of each cell in nats: negative binomial with mean library · softmax(logit).

        The parts of the density that do not depend on `logit` are in
        :meth:`log_probability_constant`; the likelihood computes them once for all its samples.
        """
        return self.log_probability_constant(x) + self.log_probability_kernel(x, logit)

    def log_probability_constant(self, x: Tensor) -> Tensor:
        """Sum over genes of the terms of log NB(x) that do not depend on its mean; one per cell, nats."""
        return density.constant(x, self.bounded_log_dispersion()).sum(-1)

    def log_probability_kernel(self, x: Tensor, logit: Tensor) -> Tensor:
        """Sum over genes of the terms of log NB(x) that depend on its mean; nats.

        Leading axes of `logit` broadcast over those of `x`.
        """
        # A cell without counts has no library; any small one says that it was expected to have none.
        library = x.sum(-1, keepdim=True).clamp(min=SMALLEST_LIBRARY)
        log_mean = F.log_softmax(logit, dim=-1) + torch.log(library)
        return density.kernel(x, log_mean, self.bounded_log_dispersion()).sum(-1)

    def bounded_log_dispersion(self) -> Tensor:
        """The log θ of each gene, held where the density is known to be right."""
        return self.log_dispersion.clamp(*LOG_DISPERSION_RANGE)

    def elbo_terms(self, x: Tensor, batch: Tensor, known: Tensor, noise: Noise) -> tuple[Tensor, Tensor]:
        """Reconstruction error −log p(x | z) and KL(q(z | x) ‖ p(z | perturbation)), nats, one per cell.

        ELBO = −(reconstruction + KL); z = mean + sd · noise["z"].
        """
        mean, sd = self.encode(x, noise.get("keep"), known)
        logit = self.decode(mean + sd * noise["z"], batch, known)
        reconstruction = -self.log_probability(x, logit)
        return reconstruction, kl_to_prior(mean, sd, self.prior_mean(known))

    def objective(
        self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise, kl_weight: float, n_cells: int
    ) -> Tensor:
        """Loss per cell of a batch: reconstruction + kl_weight · β · KL + penalty; a scalar in nats."""
        known = self.known(perturbation, noise.get("mask"))
        reconstruction, kl = self.elbo_terms(x, batch, known, noise)
        return (reconstruction + kl_weight * self.beta * kl).mean() + self.prior.penalty(n_cells, kl_weight)

    def negative_elbo(self, x: Tensor, perturbation: Tensor, batch: Tensor, noise: Noise) -> Tensor:
        """Mean −ELBO of a batch in nats per cell, with masks at their more probable values."""
        reconstruction, kl = self.elbo_terms(x, batch, self.known(perturbation), noise)
        return (reconstruction + kl).mean()

    @torch.no_grad()
    def rotate_to_sparse_shifts(self, seed: int) -> None:
        """Turn the latents, z' = Qᵀz − c, to axes along which the shifts are sparse.

        Densities stay what they were, but for the posterior's variances: those of a rotated Normal with
        diagonal covariance are no longer independent, and what is kept is their mean on a log scale.
        A module that has diverged is left as it is.
        """
        prior = self.prior
        assert isinstance(prior, DenseShift)
        if not prior.shift.isfinite().all():
            return
        rotation, origin = prior.sparse_rotation(seed)
        prior.shift.copy_(prior.shift @ rotation - origin)
        mean, log_variance = self.posterior.weight.chunk(2)
        self.posterior.weight.copy_(torch.cat([rotation.T @ mean, rotation.T**2 @ log_variance]))
        mean, log_variance = self.posterior.bias.chunk(2)
        self.posterior.bias.copy_(torch.cat([rotation.T @ mean - origin, rotation.T**2 @ log_variance]))
        self.decoder.rotate_input(rotation, origin)

    # What follows is the interface that the Lightning trainer of scvi-tools calls.

    def _get_inference_input(self, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        perturbation = tensors[REGISTRY_KEYS.LABELS_KEY][:, 0].long()
        return {"x": tensors[REGISTRY_KEYS.X_KEY], "perturbation": perturbation}

    def _get_generative_input(
        self, tensors: dict[str, Tensor], inference_outputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        return {
            "z": inference_outputs["z"],
            "batch": tensors[REGISTRY_KEYS.BATCH_KEY][:, 0].long(),
            "perturbation": tensors[REGISTRY_KEYS.LABELS_KEY][:, 0].long(),
        }

    @auto_move_data
    def inference(self, x: Tensor, perturbation: Tensor) -> dict[str, Tensor | Normal]:
        """Encode cells with noise from torch's global generator."""
        keep = None
        if self.training and self.dropout_rate > 0:
            keep = torch.rand(self._shape_of_keep(len(x)), device=x.device)
        mean, sd = self.encode(x, keep, self.known(perturbation))
        return {"qz": Normal(mean, sd, validate_args=False), "z": mean + sd * torch.randn_like(sd)}

    @auto_move_data
    def generative(self, z: Tensor, batch: Tensor, perturbation: Tensor) -> dict[str, Tensor | Normal]:
        """Decode latents, and give the prior of the perturbation."""
        mask_noise = None
        if self.training and isinstance(self.prior, MaskedShift):
            mask_noise = torch.rand(len(z), self.prior.most_parts, self.prior.n_latent, device=z.device)
        known = self.known(perturbation, mask_noise)
        mean = self.prior_mean(known)
        return {
            "logit": self.decode(z, batch, known),
            "pz": Normal(mean, torch.ones_like(mean), validate_args=False),
        }

    def loss(
        self, tensors, inference_outputs, generative_outputs, kl_weight: float = 1.0, n_obs: int = 1
    ) -> LossOutput:
        """Return the same loss as :meth:`objective`, from the pieces the Lightning trainer carries along."""
        reconstruction = -self.log_probability(tensors[REGISTRY_KEYS.X_KEY], generative_outputs["logit"])
        kl = torch.distributions.kl_divergence(inference_outputs["qz"], generative_outputs["pz"]).sum(-1)
        penalty = self.prior.penalty(n_obs, kl_weight)
        loss = (reconstruction + kl_weight * self.beta * kl).mean() + penalty
        return LossOutput(loss=loss, reconstruction_loss=reconstruction, kl_local=kl, kl_global=penalty)
