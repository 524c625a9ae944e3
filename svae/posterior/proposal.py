"""Proposals of importance sampling: Student-t distributions that are fitted to the posterior of each cell."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from svae.posterior.modes import curvature, posterior_modes
from svae.posterior.observed import ObservedCells
from svae.posterior.prior import NormalPrior

DEGREES = 24
"""Degrees of freedom. Few enough for tails that bound the weights; with fewer, samples are wasted there."""

ONE_FROM_PRIORS_IN = 20
"""One sample in so many is drawn from the prior."""

NEAR = 5.0
"""How much more log density, in nats, a step towards the mode may promise where the first fit is made."""

ROUNDS, POINTS = 2, 24
"""How often a normal distribution is fitted to the scores at points drawn from it, and at how many points."""

FAITH = 8.0
"""How many points the shape found before a round counts as."""

LONGEST_STEP = 2.0
"""How far the location moves in a round at most, in standard deviations."""

WIDEST = 2.0
"""By what factor a round may widen a direction; a greater one is noise, and the shape before is kept."""


@dataclass(frozen=True, eq=False)
class StudentMixture:
    """An equal mixture of Student-t distributions for each cell, which differ in location only.

    Attributes
    ----------
    location
        Cells × components × latents.
    root, inverse
        A square root A of the scale matrix A Aᵀ and its inverse, both cells × latents × latents.
    """

    location: Tensor
    root: Tensor
    inverse: Tensor

    def draw(self, n_samples: int, generator: torch.Generator) -> Tensor:
        """Draw samples, as equally many from each component as can be; cells × samples × latents."""
        cells, components, latents = self.location.shape
        normal = _draw_normal((cells, n_samples, latents), self.root, generator)
        chi_squared = _draw_normal((cells, n_samples, DEGREES), self.root, generator)
        chi_squared = chi_squared.square_().sum(-1, keepdim=True)
        student = normal.mul_(chi_squared.div_(DEGREES).rsqrt_())
        z = student @ self.root.transpose(1, 2)
        for component in range(components):
            z[:, component::components] += self.location[:, component, None]
        return z

    def log_density(self, z: Tensor) -> Tensor:
        """Log density at `z` (cells × samples × latents), cells × samples."""
        components, latents = self.location.shape[1:]
        middle = self.location.mean(1, keepdim=True)
        whitened = (z - middle) @ self.inverse.transpose(1, 2)
        centres = (self.location - middle) @ self.inverse.transpose(1, 2)
        squares = whitened.square().sum(-1)[:, None] + centres.square().sum(-1, keepdim=True)
        squares = squares.baddbmm_(
            centres, whitened.transpose(1, 2), alpha=-2
        )  # cells × components × samples
        log_kernels = torch.log1p(squares / DEGREES).mul_(-0.5 * (DEGREES + latents))
        constant = (
            math.lgamma((DEGREES + latents) / 2)
            - math.lgamma(DEGREES / 2)
            - 0.5 * latents * math.log(DEGREES * math.pi)
            - math.log(components)
        )
        return torch.logsumexp(log_kernels, 1) + constant + torch.linalg.slogdet(self.inverse)[1][:, None]


@dataclass(frozen=True, eq=False)
class Proposal:
    """What the samples of each cell are drawn from: a mixture of Student-t distributions and priors.

    A small share of the samples comes from the priors, evenly, so that no weight exceeds a multiple of
    p(x | z) however badly the rest fits (Hesterberg 1995). Cells with few counts have posteriors near them.

    Attributes
    ----------
    students
        Where the posteriors are thought to be.
    priors
        Priors of the same cells.
    n_samples
        How many samples are drawn of each cell.
    """

    students: StudentMixture
    priors: Sequence[NormalPrior]
    n_samples: int

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw the samples, cells × samples × latents."""
        n_defensive = self.n_samples // ONE_FROM_PRIORS_IN
        parts = [self.students.draw(self.n_samples - n_defensive, generator)]
        for i, prior in enumerate(self.priors):
            some = len(range(i, n_defensive, len(self.priors)))
            parts.append(prior.draw(some, generator))
        return torch.cat(parts, 1)

    def log_density(self, z: Tensor) -> Tensor:
        """Log density at `z` (cells × samples × latents), cells × samples."""
        share = self.n_samples // ONE_FROM_PRIORS_IN / self.n_samples
        of_students = self.students.log_density(z)
        if share == 0:
            return of_students
        of_priors = torch.stack([prior.log_density(z) for prior in self.priors]).logsumexp(0)
        return torch.logaddexp(
            of_students + math.log1p(-share), of_priors + math.log(share / len(self.priors))
        )


