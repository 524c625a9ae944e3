"""How well the best possible model could do: the log-likelihood of cells under the simulator itself.

log p(x | k) = log ∫ p(x | z) N(z; m_k, I) dz, with the true decoder and the true shift m_k, by importance
sampling (Burda et al. 2016). The proposal is a multivariate Student-t, whose tails keep the weights bounded.
It starts as the Laplace approximation of the posterior and is then fitted to its own weighted samples
(adaptive importance sampling, Cappé et al. 2008), because a posterior that runs over the kinks of a LeakyReLU
network is not quite normal. The samples that fitted the proposal are not used in the estimate, whose
expectation is therefore p(x) itself; its logarithm errs, if at all, on the low side.
"""

from dataclasses import dataclass
from typing import NamedTuple

import anndata as ad
import numpy as np
from scipy import sparse
from scipy.special import gammaln, logsumexp

from svae.errors import BenchmarkError, unknown
from svae.simulation.simulate import Generator

DEGREES_OF_FREEDOM = 5.0
"""Of the proposal. Few enough for heavy tails, many enough that little mass is wasted in 15 dimensions."""

ROUNDS = 2
"""How often the proposal is fitted to its samples, half as many as the estimate then uses."""

_MAX_STEPS = 50
_MAX_HALVINGS = 10
_MAX_DAMPING = 1e4
_TOLERANCE = 1e-6
_CHUNK = 400_000  # numbers (cells × samples × genes) held at once: 3 MB stay in a processor's cache


