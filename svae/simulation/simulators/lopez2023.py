"""The simulator of Lopez et al. (2023), as the code released with the paper draws it, number by number."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from svae.simulation.decoder import CountDecoder
from svae.simulation.design import perturbation_names
from svae.simulation.network_screen import NetworkScreen
from svae.simulation.simulator import Draw, parameter


@dataclass(frozen=True)
class Lopez2023(NetworkScreen):
    """The paper's simulator: rates are normalised over cells, and there are no control cells.

    x_g ~ Poisson(rate_g(z)), and the rates of each gene sum to `depth`. So the depth of a cell falls as cells
    are added, which no screen does. Targets are drawn with replacement.

    Parameters
    ----------
    depth
        Expected counts of each gene, summed over all cells.

    The others are those of :class:`~svae.simulation.network_screen.NetworkScreen`.
    """

    citation: ClassVar[str] = "Lopez et al., CLeaR 2023"

    depth: float = parameter(1e6, above=0, at_most=1e12)

    def draw(self, seed: int) -> Draw:
        """Draw cells, in random order, and their truth."""
        random = np.random.RandomState(seed)
        targets, shifts = self.draw_shifts(random, repeated_targets=True)
        perturbation = np.repeat(np.arange(self.perturbations), self.cells_per_perturbation)
        z = shifts[perturbation] + random.standard_normal((len(perturbation), self.latents))
        decoder = CountDecoder.normalised_over_cells(self.draw_weights(random), z, self.depth)
        counts = decoder.sample(decoder.log_rates(z), random)
        return Draw(
            names=perturbation_names(self.perturbations),
            perturbation=perturbation,
            counts=counts,
            latents=z,
            targets=targets,
            shifts=shifts,
            for_likelihood=decoder.to_dict(),
        ).reordered(random.permutation(len(z)))