@dataclass(frozen=True, eq=False)
class NormalFit:
    """A normal distribution that is fitted to the posterior of each cell.

    Attributes
    ----------
    location
        Cells × latents.
    root
        A square root A of the covariance A Aᵀ, cells × latents × latents.
    """

    location: Tensor
    root: Tensor


def fit_normal(
    cells: ObservedCells, prior: NormalPrior, start: Tensor, generator: torch.Generator
) -> NormalFit:
    """Fit a normal distribution to the posterior of each cell.

    It begins as a Laplace approximation after a few Gauss–Newton steps. Where a posterior runs over many
    kinks of the network, its curvature at one point says little. So the fit is improved by what holds at the
    normal distribution with the smallest KL(q ‖ p): the expected gradient of the log joint density is 0, and
    its expected negative Hessian is the precision (Opper & Archambeau 2009). Both are read off the scores at
    points drawn from the fit, the Hessian by ridge regression of the scores on the points.

    Parameters
    ----------
    cells
        Counts and network.
    prior
        Prior of the same cells.
    start
        Where to begin, cells × latents.
    generator
        Of the points.
    """
    location = posterior_modes(cells, prior, start, tolerance=NEAR)
    lower = torch.linalg.cholesky_ex(curvature(cells, prior, location)[1])[0]
    identity = _identity(location)
    fit = NormalFit(location, torch.linalg.solve_triangular(lower, identity, upper=False).transpose(1, 2))
    for _ in range(ROUNDS):
        fit = _improve(fit, cells, prior, generator)
    return fit


def _improve(
    fit: NormalFit, cells: ObservedCells, prior: NormalPrior, generator: torch.Generator
) -> NormalFit:
    """Fit once more, to the scores at points drawn from `fit`."""
    n_cells, latents = fit.location.shape
    half = _draw_normal((n_cells, POINTS // 2, latents), fit.root, generator)
    points = torch.cat([half, -half], 1)  # in standard deviations of the fit; their mean is 0
    z = fit.location[:, None] + points @ fit.root.transpose(1, 2)
    gradient = (cells.score(z) + prior.pull(z)) @ fit.root
    mean = gradient.mean(1, keepdim=True)

    identity = _identity(fit.location)
    moments = points.transpose(1, 2) @ points + FAITH * identity
    products = points.transpose(1, 2) @ (mean - gradient) + FAITH * identity
    precision = torch.cholesky_solve(products, torch.linalg.cholesky_ex(moments)[0])
    lower, failure = torch.linalg.cholesky_ex((precision + precision.transpose(1, 2)) / 2)
    sound = (failure == 0) & (lower.diagonal(dim1=1, dim2=2).amin(1) > 1 / WIDEST)
    lower = torch.where(sound[:, None, None], lower, identity)

    step = torch.cholesky_solve(mean.transpose(1, 2), lower)
    step = step * (LONGEST_STEP / torch.linalg.vector_norm(step, dim=1, keepdim=True)).clamp(max=1)
    root = torch.linalg.solve_triangular(lower, fit.root.transpose(1, 2), upper=False).transpose(1, 2)
    return NormalFit(fit.location + (fit.root @ step)[..., 0], root)


def propose(
    cells: ObservedCells,
    priors: Sequence[NormalPrior],
    start: Tensor,
    n_samples: int,
    generator: torch.Generator,
) -> Proposal:
    """Make a proposal that covers the posteriors under several priors, which differ in mean only.

    A normal distribution is fitted to the posterior under the mean of the priors. Under another prior mean,
    the posterior has moved by covariance · prior precision · difference, if it is normal.
    """
    middle = torch.stack([prior.mean for prior in priors]).mean(0)
    fit = fit_normal(cells, replace(priors[0], mean=middle), start, generator)
    moves = [
        fit.root @ (fit.root.transpose(1, 2) @ (priors[0].matrix() @ (prior.mean - middle)[..., None]))
        for prior in priors
    ]
    location = torch.stack([fit.location + move[..., 0] for move in moves], 1)
    students = StudentMixture(location, fit.root, torch.linalg.inv_ex(fit.root)[0])
    return Proposal(students, priors, n_samples)


def _draw_normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw standard normal numbers of the type of `like`, on its device."""
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)


def _identity(z: Tensor) -> Tensor:
    """Latents × latents, of the type of `z` (cells × latents) and on its device."""
    return torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