@dataclass(frozen=True)
class Observed:
    """What is known of some cells: counts (cells × genes), prior means (cells × latents), libraries."""

    generator: Generator
    counts: np.ndarray
    means: np.ndarray
    library: np.ndarray | None

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: np.ndarray | slice) -> "Observed":
        library = None if self.library is None else self.library[rows]
        return Observed(self.generator, self.counts[rows], self.means[rows], library)

    def log_joint(self, z: np.ndarray) -> np.ndarray:
        """Log p(x | z) + log N(z; mean, I) in nats; `z` is cells × latents."""
        rates = self.generator.log_rates(z, self.library)
        return self.generator.log_likelihood(self.counts, rates) + _log_prior(z - self.means)

    def log_joint_of_samples(self, z: np.ndarray) -> np.ndarray:
        """Log joint of samples `z` (cells × samples × latents) of each cell, cells × samples."""
        library = None if self.library is None else self.library[:, None]
        rates = self.generator.log_rates(z, library)
        likelihood = self.generator.log_likelihood(self.counts[:, None, :], rates)
        return likelihood + _log_prior(z - self.means[:, None, :])

    def derivatives(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of the log joint at `z`, and its expected negative Hessian (Fisher information + I)."""
        score, information = self.generator.score(self.counts, self.generator.log_rates(z, self.library))
        jacobian = self.generator.jacobian(z)
        gradient = np.einsum("njg,ng->nj", jacobian, score) - (z - self.means)
        precision = (jacobian * information[:, None, :]) @ jacobian.transpose(0, 2, 1)
        return gradient, precision + np.eye(z.shape[1])


class OracleScore(NamedTuple):
    """What :func:`importance_sample` returns; one row per cell.

    ``log_likelihood`` in nats, log x! included; ``effective_sample_size`` between 1 and `n_samples`;
    ``latents`` and ``modes``, mean and mode of p(z | x), cells × latents.
    """

    log_likelihood: np.ndarray
    effective_sample_size: np.ndarray
    latents: np.ndarray
    modes: np.ndarray


def score_cells(
    dataset: ad.AnnData, truth: ad.AnnData, zero_shot: bool = False, n_samples: int = 1000, seed: int = 0
) -> OracleScore:
    """Score cells of a simulated dataset under the generator that drew them.

    Parameters
    ----------
    dataset
        The cells to score, any subset of the simulated ones.
    truth
        Truth of all cells (see :func:`svae.simulation.simulate.simulate`).
    zero_shot
        Score with no shift (m = 0), as a model does before it has seen the perturbation.
    n_samples
        Importance samples per cell.
    seed
        Of the importance samples.

    Raises
    ------
    BenchmarkError
        If a cell or a perturbation is not in the truth.
    """
    rows = truth.obs_names.get_indexer(dataset.obs_names)
    if (rows < 0).any():
        cell = dataset.obs_names[rows < 0][0]
        raise unknown("cell", cell, truth.obs_names[:12], "oracle: truth")
    shifts = truth.uns["shifts"]
    labels = dataset.obs["perturbation"].astype(str)
    known = labels.isin(shifts.index)
    if not known.all():
        raise unknown("perturbation", labels[~known].iloc[0], shifts.index, "oracle: shifts of the truth")
    means = shifts.loc[labels].to_numpy(dtype=float)
    return importance_sample(
        Generator.from_dict(truth.uns["generator"]),
        dataset.X,
        np.zeros_like(means) if zero_shot else means,
        library=truth.obs["library"].to_numpy()[rows] if "library" in truth.obs else None,
        n_samples=n_samples,
        seed=seed,
    )


def importance_sample(
    generator: Generator,
    counts: np.ndarray | sparse.spmatrix,
    means: np.ndarray,
    library: np.ndarray | None = None,
    n_samples: int = 1000,
    seed: int = 0,
) -> OracleScore:
    """Importance-weighted log-likelihood of cells under z ~ N(mean, I), x ~ `generator` (Burda et al. 2016).

    Parameters
    ----------
    generator
        Decoder and likelihood.
    counts
        Cells × genes.
    means
        Prior mean of the latents of each cell, cells × latents.
    library
        Expected counts of each cell, where the generator needs them.
    n_samples
        Importance samples per cell.
    seed
        Of the importance samples.

    Raises
    ------
    BenchmarkError
        If the shapes do not fit the generator.
    """
    counts = sparse.csr_matrix(counts, dtype=float).toarray()
    means = np.asarray(means, dtype=float)
    for name, got, wanted in (
        ("counts", counts.shape, (len(means), generator.genes)),
        ("means", means.shape, (len(counts), generator.latents)),
    ):
        if got != wanted:
            raise BenchmarkError(f"oracle: {name} have shape {got}, but must have {wanted}")
    cells = Observed(generator, counts, means, library)
    random = np.random.default_rng(seed)
    size = max(1, _CHUNK // (n_samples * generator.genes))
    chunks = [slice(start, start + size) for start in range(0, len(counts), size)]
    modes, precisions = posterior_modes(cells)
    parts = [_estimate(cells[rows], modes[rows], precisions[rows], n_samples, random) for rows in chunks]
    log_likelihood, effective, latents = (np.concatenate(part) for part in zip(*parts, strict=True))
    return OracleScore(log_likelihood, effective, latents, modes)


def posterior_modes(cells: Observed) -> tuple[np.ndarray, np.ndarray]:
    """Find a mode of log p(x | z) + log N(z; mean, I), from z = mean, for all cells at once.

    Gauss–Newton steps (Newton steps for Poisson counts normalised over cells: the network is piecewise
    linear), halved until they improve. Where a kink of the network makes a step fail, damping turns the next
    one towards the gradient (Levenberg–Marquardt). The posterior may have further modes.

    Returns
    -------
    Modes, cells × latents, and precisions there (Fisher information + I), cells × latents × latents.
    """
    latents = cells.generator.latents
    size = max(1, _CHUNK // (latents * cells.generator.genes))
    chunks = [slice(start, start + size) for start in range(0, len(cells), size)]
    modes = np.concatenate([_climb(cells[rows]) for rows in chunks])
    return modes, np.concatenate([cells[rows].derivatives(modes[rows])[1] for rows in chunks])


def _climb(cells: Observed) -> np.ndarray:
    """Modes of a chunk of cells."""
    z = cells.means.copy()
    value, damping = cells.log_joint(z), np.zeros(len(z))
    running = np.arange(len(z))
    for _ in range(_MAX_STEPS):
        gradient, precision = cells[running].derivatives(z[running])
        precision += damping[running, None, None] * np.eye(z.shape[1])
        step = np.linalg.solve(precision, gradient[..., None])[..., 0]
        gain = np.einsum("nj,nj->n", gradient, step)
        waiting = np.arange(len(running))
        for halvings in range(_MAX_HALVINGS):
            length, rows = 0.5**halvings, running[waiting]
            trial = z[rows] + length * step[waiting]
            reached = cells[rows].log_joint(trial)
            # Armijo's rule: some of the gain that the gradient promises must be real.
            better = reached > value[rows] + 1e-4 * length * gain[waiting]
            z[rows[better]], value[rows[better]] = trial[better], reached[better]
            waiting = waiting[~better]
            if len(waiting) == 0:
                break
        failed = np.isin(np.arange(len(running)), waiting)
        damping[running] = np.where(failed, np.maximum(10 * damping[running], 1.0), damping[running] / 10)
        running = running[(gain > _TOLERANCE) & (damping[running] < _MAX_DAMPING)]
        if len(running) == 0:
            break
    return z


def _estimate(
    cells: Observed,
    modes: np.ndarray,
    precisions: np.ndarray,
    n_samples: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log-likelihood, effective sample size and posterior mean of a chunk of cells."""
    location, covariance = modes, np.linalg.inv(precisions)
    for _ in range(ROUNDS):
        z, log_weights = _propose(cells, location, covariance, max(1, n_samples // 2), random)
        location, covariance = _fit_proposal(z, log_weights, covariance)
    z, log_weights = _propose(cells, location, covariance, n_samples, random)
    total = logsumexp(log_weights, axis=1)
    weights = np.exp(log_weights - total[:, None])
    mean = np.einsum("ns,nsj->nj", weights, z)
    return total - np.log(n_samples), _effective_sample_size(log_weights), mean


def _propose(
    cells: Observed,
    location: np.ndarray,
    covariance: np.ndarray,
    n_samples: int,
    random: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw z (cells × samples × latents) of a Student-t, and log p(x, z) / q(z) (cells × samples)."""
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
    """Location and covariance of the weighted samples.

    Weights that rest on a few samples are flattened (raised to a power below 1) until a tenth of the samples
    count, and the covariance is shrunk towards the one before, as if that were worth one sample per latent.
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


def _log_prior(deviation: np.ndarray) -> np.ndarray:
    """Log density of N(0, I) at `deviation`, over the last axis."""
    return -0.5 * (deviation**2).sum(axis=-1) - 0.5 * deviation.shape[-1] * np.log(2 * np.pi)
