"""How well the best possible model could do: the log-likelihood of cells under the simulator itself.

log p(x | k) = log ∫ p(x | z) N(z; m_k, I) dz, with the true decoder and the true shift m_k, by importance
sampling (Burda et al. 2016). The proposal is a multivariate Student-t, whose tails keep the weights bounded.
It starts as the Laplace approximation of the posterior and is then fitted to its own weighted samples
(adaptive importance sampling, Cappé et al. 2008), because a posterior that runs over the kinks of a LeakyReLU
network is not quite normal. The samples that fitted the proposal are not used in the estimate, whose
expectation is therefore p(x) itself; its logarithm errs, if at all, on the low side.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.special import gammaln, logsumexp

from svae.errors import BenchmarkError
from svae.simulation.decoder import CountDecoder
from svae.simulation.log_joint import ObservedCells
from svae.simulation.modes import posterior_modes
from svae.simulation.simulator import CellScores

DEGREES_OF_FREEDOM = 5.0
"""Of the proposal. Few enough for heavy tails, many enough that little mass is wasted in 15 dimensions."""

ROUNDS = 2
"""How often the proposal is fitted to its samples, half as many as the estimate then uses."""


@dataclass(frozen=True, eq=False)
class Posterior(CellScores):
    """How likely cells are, and where their latents lie.

    Attributes
    ----------
    log_likelihood
        log p(x) per cell in nats, log x! included.
    effective_samples
        Effective number of importance samples per cell, between 1 and the number drawn.
    means
        Posterior means of the latents, cells × latents.
    modes
        A mode of the posterior of each cell, cells × latents.
    """

    means: np.ndarray
    modes: np.ndarray


def importance_sample(
    decoder: CountDecoder,
    counts: np.ndarray | sparse.spmatrix,
    means: np.ndarray,
    library: np.ndarray | None = None,
    n_samples: int = 1000,
    seed: int = 0,
) -> Posterior:
    """Estimate log ∫ p(x | z) N(z; mean, I) dz for every cell (Burda et al. 2016, with a fitted proposal).

    Parameters
    ----------
    decoder
        Decoder and likelihood.
    counts
        Cells × genes.
    means
        Prior mean of the latents of each cell, cells × latents.
    library
        Expected counts of each cell, where the decoder needs them.
    n_samples
        Importance samples per cell.
    seed
        Of the importance samples.

    Raises
    ------
    BenchmarkError
        If the shapes do not fit the decoder, or it needs libraries and gets none.
    """
    counts = sparse.csr_matrix(counts, dtype=float).toarray()
    means = np.asarray(means, dtype=float)
    for name, got, wanted in (
        ("counts", counts.shape, (len(means), decoder.genes)),
        ("means", means.shape, (len(counts), decoder.latents)),
    ):
        if got != wanted:
            raise BenchmarkError(f"posterior: {name} have shape {got}, but must have {wanted}")
    cells = ObservedCells(decoder, counts, means, library)
    random = np.random.default_rng(seed)
    modes, precisions = posterior_modes(cells)
    parts = [
        _estimate(cells[rows], modes[rows], precisions[rows], n_samples, random)
        for rows in cells.chunks(n_samples)
    ]
    return Posterior(
        log_likelihood=np.concatenate([part.log_likelihood for part in parts]),
        effective_samples=np.concatenate([part.effective_samples for part in parts]),
        means=np.concatenate([part.means for part in parts]),
        modes=modes,
    )


def _estimate(
    cells: ObservedCells,
    modes: np.ndarray,
    precisions: np.ndarray,
    n_samples: int,
    random: np.random.Generator,
) -> Posterior:
    """Estimate for a chunk of cells; `modes` and `precisions` are those of :func:`posterior_modes`."""
    location, covariance = modes, np.linalg.inv(precisions)
    for _ in range(ROUNDS):
        z, log_weights = _propose(cells, location, covariance, max(1, n_samples // 2), random)
        location, covariance = _fit_proposal(z, log_weights, covariance)
    z, log_weights = _propose(cells, location, covariance, n_samples, random)
    total = logsumexp(log_weights, axis=1)
    weights = np.exp(log_weights - total[:, None])
    return Posterior(
        log_likelihood=total - np.log(n_samples),
        effective_samples=_effective_sample_size(log_weights),
        means=np.einsum("ns,nsj->nj", weights, z),
        modes=modes,
    )


def _propose(
    cells: ObservedCells,
    location: np.ndarray,
    covariance: np.ndarray,
    n_samples: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw from Student-t distributions, one per cell.

    Parameters
    ----------
    location, covariance
        Cells × latents, and cells × latents × latents.

    Returns
    -------
    Samples z, cells × samples × latents, and their weights log p(x, z) / q(z), cells × samples.
    """
    n_cells, latents = location.shape
    degrees = DEGREES_OF_FREEDOM
    lower = np.linalg.cholesky(covariance)
    student = random.standard_normal((n_cells, n_samples, latents))
    student *= np.sqrt(degrees / random.chisquare(degrees, (n_cells, n_samples, 1)))
    z = location[:, None, :] + student @ lower.transpose(0, 2, 1)
    log_density = (
        gammaln((degrees + latents) / 2)
        - gammaln(degrees / 2)
        - 0.5 * latents * np.log(degrees * np.pi)
        - np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)[:, None]
        - 0.5 * (degrees + latents) * np.log1p((student**2).sum(axis=-1) / degrees)
    )
    return z, cells.log_joint_of_samples(z) - log_density


def _fit_proposal(
    z: np.ndarray, log_weights: np.ndarray, covariance: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Location and covariance of the weighted samples, which the next proposal takes.

    Where a few samples carry all the weight, the weights are raised to a power below 1, so that the effective
    sample size is a tenth of the samples. The covariance is then averaged with the one before, which counts
    as one sample per latent.

    Parameters
    ----------
    z, log_weights
        What :func:`_propose` returned.
    covariance
        The covariance before, cells × latents × latents.
    """
    samples, latents = z.shape[1:]
    wanted = max(2.0, samples / 10)
    low, high = np.zeros(len(z)), np.ones(len(z))
    for _ in range(12):
        # Bisection for the largest power that leaves the effective sample size wanted.
        power = (low + high) / 2
        enough = _effective_sample_size(power[:, None] * log_weights) >= wanted
        low, high = np.where(enough, power, low), np.where(enough, high, power)
    flat = low[:, None] * log_weights
    weights = np.exp(flat - logsumexp(flat, axis=1, keepdims=True))
    location = np.einsum("ns,nsj->nj", weights, z)
    centred = z - location[:, None, :]
    fitted = (centred * weights[..., None]).transpose(0, 2, 1) @ centred
    return location, (wanted * fitted + latents * covariance) / (wanted + latents)


def _effective_sample_size(log_weights: np.ndarray) -> np.ndarray:
    """(Σ w)² / Σ w² over the last axis (Kish 1965)."""
    return np.exp(2 * logsumexp(log_weights, axis=-1) - logsumexp(2 * log_weights, axis=-1))
