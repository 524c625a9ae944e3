"""Guided sparse factor analysis (Zhou et al. 2023) by Gibbs sampling.

Priors, beside those of :mod:`svae.methods.factors.model`:

    W_jk ~ π_k Normal(0, σ_k²) + (1 − π_k) Normal(0, c_k σ_k²),    π_k ~ Beta(10, 40),    c_k ~ IG(3, ½)
    β_mk ~ ρ_m Normal(0, τ_m²) + (1 − ρ_m) δ₀,                     ρ_m ~ Beta(4, 16)
    σ_k², τ_m², ψ_j ~ IG(1, 1)

for gene j, latent k and part m; the prior of the baseline is flat. Every conditional is that of a conjugate
family, and is drawn as a block: all latents; all loadings of a gene; all shifts of parts that no cell was
given together.
"""

import numpy as np
from scipy.special import expit, logit

from svae.methods.factors.expression import PseudoCells
from svae.methods.factors.model import (
    Factors,
    Posterior,
    Products,
    latent_means,
    latent_precision,
    prior_means,
    products_of,
    squared_residuals,
    unexplained,
)

LARGE_LOADINGS = (10.0, 40.0)
"""Beta prior of the share of genes with a large loading: a fifth, worth 50 genes."""

SHIFTED_LATENTS = (4.0, 16.0)
"""Beta prior of the share of latents that a perturbation shifts: a fifth, worth 20 latents."""

SMALL_LOADINGS = (3.0, 0.5)
"""Inverse gamma prior (shape, scale) of the variance of small loadings over that of large ones; mean ¼."""

VARIANCE = (1.0, 1.0)
"""Inverse gamma prior (shape, scale) of all other variances."""


def sample(cells: PseudoCells, start: Factors, sweeps: int, burn_in: float, seed: int) -> Posterior:
    """Draw from the posterior, and average.

    Parameters
    ----------
    cells
        Cells of training.
    start
        Where to begin.
    sweeps
        Number of draws.
    burn_in
        Share of them, from the first on, that is left out of the averages.
    seed
        Of all draws.

    Returns
    -------
    Posterior
        Inclusions are averages of the conditional probabilities, not of the draws (Rao–Blackwell). Losses
        are the negative log-likelihood of the expression given the latents drawn, nats per cell.
    """
    chain = Chain(cells, start, np.random.default_rng(seed))
    first = int(burn_in * sweeps)
    losses, sums = [], [np.zeros(())] * 5
    for sweep in range(sweeps):
        losses.append(chain.sweep())
        if sweep >= first:
            draw = (*vars(chain.factors).values(), chain.inclusion)
            sums = [total + part for total, part in zip(sums, draw, strict=True)]
    *means, inclusion = (total / (sweeps - first) for total in sums)
    return Posterior(Factors(*means), inclusion, losses)


