"""perturbVI (Mancuso lab): the same model with single-effect loadings, by variational inference.

Priors, beside those of :mod:`svae.methods.factors.model`:

    w_k = Σ_l γ_kl ω_kl,    γ_kl ~ one gene, all alike,    ω_kl ~ Normal(0, σ_kl²)
    β_mk ~ ½ Normal(0, τ_k²) + ½ δ₀,    ψ_j = ψ

for gene j, latent k, part m and single effect l (SuSiE: Wang et al. 2020). The posterior is taken to
be a product of the latents of each cell, each (γ_kl, ω_kl) and each β_mk. Each is updated in closed form.
The variances and the baseline maximise the lower bound. No update lowers the bound.
"""

from dataclasses import replace

import numpy as np
from scipy.special import expit, softmax, xlogy

from svae.methods.factors.expression import PseudoCells
from svae.methods.factors.model import (
    Factors,
    Posterior,
    Products,
    latent_precision,
    prior_means,
    products_of,
    squared_residuals,
    unexplained,
)

FIRST_VARIANCE = 0.01
"""Variance of the single effects, before the first update."""


def climb(cells: PseudoCells, start: Factors, effects: int, iterations: int, tolerance: float) -> Posterior:
    """Raise the lower bound until it rises no more.

    Parameters
    ----------
    cells
        Cells of training.
    start
        Where to begin.
    effects
        Single effects of each latent: at most so many genes have a loading.
    iterations
        Most updates of everything.
    tolerance
        Nats per cell; an iteration that gains less is the last.

    Returns
    -------
    Posterior
        Losses are the negative lower bound, nats per cell.
    """
    approximation = Approximation(cells, start, min(effects, len(start.loadings)))
    losses = [np.inf]
    for _ in range(iterations):
        losses.append(-approximation.update())
        if losses[-2] - losses[-1] < tolerance:
            break
    return Posterior(approximation.factors, approximation.inclusion, losses[1:])


