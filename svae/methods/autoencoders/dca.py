"""DCA: a count autoencoder that denoises (Eraslan et al. 2019)."""

import anndata as ad
import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from svae.methods.autoencoders.network import Autoencoder, counts_of
from svae.methods.expected import expected_of_shown_cells
from svae.methods.linear import mean_shifts
from svae.methods.options import DCAOptions
from svae.models.module import Hidden
from svae.training.module import Noise
from svae.words import Basis

MEANS = (1e-5, 1e6)
DISPERSIONS = (1e-4, 1e4)
"""Ranges that the original holds means and dispersions in."""


class DCA(Autoencoder):
    """Encoder, bottleneck and decoder; each gene has a mean, a dispersion and a chance of dropping out.

    Parameters
    ----------
    counts
        Counts of the training cells, which scale the input, cells × genes.
    options
        Widths, and the form of the likelihood.
    """

    median: Tensor
    centre: Tensor
    spread: Tensor

    def __init__(self, counts: Tensor, options: DCAOptions):
        super().__init__()
        n_genes = counts.shape[1]
        self.ridge = options.ridge
        self.register_buffer("median", counts.sum(1).median())
        scaled = self._log_scaled(counts)
        self.register_buffer("centre", scaled.mean(0))
        self.register_buffer("spread", scaled.std(0).clamp(min=1e-6))
        self.encoder = Hidden(n_genes, options.n_hidden, 1)
        self.bottleneck = nn.Linear(options.n_hidden, options.n_latent)
        self.normalise = nn.BatchNorm1d(options.n_latent, momentum=0.01, eps=1e-3)
        self.decoder = Hidden(options.n_latent, options.n_hidden, 1)
        self.log_mean = nn.Linear(options.n_hidden, n_genes)
        self.dispersion = nn.Linear(options.n_hidden, n_genes)
        self.dropout = nn.Linear(options.n_hidden, n_genes) if options.zero_inflated else None

    def encode(self, x: Tensor) -> Tensor:
        """Bottleneck of each cell before its normalisation, cells × latents."""
        return self.bottleneck(self.encoder((self._log_scaled(x) - self.centre) / self.spread))

    def decode(self, x: Tensor) -> Tensor:
        """Last hidden layer, from counts to counts; cells × hidden."""
        return self.decoder(F.relu(self.normalise(self.encode(x))))

    def mean(self, h: Tensor, x: Tensor) -> Tensor:
        """Mean of each gene in each cell, cells × genes, from the last hidden layer."""
        return self.log_mean(h).exp().clamp(*MEANS) * self._size(x)

    def losses(self, x: Tensor, noise: Noise) -> Tensor:
        """−log p of each cell, a mean over its genes, in nats."""
        h = self.decode(x)
        mean, dispersion = self.mean(h, x), F.softplus(self.dispersion(h)).clamp(*DISPERSIONS)
        log_total = torch.log(dispersion + mean)
        log_p = (
            torch.lgamma(x + dispersion)
            - torch.lgamma(dispersion)
            - torch.lgamma(x + 1)
            + dispersion * (torch.log(dispersion) - log_total)
            + x * (torch.log(mean) - log_total)
        )
        if self.dropout is None:
            return -log_p.mean(-1)
        logit = self.dropout(h)
        log_p = F.logsigmoid(-logit) + log_p
        log_p = torch.where(x == 0, torch.logaddexp(F.logsigmoid(logit), log_p), log_p)
        return (self.ridge * torch.sigmoid(logit).square() - log_p).mean(-1)

    def shifts(self, latents: pd.DataFrame, split: pd.DataFrame) -> pd.DataFrame:
        """Mean latents of each perturbation less those of all cells trained on, perturbation × latent."""
        return mean_shifts(latents.to_numpy(), latents.index, split)

    def predictions(
        self, latents: pd.DataFrame, dataset: ad.AnnData, split: pd.DataFrame
    ) -> dict[Basis, pd.DataFrame] | None:
        """Denoised profiles of the cells that it may be shown; None if nothing is held out."""
        return expected_of_shown_cells(self.shares, dataset, split)

    @torch.no_grad()
    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Denoised share of each gene in the counts of each cell, cells × genes."""
        x = counts_of(cells)
        mean = self.mean(self.decode(x), x)
        return (mean / mean.sum(1, keepdim=True)).numpy()

    def _size(self, x: Tensor) -> Tensor:
        """Size factor of each cell: its counts over the median of the training cells."""
        return x.sum(-1, keepdim=True).clamp(min=1) / self.median

    def _log_scaled(self, x: Tensor) -> Tensor:
        return torch.log1p(x / self._size(x))