class Chain:
    """The state of the sampler.

    Parameters
    ----------
    cells
        Cells of training.
    start
        Loadings and shifts above the median size begin as large, the others as small or 0.
    random
        Source of all draws.
    """

    def __init__(self, cells: PseudoCells, start: Factors, random: np.random.Generator):
        self.cells, self.random = cells, random
        loading_size, shift_size = np.abs(start.loadings), np.abs(start.shifts)
        self.large = loading_size > np.median(loading_size)
        self.large_share = np.full(start.loadings.shape[1], LARGE_LOADINGS[0] / sum(LARGE_LOADINGS))
        self.loading_variance = (2 * start.loadings**2).mean(axis=0)
        self.small_ratio = np.full(start.loadings.shape[1], 0.25)
        self.shifted_share = np.full(len(start.shifts), SHIFTED_LATENTS[0] / sum(SHIFTED_LATENTS))
        self.shift_variance = np.ones(len(start.shifts))
        self.inclusion = (shift_size > np.median(shift_size)).astype(float)
        self.factors = Factors(start.loadings, start.noise, start.baseline, start.shifts * self.inclusion)

    def sweep(self) -> float:
        """Draw everything once; negative log-likelihood of the expression, nats per cell."""
        products = self._draw_latents()
        loadings = self._draw_loadings(products)
        noise, residuals = self._draw_noise(loadings, products)
        baseline, shifts = self._draw_shifts(products)
        self.factors = Factors(loadings, noise, baseline, shifts)
        return 0.5 * float((np.log(2 * np.pi * noise) + residuals / noise / self.cells.count).sum())

    def _draw_latents(self) -> Products:
        """Draw the latents of all cells, of which only products with data are needed.

        The means of all cells lie in the space of the pseudo-cells. What is drawn outside of it is noise
        with no product with the data. Its product with itself has a Wishart distribution.
        """
        scale = np.linalg.inv(np.linalg.cholesky(latent_precision(self.factors)))
        means = latent_means(self.cells.expression, prior_means(self.cells, self.factors), self.factors)
        latents = means + self.random.standard_normal(means.shape) @ scale
        outside = wishart_root(self.cells.count - len(means), means.shape[1], self.random) @ scale
        return products_of(self.cells, latents, outside.T @ outside)

    def _draw_loadings(self, products: Products) -> np.ndarray:
        """Draw the loadings of each gene together, and what their prior is made of."""
        ratio = np.where(self.large, 1.0, self.small_ratio)
        prior_precision = 1 / (self.loading_variance * ratio)
        noise = self.factors.noise[:, None]
        precision = products.latents / noise[..., None] + np.eye(len(ratio.T)) * prior_precision[:, None, :]
        root = np.linalg.cholesky(precision)
        whitened = np.linalg.solve(root, (products.expression.T / noise)[..., None])
        whitened += self.random.standard_normal(whitened.shape)
        loadings = np.linalg.solve(root.transpose(0, 2, 1), whitened)[..., 0]
        self._draw_sizes_of_loadings(loadings)
        return loadings

    def _draw_sizes_of_loadings(self, loadings: np.ndarray) -> None:
        """Draw which loadings are large, how many are, and how large they and the small ones are."""
        genes = len(loadings)
        surplus = 0.5 * loadings**2 / self.loading_variance * (1 / self.small_ratio - 1)
        odds = logit(self.large_share) + 0.5 * np.log(self.small_ratio) + surplus
        self.large = self.random.random(loadings.shape) < expit(odds)
        number = self.large.sum(axis=0)
        alpha, beta = LARGE_LOADINGS
        self.large_share = self.random.beta(alpha + number, beta + genes - number)
        scaled = loadings**2 / np.where(self.large, 1.0, self.small_ratio)
        self.loading_variance = self._draw_variance(VARIANCE, genes, scaled.sum(axis=0))
        small = np.where(self.large, 0.0, loadings**2 / self.loading_variance)
        self.small_ratio = self._draw_variance(SMALL_LOADINGS, genes - number, small.sum(axis=0))

    def _draw_noise(self, loadings: np.ndarray, products: Products) -> tuple[np.ndarray, np.ndarray]:
        """Draw the variance that latents leave of each gene; also return the sums of squared residuals."""
        residuals = squared_residuals(self.cells, loadings, products)
        return self._draw_variance(VARIANCE, self.cells.count, residuals), residuals

    def _draw_shifts(self, products: Products) -> tuple[np.ndarray, np.ndarray]:
        """Draw the baseline and all shifts, and what the prior of the shifts is made of."""
        of_each, count = self.cells.cells_of, self.cells.count
        shifts = self.factors.shifts.copy()
        baseline = (products.total - (of_each * shifts).sum(axis=0)) / count
        baseline += self.random.standard_normal(len(baseline)) / np.sqrt(count)
        precision = of_each + 1 / self.shift_variance[:, None]
        noise = self.random.standard_normal(shifts.shape) / np.sqrt(precision)
        chance = self.random.random(shifts.shape)
        self.inclusion = np.empty_like(shifts)
        for parts in self.cells.rounds:
            excess = unexplained(self.cells, products, baseline, shifts, parts)
            mean = excess / precision[parts]
            gain = 0.5 * (excess * mean - np.log(self.shift_variance[parts, None] * precision[parts]))
            self.inclusion[parts] = expit(logit(self.shifted_share[parts])[:, None] + gain)
            shifts[parts] = np.where(chance[parts] < self.inclusion[parts], mean + noise[parts], 0.0)

        number = (shifts != 0).sum(axis=1)
        alpha, beta = SHIFTED_LATENTS
        self.shifted_share = self.random.beta(alpha + number, beta + shifts.shape[1] - number)
        self.shift_variance = self._draw_variance(VARIANCE, number, (shifts**2).sum(axis=1))
        return baseline, shifts

    def _draw_variance(
        self, prior: tuple[float, float], number: np.ndarray | int, squares: np.ndarray
    ) -> np.ndarray:
        """Draw variances of centred normal values: `number` of them, whose squares sum to `squares`."""
        shape, scale = prior
        return (scale + squares / 2) / self.random.gamma(shape + np.asarray(number) / 2, size=squares.shape)


def wishart_root(freedom: int, size: int, random: np.random.Generator) -> np.ndarray:
    """Draw T such that TᵀT has the Wishart distribution of I (size × size) and so many degrees of freedom.

    With enough degrees of freedom T is triangular (Bartlett 1933); otherwise it has a row for each of them.
    """
    if freedom < size:
        return random.standard_normal((max(freedom, 0), size))
    root = np.triu(random.standard_normal((size, size)), 1)
    root[np.diag_indices(size)] = np.sqrt(random.chisquare(freedom - np.arange(size)))
    return root
