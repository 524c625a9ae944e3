"""Log joint density of the counts and the latents of cells, under the decoder that drew them."""

from dataclasses import dataclass

import numpy as np

from svae.simulation.decoder import CountDecoder

CHUNK = 400_000
"""Numbers that one array over cells × samples × genes holds at most: 3 MB, about a processor's cache."""


@dataclass(frozen=True)
class ObservedCells:
    """What is known of some cells; an index or a slice selects some of them.

    Parameters
    ----------
    decoder
        The decoder that drew the counts.
    counts
        Cells × genes.
    means
        Prior means of the latents, cells × latents; the prior is N(mean, I).
    library
        Expected counts of each cell, where the decoder needs them.
    """

    decoder: CountDecoder
    counts: np.ndarray
    means: np.ndarray
    library: np.ndarray | None

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, rows: np.ndarray | slice) -> "ObservedCells":
        library = None if self.library is None else self.library[rows]
        return ObservedCells(self.decoder, self.counts[rows], self.means[rows], library)

    def chunks(self, samples: int) -> list[slice]:
        """Slices of the cells, so small that arrays over cells × `samples` × genes hold few numbers."""
        size = max(1, CHUNK // (samples * self.decoder.genes))
        return [slice(start, start + size) for start in range(0, len(self), size)]

    def log_joint(self, z: np.ndarray) -> np.ndarray:
        """Log p(x | z) + log N(z; mean, I) in nats; `z` is cells × latents."""
        rates = self.decoder.log_rates(z, self.library)
        return self.decoder.log_likelihood(self.counts, rates) + _log_prior(z - self.means)

    def log_joint_of_samples(self, z: np.ndarray) -> np.ndarray:
        """Log joint of samples `z` (cells × samples × latents) of each cell, cells × samples."""
        library = None if self.library is None else self.library[:, None]
        rates = self.decoder.log_rates(z, library)
        likelihood = self.decoder.log_likelihood(self.counts[:, None, :], rates)
        return likelihood + _log_prior(z - self.means[:, None, :])

    def derivatives(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Gradient of the log joint at `z` (cells × latents), and its expected negative Hessian.

        The latter is Fisher information + I, cells × latents × latents.
        """
        score, information = self.decoder.score(self.counts, self.decoder.log_rates(z, self.library))
        jacobian = self.decoder.jacobian(z)
        gradient = np.einsum("njg,ng->nj", jacobian, score) - (z - self.means)
        precision = (jacobian * information[:, None, :]) @ jacobian.transpose(0, 2, 1)
        return gradient, precision + np.eye(z.shape[1])


def _log_prior(deviation: np.ndarray) -> np.ndarray:
    """Log density of N(0, I) at `deviation`, over the last axis."""
    return -0.5 * (deviation**2).sum(axis=-1) - 0.5 * deviation.shape[-1] * np.log(2 * np.pi)
