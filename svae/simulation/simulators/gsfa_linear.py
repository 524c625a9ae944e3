"""The linear simulator of GSFA: programmes of few genes, and perturbations that shift few programmes."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from svae.simulation.design import Design, bernoulli_targets, perturbation_names
from svae.simulation.simulator import Draw, Simulator, parameter


@dataclass(frozen=True)
class GsfaLinear(Simulator):
    """Log rates are linear in the latents, by loadings that are mostly 0.

    z ~ Normal(m_k, I); y_g = Σ_j z_j W_jg + Normal(0, noise_sd²), where W_jg is 0 for most genes g;
    x_g ~ Poisson(ℓ · exp(y_g)) with a depth ℓ that differs between cells. This is the count simulation of
    GSFA (Zhou et al. 2023; R/simulate.R of their package) with one perturbation per cell. Linear factor
    models assume just this. There is no likelihood, because y has noise of its own.

    Parameters
    ----------
    perturbations, cells_per_perturbation, control_cells, latents, genes
        Sizes of the screen.
    target_density
        Probability that a perturbation shifts a latent; each shifts one at least.
    shift_low, shift_high
        Range of the size of a shift, in standard deviations of a latent; all sizes are equally likely, and
        signs are drawn.
    loading_density
        Probability that a latent has a loading on a gene.
    loading_sd
        Standard deviation of the loadings that are not 0.
    noise_sd
        Standard deviation of the noise in the log rate of a gene.
    depth, depth_sd
        Mean and standard deviation over cells of the expected counts of a gene at y = 0; the depth is normal,
        and at least a hundredth of its mean.
    """

    citation: ClassVar[str] = "Zhou et al., Nat Methods 20:1693 (2023)"

    perturbations: int = parameter(20, at_least=1)
    cells_per_perturbation: int = parameter(100, at_least=1)
    control_cells: int = parameter(500, at_least=0)
    latents: int = parameter(5, at_least=1)
    genes: int = parameter(200, at_least=1)
    target_density: float = parameter(0.2, above=0, at_most=1)
    shift_low: float = parameter(0.1, at_least=0)
    shift_high: float = parameter(0.6, at_least=0)
    loading_density: float = parameter(0.1, above=0, at_most=1)
    loading_sd: float = parameter(0.7, above=0)
    noise_sd: float = parameter(1.0, at_least=0)
    depth: float = parameter(1.0, above=0)
    depth_sd: float = parameter(0.2, at_least=0)

    def draw(self, seed: int) -> Draw:
        """Draw cells, in random order, and their truth."""
        random = np.random.RandomState(seed)
        design = self._draw_design(random)
        means = design.shifts[design.perturbation]
        z = means + random.standard_normal(means.shape)
        has_loading = random.uniform(size=(self.latents, self.genes)) < self.loading_density
        loadings = has_loading * random.normal(0, self.loading_sd, size=has_loading.shape)
        y = z @ loadings
        y += random.normal(0, self.noise_sd, size=y.shape)
        depth = np.maximum(random.normal(self.depth, self.depth_sd, size=len(z)), 0.01 * self.depth)
        return Draw(
            names=design.names,
            perturbation=design.perturbation,
            counts=random.poisson(depth[:, None] * np.exp(y)),
            latents=z,
            targets=design.targets,
            shifts=design.shifts,
            cell_facts={"depth": depth},
        ).reordered(random.permutation(len(z)))

    def _draw_design(self, random: np.random.RandomState) -> Design:
        """Draw targets and shifts, and give each perturbation its cells."""
        targets = bernoulli_targets(self.perturbations, self.latents, self.target_density, random)
        sizes = random.uniform(self.shift_low, self.shift_high, size=targets.shape)
        signs = random.choice([-1.0, 1.0], size=targets.shape)
        return Design(
            names=perturbation_names(self.perturbations),
            targets=targets,
            shifts=targets * signs * sizes,
            perturbation=np.repeat(np.arange(self.perturbations), self.cells_per_perturbation),
        ).with_control(self.control_cells)
