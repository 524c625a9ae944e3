"""The model that linear factor methods with sparse shifts share.

The expression y of a cell, standardised gene by gene, is

    y = W z + e,    z ~ Normal(c + Σ_m β_m, I),    e ~ Normal(0, diag(ψ)),

with loadings W (genes × latents), a baseline c, and shifts β (parts × latents), most of which are 0. The sum
is over the single perturbations that the cell was given: none, one, or the parts of a combination. Methods
differ in the priors of W and β, and in how they compute the posterior.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from svae.methods.factors.expression import PseudoCells
from svae.models.rotation import sparse_rotation

SMALLEST = 1e-9
"""Keeps divisions by probabilities and variances defined where no shift is found."""

LEAST_NOISE = 1e-3
"""Share of a gene's variance that the first factors leave to noise."""


@dataclass(frozen=True)
class Factors:
    """Parameters of the model.

    Attributes
    ----------
    loadings
        W, genes × latents.
    noise
        ψ, the variance of each gene that latents leave.
    baseline
        c, the mean of the latents of an unperturbed cell.
    shifts
        β, parts × latents.
    """

    loadings: np.ndarray
    noise: np.ndarray
    baseline: np.ndarray
    shifts: np.ndarray


@dataclass(frozen=True)
class Posterior:
    """What a method has learnt.

    Attributes
    ----------
    factors
        Posterior means.
    inclusion
        Probability that a shift is not 0, parts × latents.
    losses
        One number per iteration, nats per cell; lower is better.
    """

    factors: Factors
    inclusion: np.ndarray
    losses: list[float]

    @property
    def slab(self) -> np.ndarray:
        """Mean square of the shifts that are not 0, one number per latent."""
        squares = self.factors.shifts**2 / np.maximum(self.inclusion, SMALLEST)
        return np.maximum(squares.sum(axis=0) / np.maximum(self.inclusion.sum(axis=0), SMALLEST), SMALLEST)


def latent_precision(factors: Factors) -> np.ndarray:
    """Precision of the latents of a cell given its expression, I + Wᵀ diag(ψ)⁻¹ W; latents × latents."""
    W = factors.loadings
    return np.eye(W.shape[1]) + W.T @ (W / factors.noise[:, None])


def latent_means(expression: np.ndarray, prior_means: np.ndarray, factors: Factors) -> np.ndarray:
    """Mean of the latents of each cell given its expression, which is their mode, too; cells × latents.

    Parameters
    ----------
    expression
        Standardised, cells × genes.
    prior_means
        Mean of the latents before the expression is seen, cells × latents or one row for all cells.
    factors
        Loadings and noise.
    """
    evidence = expression @ (factors.loadings / factors.noise[:, None])
    return np.linalg.solve(latent_precision(factors), (evidence + prior_means).T).T


class Products(NamedTuple):
    """Sums over all cells of products with their latents Z: all that updates of parameters read of latents.

    Attributes
    ----------
    latents
        ZᵀZ, latents × latents.
    expression
        ZᵀY, latents × genes.
    design
        DᵀZ, parts × latents: the sums over the cells that were given each part.
    total
        The sums over all cells, one number per latent.
    """

    latents: np.ndarray
    expression: np.ndarray
    design: np.ndarray
    total: np.ndarray


def products_of(cells: PseudoCells, latents: np.ndarray, remainder: np.ndarray) -> Products:
    """Products of the latents of pseudo-cells (rows × latents); `remainder` is what ZᵀZ has beside them."""
    return Products(
        latents=latents.T @ latents + remainder,
        expression=latents.T @ cells.expression,
        design=cells.design.T @ latents,
        total=cells.ones @ latents,
    )


def squared_residuals(cells: PseudoCells, loadings: np.ndarray, products: Products) -> np.ndarray:
    """Sum over all cells of the squares of y − W z, for each gene."""
    explained = ((loadings @ products.latents) * loadings).sum(axis=1)
    covered = (loadings * products.expression.T).sum(axis=1)
    return cells.squares - 2 * covered + explained


def unexplained(
    cells: PseudoCells, products: Products, baseline: np.ndarray, shifts: np.ndarray, parts: np.ndarray
) -> np.ndarray:
    """Sums of the latents of the cells of some parts, less the baseline and the shifts of all other parts.

    Parameters
    ----------
    cells
        Cells of training.
    products
        Their latents.
    baseline
        One number per latent.
    shifts
        All parts × latents.
    parts
        Places of the parts in question, no two of which a cell was given.

    Returns
    -------
    These parts × latents.
    """
    of_each = cells.cells_of[parts]
    of_others = cells.together[parts] @ shifts - of_each * shifts[parts]
    return products.design[parts] - of_each * baseline - of_others


def prior_means(cells: PseudoCells, factors: Factors) -> np.ndarray:
    """Prior means of the latents of pseudo-cells, rows × latents."""
    return cells.design @ factors.shifts + np.outer(cells.ones, factors.baseline)


def first_factors(cells: PseudoCells, n_latent: int, seed: int) -> Factors:
    """Begin with principal components, turned to the axes along which shifts are sparse.

    Components are scaled so that the latents of one perturbation have the covariance I. Any rotation of them
    is as good; the one taken makes shifts sparse (:func:`svae.models.rotation.sparse_rotation`).

    Parameters
    ----------
    cells
        Cells of training.
    n_latent
        Number of components, no more than there are cells and genes.
    seed
        Of the search for a rotation.
    """
    Y, D = cells.expression, np.column_stack([cells.design, cells.ones])
    _, _, axes = np.linalg.svd(Y, full_matrices=False)
    scores = Y @ axes[:n_latent].T
    effects = np.linalg.lstsq(D, scores, rcond=None)[0]
    within = scores - D @ effects
    scale = np.linalg.inv(np.linalg.cholesky(within.T @ within / cells.count)).T
    rotation, origin = sparse_rotation(effects[:-1] @ scale, seed)
    turn = scale @ rotation
    scores = scores @ turn
    loadings = np.linalg.lstsq(scores, Y, rcond=None)[0].T
    noise = ((Y - scores @ loadings.T) ** 2).sum(axis=0) / cells.count
    baseline, shifts = effects[-1] @ turn + origin, effects[:-1] @ turn - origin
    return Factors(loadings, np.maximum(noise, LEAST_NOISE), baseline, shifts)
