"""Modes of the posterior of the latents of cells, which is where importance sampling begins."""

import numpy as np

from svae.simulation.log_joint import ObservedCells

_MAX_STEPS = 50
_MAX_HALVINGS = 10
_MAX_DAMPING = 1e4
_TOLERANCE = 1e-6  # nats: a cell stops when its next step promises no more


def posterior_modes(cells: ObservedCells) -> tuple[np.ndarray, np.ndarray]:
    """Find a mode of log p(x | z) + log N(z; mean, I) for every cell, starting from z = mean.

    The steps are Gauss–Newton steps (Newton steps where counts are Poisson and normalised over cells, because
    the network is piecewise linear). A step is halved until it improves the density. Where a kink of the
    network makes all halves fail, the next step is damped, which turns it towards the gradient
    (Levenberg–Marquardt). The posterior may have further modes.

    Returns
    -------
    modes
        Cells × latents.
    precisions
        Fisher information + I at the modes, cells × latents × latents.
    """
    chunks = cells.chunks(cells.decoder.latents)
    modes = np.concatenate([_climb(cells[rows]) for rows in chunks])
    return modes, np.concatenate([cells[rows].derivatives(modes[rows])[1] for rows in chunks])


def _climb(cells: ObservedCells) -> np.ndarray:
    """Modes of a chunk of cells, cells × latents."""
    z = cells.means.copy()
    value, damping = cells.log_joint(z), np.zeros(len(z))
    running = np.arange(len(z))  # the cells that have not arrived
    for _ in range(_MAX_STEPS):
        gradient, precision = cells[running].derivatives(z[running])
        precision += damping[running, None, None] * np.eye(z.shape[1])
        step = np.linalg.solve(precision, gradient[..., None])[..., 0]
        gain = np.einsum("nj,nj->n", gradient, step)
        z[running], value[running], improved = _search_line(
            cells[running], z[running], value[running], step, gain
        )
        more = np.maximum(10 * damping[running], 1.0)
        damping[running] = np.where(improved, damping[running] / 10, more)
        running = running[(gain > _TOLERANCE) & (damping[running] < _MAX_DAMPING)]
        if len(running) == 0:
            break
    return z


def _search_line(
    cells: ObservedCells, z: np.ndarray, value: np.ndarray, step: np.ndarray, gain: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Halve the step of each cell until it improves the log joint density.

    Parameters
    ----------
    z, value
        Where the cells stand (cells × latents), and their log joint density there (cells).
    step
        The full steps, cells × latents.
    gain
        What the gradient promises for a full step, in nats per cell.

    Returns
    -------
    The new `z` and `value`, and which cells improved.
    """
    z, value = z.copy(), value.copy()
    waiting = np.arange(len(z))
    for halvings in range(_MAX_HALVINGS):
        length = 0.5**halvings
        trial = z[waiting] + length * step[waiting]
        reached = cells[waiting].log_joint(trial)
        # Armijo's rule: some of the gain that the gradient promises must be real.
        better = reached > value[waiting] + 1e-4 * length * gain[waiting]
        z[waiting[better]], value[waiting[better]] = trial[better], reached[better]
        waiting = waiting[~better]
        if len(waiting) == 0:
            break
    improved = np.ones(len(z), dtype=bool)
    improved[waiting] = False
    return z, value, improved
