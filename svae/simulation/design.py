"""The design of a screen: which perturbation acts on which latents, and which cells it was given to."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from svae.contracts.combinations import combined
from svae.words import CONTROL


@dataclass(frozen=True, eq=False)
class Design:
    """K perturbations of n cells with p latents.

    Attributes
    ----------
    names
        Names of the K perturbations.
    targets
        K × p, 1 where the perturbation acts on the latent and 0 elsewhere.
    shifts
        K × p, by how much it moves the mean of the latent.
    perturbation
        Perturbation of each cell, n places in `names`.
    """

    names: Sequence[str]
    targets: np.ndarray
    shifts: np.ndarray
    perturbation: np.ndarray

    def with_combinations(
        self, pairs: Sequence[tuple[int, int]], departures: np.ndarray, cells: int
    ) -> "Design":
        """Return the design with combinations of two of its perturbations behind the others.

        Parameters
        ----------
        pairs
            Places of the two perturbations in `names`, C pairs.
        departures
            C × p, by how much the shifts differ from the sum of those of the two, on the targets of either.
        cells
            Cells of each combination.
        """
        if not pairs:
            return self
        first, second = np.transpose(pairs)
        targets = np.maximum(self.targets[first], self.targets[second])
        shifts = self.shifts[first] + self.shifts[second] + targets * departures
        places = len(self.names) + np.arange(len(pairs))
        return Design(
            names=[*self.names, *(combined((self.names[a], self.names[b])) for a, b in pairs)],
            targets=np.vstack([self.targets, targets]),
            shifts=np.vstack([self.shifts, shifts]),
            perturbation=np.append(self.perturbation, np.repeat(places, cells)),
        )

    def with_control(self, cells: int) -> "Design":
        """Return the design with so many unperturbed cells behind the others; the same design for none."""
        if not cells:
            return self
        nothing = np.zeros((1, self.targets.shape[1]))
        return Design(
            names=[*self.names, CONTROL],
            targets=np.vstack([self.targets, nothing]),
            shifts=np.vstack([self.shifts, nothing]),
            perturbation=np.append(self.perturbation, np.full(cells, len(self.names))),
        )


def pairs_in_turn(perturbations: int, pairs: int) -> list[tuple[int, int]]:
    """Return the first so many different pairs of perturbations, each of which is in about as many of them.

    Neighbours in the circle of all come first, then next neighbours, and so on. No number is drawn, so that
    a scope can name the combinations of a screen before there is one.

    >>> pairs_in_turn(4, 6)
    [(0, 1), (1, 2), (2, 3), (0, 3), (0, 2), (1, 3)]
    """
    steps = (
        (place, (place + distance) % perturbations)
        for distance in range(1, perturbations // 2 + 1)
        for place in range(perturbations if 2 * distance < perturbations else distance)
    )
    return [(min(pair), max(pair)) for pair in islice(steps, pairs)]


def perturbation_names(count: int) -> list[str]:
    """Return ``p00``, ``p01``, …: zero-padded, so that sorted names are in order."""
    width = len(str(count - 1))
    return [f"p{k:0{width}d}" for k in range(count)]


def log_normal_libraries(mean: float, sd: float, cells: int, random: np.random.RandomState) -> np.ndarray:
    """Draw the expected counts of each cell, which are log-normal with that mean and standard deviation."""
    variance = np.log1p((sd / mean) ** 2)
    return random.lognormal(np.log(mean) - variance / 2, np.sqrt(variance), size=cells)


def bernoulli_targets(
    perturbations: int, latents: int, density: float, random: np.random.RandomState
) -> np.ndarray:
    """Let each perturbation act on each latent with probability `density`, and on one latent at least.

    Returns
    -------
    K × p, 1 on the targets.
    """
    chances = random.uniform(size=(perturbations, latents))
    least = chances.min(axis=1, keepdims=True)
    return (chances <= np.maximum(density, least)).astype(float)
