"""Modes of the posterior of the latents of cells."""

import torch
from torch import Tensor

from svae.posterior.observed import ObservedCells
from svae.posterior.prior import NormalPrior

MAX_HALVINGS = 8
LEAST_DAMPING, MAX_DAMPING = 0.1, 1e4


def log_joint(cells: ObservedCells, prior: NormalPrior, z: Tensor) -> Tensor:
    """Log p(x | z) + log p(z) at samples `z` of each cell (cells × samples × latents), cells × samples."""
    return cells.log_likelihood(z) + prior.log_density(z)


def posterior_modes(
    cells: ObservedCells, prior: NormalPrior, start: Tensor, max_steps: int = 50, tolerance: float = 1e-6
) -> Tensor:
    """Climb to a mode of log p(x | z) + log p(z) in every cell.

    The steps are Gauss–Newton steps with Fisher information as the Hessian of the counts. A step is halved
    until it improves the density. Where a kink of the network makes all halves fail, the next step is damped,
    which turns it towards the gradient (Levenberg–Marquardt). The posterior may have further modes.

    Parameters
    ----------
    cells
        Counts and network.
    prior
        Prior of the same cells.
    start
        Where to begin, cells × latents.
    max_steps
        Steps of a cell at most.
    tolerance
        A cell stops when its next step promises no more, in nats.

    Returns
    -------
    Cells × latents; NaN where the network or `start` is.
    """
    z = start.clone()
    value, damping = log_joint(cells, prior, z[:, None])[:, 0], torch.zeros_like(z[:, 0])
    running = torch.arange(len(z), device=z.device)  # the cells that have not arrived
    for _ in range(max_steps):
        if len(running) == 0:
            break
        gradient, precision = curvature(cells[running], prior[running], z[running])
        precision.diagonal(dim1=1, dim2=2).add_(damping[running, None])
        step = torch.cholesky_solve(gradient[..., None], torch.linalg.cholesky_ex(precision)[0])[..., 0]
        gain = (gradient * step).sum(-1)
        improved = _search_line(cells, prior, running, z, value, step, gain)
        damped = damping[running]
        damping[running] = torch.where(improved, damped / 10, (10 * damped).clamp(min=1.0))
        # A damped step promises little wherever it is taken, and so says nothing of having arrived.
        on_the_way = (gain > tolerance) | (damped > LEAST_DAMPING) | ~improved
        running = running[on_the_way & (damping[running] < MAX_DAMPING)]
    return z


def curvature(cells: ObservedCells, prior: NormalPrior, z: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient of the log joint density at `z` (cells × latents), and its expected negative Hessian.

    The latter is Fisher information + prior precision, cells × latents × latents.
    """
    score, information = cells.score_and_information(z)
    return score + prior.pull(z[:, None])[:, 0], information + prior.matrix()


def _search_line(
    cells: ObservedCells,
    prior: NormalPrior,
    running: Tensor,
    z: Tensor,
    value: Tensor,
    step: Tensor,
    gain: Tensor,
) -> Tensor:
    """Halve the step of each running cell until it improves the log joint density.

    Parameters
    ----------
    running
        Places of the cells that take a step.
    z, value
        Where all cells stand (cells × latents), and their log joint density there; both are brought up to
        date.
    step, gain
        The full steps of the running cells, and what the gradient promises for them in nats.

    Returns
    -------
    Which of the running cells improved.
    """
    improved = torch.zeros_like(running, dtype=torch.bool)
    for halvings in range(MAX_HALVINGS):
        waiting = (~improved).nonzero()[:, 0]
        if len(waiting) == 0:
            break
        length = 0.5**halvings
        places = running[waiting]
        trial = z[places] + length * step[waiting]
        reached = log_joint(cells[places], prior[places], trial[:, None])[:, 0]
        # Armijo's rule: some of the gain that the gradient promises must be real.
        better = reached > value[places] + 1e-4 * length * gain[waiting]
        z[places[better]], value[places[better]] = trial[better], reached[better]
        improved[waiting[better]] = True
    return improved
