"""The simulator of Lopez et al. (2023), with what is unlike a screen mended."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from svae.simulation.decoder import CountDecoder
from svae.simulation.network_screen import NetworkScreen
from svae.simulation.simulator import Draw, parameter
from svae.words import CONTROL


@dataclass(frozen=True)
class Corrected(NetworkScreen):
    """The paper's simulator with libraries, control cells and different targets.

    Rates are normalised within a cell and multiplied by the cell's library, which is log-normal. The targets
    of a perturbation differ from one another. There are control cells, whose shift is 0.

    Parameters
    ----------
    control_cells
        Number of unperturbed cells.
    library_mean, library_sd
        Mean and standard deviation of the expected counts of a cell.
    dispersion
        Inverse dispersion θ of negative binomial counts (variance μ + μ²/θ); None for Poisson counts.

    The others are those of :class:`~svae.simulation.network_screen.NetworkScreen`.
    """

    citation: ClassVar[str] = "Lopez et al., CLeaR 2023"

    control_cells: int = parameter(1000, at_least=0)
    library_mean: float = parameter(4000.0, above=0)
    library_sd: float = parameter(1600.0, at_least=0)
    dispersion: float | None = parameter(None, above=0)

    def draw(self, seed: int) -> Draw:
        """Draw cells, in random order, and their truth."""
        random = np.random.RandomState(seed)
        names = self.perturbation_names()
        targets, shifts = self.draw_shifts(random, repeated_targets=False)
        perturbation = np.repeat(np.arange(self.perturbations), self.cells_per_perturbation)
        if self.control_cells:
            names = [*names, CONTROL]
            nothing = np.zeros((1, self.latents))
            targets, shifts = np.vstack([targets, nothing]), np.vstack([shifts, nothing])
            perturbation = np.append(perturbation, np.full(self.control_cells, len(names) - 1))
        z = shifts[perturbation] + random.standard_normal((len(perturbation), self.latents))
        decoder = CountDecoder.normalised_within_cells(self.draw_weights(random), z, self.dispersion)
        library = self._draw_libraries(len(z), random)
        counts = decoder.sample(decoder.log_rates(z, library), random)
        return Draw(
            names=names,
            perturbation=perturbation,
            counts=counts,
            latents=z,
            targets=targets,
            shifts=shifts,
            cell_facts={"library": library},
            for_likelihood=decoder.to_dict(),
        ).reordered(random.permutation(len(z)))

    def _draw_libraries(self, cells: int, random: np.random.RandomState) -> np.ndarray:
        """Draw the expected counts of each cell, which are log-normal."""
        variance = np.log1p((self.library_sd / self.library_mean) ** 2)
        return random.lognormal(np.log(self.library_mean) - variance / 2, np.sqrt(variance), size=cells)
