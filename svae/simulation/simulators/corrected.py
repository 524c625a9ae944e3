"""The simulator of Lopez et al. (2023), with what is unlike a screen mended."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from svae.simulation.decoder import CountDecoder
from svae.simulation.design import Design, log_normal_libraries, perturbation_names
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
    library_mean: float = parameter(4000.0, above=0, at_most=1e9)
    library_sd: float = parameter(1600.0, at_least=0, at_most=1e9)
    dispersion: float | None = parameter(None, above=0)

    def sizes(self) -> dict[str, int]:
        """Cells of each perturbation, and of the control."""
        return super().sizes() | ({CONTROL: self.control_cells} if self.control_cells else {})

    def draw(self, seed: int) -> Draw:
        """Draw cells, in random order, and their truth."""
        random = np.random.RandomState(seed)
        design = self.draw_design(random)
        means = design.shifts[design.perturbation]
        z = means + random.standard_normal(means.shape)
        decoder = CountDecoder.normalised_within_cells(self.draw_weights(random), z, self.dispersion)
        library = log_normal_libraries(self.library_mean, self.library_sd, len(z), random)
        counts = decoder.sample(decoder.log_rates(z, library), random)
        return Draw(
            names=design.names,
            perturbation=design.perturbation,
            counts=counts,
            latents=z,
            targets=design.targets,
            shifts=design.shifts,
            cell_facts={"library": library},
            for_likelihood=decoder.to_dict(),
        ).reordered(random.permutation(len(z)))

    def draw_design(self, random: np.random.RandomState) -> Design:
        """Draw targets and shifts, and give each perturbation and the control their cells."""
        return self.draw_perturbations(random).with_control(self.control_cells)

    def draw_perturbations(self, random: np.random.RandomState) -> Design:
        """Draw targets and shifts, and give each perturbation its cells."""
        targets, shifts = self.draw_shifts(random, repeated_targets=False)
        return Design(
            names=perturbation_names(self.perturbations),
            targets=targets,
            shifts=shifts,
            perturbation=np.repeat(np.arange(self.perturbations), self.cells_per_perturbation),
        )