class Approximation:
    """The approximate posterior, and the parameters that maximise its lower bound.

    Parameters
    ----------
    cells
        Cells of training.
    start
        Its largest loadings are the first guess of the single effects.
    effects
        Single effects of each latent, no more than there are genes.
    """

    def __init__(self, cells: PseudoCells, start: Factors, effects: int):
        self.cells = cells
        genes, n_latent = start.loadings.shape
        largest = np.argsort(-np.abs(start.loadings), axis=0)[:effects].T
        shape = (n_latent, effects, genes)
        self.gene = np.zeros(shape)  # probability that an effect is on a gene
        np.put_along_axis(self.gene, largest[..., None], 1.0, axis=2)
        self.effect_mean = self.gene * start.loadings.T[:, None]  # given that it is on that gene
        self.effect_variance = np.full(shape[:2], FIRST_VARIANCE)
        self.prior_variance = np.ones((n_latent, effects))
        self.slab = np.ones(n_latent)
        self.inclusion = np.ones(start.shifts.shape)
        self.squared_shifts = start.shifts**2
        loadings = (self.gene * self.effect_mean).sum(axis=1).T
        self.factors = Factors(loadings, np.full(genes, start.noise.mean()), start.baseline, start.shifts)

    def update(self) -> float:
        """Update everything once; return the lower bound, nats per cell."""
        products, covariance = self._update_latents()
        divergence = self._update_shifts(products)
        divergence += self._divergence_of_latents(products, covariance)
        loadings, divergence_of_loadings = self._update_loadings(products)
        residuals = squared_residuals(self.cells, loadings, products).sum()
        residuals += self._loading_variances() @ np.diag(products.latents)
        size = self.cells.count * len(loadings)
        noise = residuals / size
        self.factors = replace(self.factors, loadings=loadings, noise=np.full(len(loadings), noise))
        likelihood = -0.5 * size * (np.log(2 * np.pi * noise) + 1)
        return float(likelihood - divergence - divergence_of_loadings) / self.cells.count

    def _update_latents(self) -> tuple[Products, np.ndarray]:
        """Expected products of the latents, and their covariance, which is the same in all cells."""
        noise, loadings = self.factors.noise, self.factors.loadings
        uncertain = np.diag(self._loading_variances() / noise[0])
        covariance = np.linalg.inv(latent_precision(self.factors) + uncertain)
        evidence = self.cells.expression @ (loadings / noise[:, None])
        means = (evidence + prior_means(self.cells, self.factors)) @ covariance
        return products_of(self.cells, means, self.cells.count * covariance), covariance

    def _update_shifts(self, products: Products) -> float:
        """Update baseline, shifts and slab; return the divergence of the shifts from their prior."""
        of_each = self.cells.cells_of
        shifts = self.factors.shifts.copy()
        baseline = (products.total - (of_each * shifts).sum(axis=0)) / self.cells.count
        variance = 1 / (of_each + 1 / self.slab)
        for parts in self.cells.rounds:
            mean = variance[parts] * unexplained(self.cells, products, baseline, shifts, parts)
            log_odds = 0.5 * (np.log(variance[parts] / self.slab) + mean**2 / variance[parts])
            self.inclusion[parts] = expit(log_odds)
            self.squared_shifts[parts] = self.inclusion[parts] * (mean**2 + variance[parts])
            shifts[parts] = self.inclusion[parts] * mean
        self.slab = self.squared_shifts.sum(axis=0) / self.inclusion.sum(axis=0)
        self.factors = replace(self.factors, baseline=baseline, shifts=shifts)
        of_slab = np.log(self.slab / variance) - 1
        p, q = self.inclusion, 1 - self.inclusion
        on_or_off = xlogy(p, 2 * p) + xlogy(q, 2 * q)
        return float((on_or_off + 0.5 * p * of_slab + 0.5 * self.squared_shifts / self.slab).sum())

    def _divergence_of_latents(self, products: Products, covariance: np.ndarray) -> float:
        """Expected divergence of the latents of all cells from their prior."""
        of_each, count = self.cells.cells_of, self.cells.count
        baseline, shifts = self.factors.baseline, self.factors.shifts
        distance = np.trace(products.latents)  # E ‖Z − Dβ − 1c‖²
        distance -= 2 * ((shifts * products.design).sum() + baseline @ products.total)
        distance += (shifts * (self.cells.together @ shifts)).sum() + count * baseline @ baseline
        distance += (of_each * (self.squared_shifts - shifts**2 + 2 * shifts * baseline)).sum()
        log_volume = np.linalg.slogdet(covariance)[1]
        return float(0.5 * distance - 0.5 * count * (len(baseline) + log_volume))

    def _update_loadings(self, products: Products) -> tuple[np.ndarray, float]:
        """Update the single effects one after another; mean loadings, and the effects' divergence."""
        noise, loadings = self.factors.noise[0], self.factors.loadings.copy()
        divergence = 0.0
        for k, square in enumerate(np.diag(products.latents)):
            # What latent k is to explain: expression, less what the other latents do.
            wanted = products.expression[k] - loadings @ products.latents[k] + square * loadings[:, k]
            for effect in range(self.gene.shape[1]):
                others = loadings[:, k] - self.gene[k, effect] * self.effect_mean[k, effect]
                divergence += self._update_effect(
                    k, effect, (wanted - square * others) / noise, square / noise
                )
                loadings[:, k] = others + self.gene[k, effect] * self.effect_mean[k, effect]
        return loadings, divergence

    def _update_effect(self, latent: int, effect: int, evidence: np.ndarray, precision: float) -> float:
        """Update one single effect, and the variance of its prior; return its divergence from that.

        Parameters
        ----------
        latent, effect
            Which one.
        evidence
            What each gene has to say for it, in units of its precision.
        precision
            Of the effect on any one gene, without the prior.
        """
        variance = 1 / (precision + 1 / self.prior_variance[latent, effect])
        mean = variance * evidence
        gene = softmax(0.5 * mean**2 / variance)
        squared = float(gene @ mean**2) + variance
        self.gene[latent, effect] = gene
        self.effect_mean[latent, effect] = mean
        self.effect_variance[latent, effect] = variance
        self.prior_variance[latent, effect] = squared
        which = float(xlogy(gene, len(gene) * gene).sum())
        return which + 0.5 * float(np.log(squared / variance))

    def _loading_variances(self) -> np.ndarray:
        """Variances of the loadings of each latent, summed over genes."""
        squares = self.gene * (self.effect_mean**2 + self.effect_variance[..., None])
        return (squares - (self.gene * self.effect_mean) ** 2).sum(axis=(1, 2))
