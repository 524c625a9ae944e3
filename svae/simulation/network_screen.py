"""The parts that simulators with a random decoder network share (Lopez et al. 2023, simulation experiments).

Every perturbation shifts one to three latents of a cell; a random network turns the latents into expression
rates, and the rates into counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from svae.errors import BenchmarkError
from svae.simulation.decoder import SLOPE, CountDecoder
from svae.simulation.design import perturbation_names
from svae.simulation.simulator import SimulatorWithLikelihood, parameter

if TYPE_CHECKING:
    import anndata as ad

    from svae.simulation.posterior import Posterior

MOST_COUNTS = 10**10
"""Counts are drawn in one dense array."""


@dataclass(frozen=True)
class NetworkScreen(SimulatorWithLikelihood):
    """Base of simulators with K perturbations, p latents and a decoder network.

    Perturbation k has one, two or three targets, equally likely; its shift m_k is ± Normal(5, 0.5²) on its
    targets and 0 elsewhere; z ~ Normal(m_k, I). Numbers come from numpy's legacy RandomState, whose stream is
    frozen: the same numbers in every version.

    Parameters
    ----------
    perturbations
        Number of perturbations, K.
    cells_per_perturbation
        Cells of each of them.
    latents
        Number of latents, p.
    hidden
        Units of each of the three hidden layers, p to G: only then is every layer injective, so that the
        latents can be told from the rates.
    genes
        Number of genes, G.
    shift_mean, shift_sd
        Mean and standard deviation of the size of a shift, in standard deviations of a latent.
    """

    perturbations: int = parameter(100, at_least=1, at_most=100_000)
    cells_per_perturbation: int = parameter(250, at_least=1)
    latents: int = parameter(15, at_least=1)
    hidden: int = parameter(40, at_least=1)
    genes: int = parameter(100, at_least=1)
    shift_mean: float = parameter(5.0, at_least=0)
    shift_sd: float = parameter(0.5, at_least=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        for smaller, larger in (("latents", "hidden"), ("hidden", "genes")):
            low, high = getattr(self, smaller), getattr(self, larger)
            if low > high:
                raise BenchmarkError(
                    f"simulator '{self.name()}': {smaller} ({low}) must not exceed {larger} ({high})"
                )
        if self.perturbed_cells * self.genes > MOST_COUNTS:
            raise BenchmarkError(
                f"simulator '{self.name()}': {self.perturbed_cells:,} cells (cells_per_perturbation of each) "
                f"of {self.genes:,} genes have more than {MOST_COUNTS:,} counts, which no memory holds"
            )

    @property
    def perturbed_cells(self) -> int:
        """Number of cells that are not controls."""
        return self.perturbations * self.cells_per_perturbation

    def sizes(self) -> dict[str, int]:
        """Cells of each perturbation, which has the same number of them."""
        return dict.fromkeys(perturbation_names(self.perturbations), self.cells_per_perturbation)

    def draw_shifts(
        self, random: np.random.RandomState, repeated_targets: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw targets (0 or 1) and shifts, both K × p.

        With `repeated_targets` the same latent may be drawn twice, and the perturbation then has one target
        fewer.
        """
        targets = self.draw_targets(random, repeated_targets)
        signs = np.where(random.uniform(size=targets.shape) > 0.5, 1.0, -1.0)
        sizes = random.normal(self.shift_mean, self.shift_sd, size=targets.shape)
        return targets, np.where(targets > 0, signs * sizes, 0.0)

    def draw_targets(self, random: np.random.RandomState, repeated_targets: bool) -> np.ndarray:
        """Draw one, two or three targets of each perturbation; returns K × p, 1 on the targets."""
        targets = np.zeros((self.perturbations, self.latents))
        for row in targets:
            n_targets = random.choice([1, 2, 3])
            if not repeated_targets:
                # With fewer than three latents there are no three different targets.
                n_targets = min(n_targets, self.latents)
            row[random.choice(self.latents, n_targets, replace=repeated_targets)] = 1.0
        return targets

    def draw_weights(self, random: np.random.RandomState) -> tuple[np.ndarray, ...]:
        """Draw the four matrices of the network, inputs × outputs.

        Their rows are orthonormal, times the gains of Glorot & Bengio (2010) and, for the LeakyReLU, of
        He et al. (2015).
        """
        sizes = (self.latents, self.hidden, self.hidden, self.hidden, self.genes)
        weights = []
        for fan_in, fan_out in pairwise(sizes):
            orthonormal = np.linalg.qr(random.normal(size=(fan_in, fan_out)).T)[0].T
            weights.append(orthonormal * np.sqrt(2 / (1 + SLOPE**2)) * np.sqrt(2 / (fan_in + fan_out)))
        return tuple(weights)

    @classmethod
    def log_likelihood(
        cls,
        dataset: "ad.AnnData",
        truth: "ad.AnnData",
        zero_shot: bool = False,
        n_samples: int = 1000,
        seed: int = 0,
    ) -> "Posterior":
        """Score cells by importance sampling; the posterior means of their latents come with it.

        Parameters, errors and what the truth has to hold are those of the base class.
        """
        from svae.simulation.posterior import importance_sample  # it needs torch, which takes time to load

        labels = dataset.obs["perturbation"].astype(str)
        means = truth.uns["shifts"].loc[labels].to_numpy(dtype=float)
        return importance_sample(
            CountDecoder.restore(truth.uns["likelihood"], 'the truth: uns["likelihood"]'),
            dataset.X,
            np.zeros_like(means) if zero_shot else means,
            library=truth.obs["library"].to_numpy() if "library" in truth.obs else None,
            n_samples=n_samples,
            seed=seed,
        )

    @classmethod
    def expected_counts(
        cls, truth: "ad.AnnData", perturbations: Sequence[str], n_samples: int, seed: int
    ) -> np.ndarray:
        """Average the rates at z ~ Normal(m_k, I), for cells of one and the same library.

        Parameters are those of the base class.
        """
        decoder = CountDecoder.restore(truth.uns["likelihood"], 'the truth: uns["likelihood"]')
        noise = np.random.default_rng(seed).standard_normal((n_samples, decoder.latents))
        library = np.ones(n_samples) if decoder.log_normaliser is None else None
        shifts = truth.uns["shifts"].loc[list(perturbations)].to_numpy(dtype=float)
        return np.array([np.exp(decoder.log_rates(shift + noise, library)).mean(axis=0) for shift in shifts])
