"""A random decoder network, and the counts that it draws."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from svae.errors import BenchmarkError

# scipy is imported by the functions that need it: those who only look at the parameters of a simulator
# import this module too, and should not wait for it.

SLOPE = 0.2
"""Slope of the LeakyReLU below zero."""

MATRICES = ("W1", "W2", "W3", "W4")
"""Names of the network's matrices in a truth file."""


@dataclass(frozen=True, eq=False)
class CountDecoder:
    """A network from latents to expected counts, and the distribution p(x | z) that counts are drawn from.

    Parameters
    ----------
    weights
        Four matrices, latents × hidden, hidden × hidden, hidden × hidden and hidden × genes; no bias,
        LeakyReLU after the first three.
    scale
        Standard deviation, over cells and genes, of the network's output when the data were drawn; the
        output is divided by it.
    log_normaliser
        One value per gene, subtracted from the log rate: log Σ_n exp(logit_ng) − log(depth) over the cells
        drawn. None: softmax over genes, times the library of the cell.
    dispersion
        Inverse dispersion of the negative binomial; None: Poisson.
    """

    weights: tuple[np.ndarray, ...]
    scale: float = 1.0
    log_normaliser: np.ndarray | None = None
    dispersion: float | None = None

    @classmethod
    def normalised_over_cells(
        cls, weights: tuple[np.ndarray, ...], z: np.ndarray, depth: float
    ) -> "CountDecoder":
        """Return the decoder whose rates of every gene sum to `depth` over the cells at `z`.

        Its output has standard deviation 1 there. `z` is cells × latents; counts are Poisson.
        """
        from scipy.special import logsumexp

        logits = cls(weights).logits(z)
        scale = float(np.std(logits))
        return cls(weights, scale, log_normaliser=logsumexp(logits / scale, axis=0) - np.log(depth))

    @classmethod
    def normalised_within_cells(
        cls, weights: tuple[np.ndarray, ...], z: np.ndarray, dispersion: float | None
    ) -> "CountDecoder":
        """Return the decoder whose rates sum, in every cell, to the library of the cell.

        Its output has standard deviation 1 over the cells at `z` (cells × latents) and genes.
        """
        return cls(weights, scale=float(np.std(cls(weights).logits(z))), dispersion=dispersion)

    @property
    def latents(self) -> int:
        """Number of latents."""
        return self.weights[0].shape[0]

    @property
    def genes(self) -> int:
        """Number of genes."""
        return self.weights[-1].shape[1]

    def logits(self, z: np.ndarray) -> np.ndarray:
        """Run the network on `z` (… × latents); returns … × genes with the scale divided out."""
        h = z
        for weight in self.weights[:-1]:
            h = h @ weight
            # LeakyReLU: for a slope below one, the larger of the two lines.
            np.maximum(h, SLOPE * h, out=h)
        out = h @ self.weights[-1]
        out /= self.scale
        return out

    def log_rates(self, z: np.ndarray, library: np.ndarray | None = None) -> np.ndarray:
        """Log of the expected counts.

        Parameters
        ----------
        z
            Latents, … × latents.
        library
            Expected counts of each cell, shape …; needed if, and only if, `log_normaliser` is None.

        Returns
        -------
        … × genes, natural logarithm of counts.

        Raises
        ------
        BenchmarkError
            If `library` is needed and missing.
        """
        out = self.logits(z)
        if self.log_normaliser is not None:
            out -= self.log_normaliser
            return out
        if library is None:
            raise BenchmarkError("library: this decoder normalises within a cell, so each cell needs one")
        from scipy.special import logsumexp

        out -= logsumexp(out, axis=-1, keepdims=True)
        out += np.log(library)[..., None]
        return out

    def sample(self, log_rates: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Draw integer counts of the shape of `log_rates`."""
        rates = np.exp(log_rates)
        if self.dispersion is not None:
            # A negative binomial is a Poisson whose rate is drawn from a gamma.
            rates = random.gamma(self.dispersion, rates / self.dispersion)
        return random.poisson(rates)

    def to_dict(self) -> dict[str, Any]:
        """Arrays and numbers only, so that a truth file can hold it; what is None is left out."""
        stored: dict[str, Any] = dict(zip(MATRICES, self.weights, strict=True))
        stored["scale"] = self.scale
        if self.log_normaliser is not None:
            stored["log_normaliser"] = self.log_normaliser
        if self.dispersion is not None:
            stored["dispersion"] = self.dispersion
        return stored

    @classmethod
    def restore(cls, stored: Mapping[str, Any], where: str) -> "CountDecoder":
        """Undo :meth:`to_dict`.

        Parameters
        ----------
        stored
            What :meth:`to_dict` gave; other keys are ignored.
        where
            Where it stands, for error messages.

        Raises
        ------
        BenchmarkError
            If an entry is missing, or the matrices do not fit together.
        """
        for key in (*MATRICES, "scale"):
            if key not in stored:
                raise BenchmarkError(f'{where}["{key}"] is missing')
        weights = tuple(np.asarray(stored[key], dtype=float) for key in MATRICES)
        for key, (first, second) in zip(MATRICES, pairwise(weights), strict=False):
            if first.shape[1] != len(second):
                raise BenchmarkError(
                    f'{where}["{key}"] has {first.shape[1]} outputs, but the next layer takes {len(second)}'
                )
        normaliser, dispersion = stored.get("log_normaliser"), stored.get("dispersion")
        return cls(
            weights=weights,
            scale=float(stored["scale"]),
            log_normaliser=None if normaliser is None else np.asarray(normaliser, dtype=float),
            dispersion=None if dispersion is None else float(dispersion),
        )
