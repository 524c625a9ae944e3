"""A screen that breaks, one parameter each, what sparse mechanism shift models assume."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from svae.contracts.combinations import combined
from svae.errors import BenchmarkError
from svae.seeds import seed_from
from svae.simulation.decoder import CountDecoder
from svae.simulation.design import (
    Design,
    bernoulli_targets,
    log_normal_libraries,
    pairs_in_turn,
    perturbation_names,
)
from svae.simulation.simulator import Draw, parameter
from svae.simulation.simulators.corrected import Corrected


@dataclass(frozen=True)
class Screen(Corrected):
    """The corrected simulator with one parameter for each assumption that a real screen may break.

    At their defaults the draw is that of ``corrected``, number by number. The parameters from
    `latent_correlation` on draw from generators of their own, so that draws of one seed share targets, noise,
    network and libraries. Latents follow the structural equations z_j = Σ_i W_ij z_i + m_kj + ε_j. The
    targets of perturbation k are the latents that it acts on, and its shifts are its total effect on the
    mean of z, m_k (I − W)⁻¹.

    There is a likelihood, and so a floor for models, only while z ~ Normal(m_k, I) for the label k of a cell
    and counts depend on nothing else: with the parameters from `latent_correlation` on at their defaults.

    Parameters
    ----------
    target_density
        Probability that a perturbation acts on a latent; each acts on one at least. None: one to three
        targets, as in the paper.
    block_size
        Latents come in blocks of so many. A perturbation that acts on one latent of a block acts on all of
        them, so that no design tells them apart. 1: latents on their own.
    counts_kept
        Share of the counts of each cell that are kept, as by shallower sequencing.
    combinations
        Number of combinations of two perturbations, each with as many cells as a perturbation. Their targets
        are those of either, and their shifts the sums. The pairs are the first ones of
        :func:`~svae.simulation.design.pairs_in_turn`, whatever the seed.
    interaction
        Standard deviation of what is added to the shift of a combination on each of its targets, in standard
        deviations of a latent. 0: shifts of combinations are sums.
    latent_correlation
        Correlation of each two ε_j within a cell.
    edge_weight
        Absolute value of the weights W of a directed acyclic graph between latents; signs are drawn. 0: no
        graph.
    edge_density
        Probability of an edge from an earlier latent to a later one. None: a chain, z1 → z2 → ….
    target_sd
        Standard deviation of ε_j in cells of a perturbation that acts on latent j; it is 1 in all others.
    batch_effect
        Standard deviation over genes of the difference between the log rates of two batches, which no
        method is told of.
    batch_confounding
        How much batch and perturbation go together: 0 for cells that are in either batch at random, 1 for
        perturbations whose cells are all in one of them. Control cells are in both.
    escapers
        Share of the labelled cells on which the perturbation does not act.
    wrong_labels
        Share of the labelled cells that exchange labels among themselves.

    The others are those of :class:`~svae.simulation.simulators.corrected.Corrected`.
    """

    target_density: float | None = parameter(None, above=0, at_most=1)
    block_size: int = parameter(1, at_least=1)
    counts_kept: float = parameter(1.0, above=0, at_most=1)
    combinations: int = parameter(0, at_least=0)
    interaction: float = parameter(0.0, at_least=0)
    latent_correlation: float = parameter(0.0, at_least=0, at_most=1)
    edge_weight: float = parameter(0.0, at_least=0)
    edge_density: float | None = parameter(None, above=0, at_most=1)
    target_sd: float = parameter(1.0, at_least=0)
    batch_effect: float = parameter(0.0, at_least=0)
    batch_confounding: float = parameter(0.8, at_least=0, at_most=1)
    escapers: float = parameter(0.0, at_least=0, at_most=1)
    wrong_labels: float = parameter(0.0, at_least=0, at_most=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = self.perturbations * (self.perturbations - 1) // 2
        if self.combinations > pairs:
            raise BenchmarkError(
                f"simulator '{self.name()}': combinations is {self.combinations:,}, but "
                f"{self.perturbations:,} perturbations have {pairs:,} pairs"
            )

    @property
    def perturbed_cells(self) -> int:
        """Cells of perturbations and of combinations."""
        return super().perturbed_cells + self.combinations * self.cells_per_perturbation

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Places of the two perturbations of each combination."""
        return pairs_in_turn(self.perturbations, self.combinations)

    def sizes(self) -> dict[str, int]:
        """Cells of each perturbation, of each combination, and of the control."""
        names = perturbation_names(self.perturbations)
        labels = [combined((names[first], names[second])) for first, second in self.pairs]
        return super().sizes() | dict.fromkeys(labels, self.cells_per_perturbation)

    def draw(self, seed: int) -> Draw:
        """Draw cells, in random order, and their truth."""
        random = np.random.RandomState(seed)
        design = self.draw_design(random)
        labels = design.perturbation
        labelled = labels < self.perturbations + self.combinations
        facts = dict(self._draw_defects(labels, labelled, seed))
        acting = facts.get("acting", labels)
        acts = ~facts.get("escaped", np.zeros(len(labels), dtype=bool))[:, None]

        noise = self._correlated(random.standard_normal((len(labels), self.latents)), seed)
        noise = np.where((design.targets[acting] > 0) & acts, self.target_sd * noise, noise)
        flow = self._flow(seed)
        z = (np.where(acts, design.shifts[acting], 0.0) + noise) @ flow

        decoder = CountDecoder.normalised_within_cells(self.draw_weights(random), z, self.dispersion)
        library = log_normal_libraries(self.library_mean, self.library_sd, len(z), random)
        library *= self.counts_kept
        log_rates = decoder.log_rates(z, library)
        if "batch" in facts:
            log_rates = self._in_batches(log_rates, library, facts["batch"], seed)
        return Draw(
            names=design.names,
            perturbation=labels,
            counts=decoder.sample(log_rates, random),
            latents=z,
            targets=design.targets,
            shifts=design.shifts @ flow,
            cell_facts={"library": library, **facts},
            for_likelihood=decoder.to_dict() if self.has_likelihood else {},
        ).reordered(random.permutation(len(z)))

    @property
    def has_likelihood(self) -> bool:
        """Whether z ~ Normal(m_k, I) for the label k of a cell, and counts depend on nothing else."""
        broken = (
            self.latent_correlation,
            self.edge_weight,
            self.target_sd - 1.0,
            self.batch_effect,
            self.escapers,
            self.wrong_labels,
        )
        return not any(broken)

    def draw_perturbations(self, random: np.random.RandomState) -> Design:
        """Draw targets and shifts, and give each perturbation and each combination its cells."""
        alone = super().draw_perturbations(random)
        departures = self.interaction * random.standard_normal((self.combinations, self.latents))
        return alone.with_combinations(self.pairs, departures, self.cells_per_perturbation)

    def draw_targets(self, random: np.random.RandomState, repeated_targets: bool) -> np.ndarray:
        """Draw the targets of each perturbation, in whole blocks; returns K × p, 1 on the targets."""
        if self.target_density is None:
            targets = super().draw_targets(random, repeated_targets)
        else:
            targets = bernoulli_targets(self.perturbations, self.latents, self.target_density, random)
        blocks = np.arange(self.latents) // self.block_size
        of_block = blocks[:, None] == blocks
        return (targets @ of_block > 0).astype(float)

    def _draw_defects(
        self, labels: np.ndarray, labelled: np.ndarray, seed: int
    ) -> Iterator[tuple[str, np.ndarray]]:
        """Yield what is wrong with the cells, by name: n values each, and nothing that is not asked for.

        These are ``acting``, the perturbation that acts on the cell where that is not its label, ``escaped``
        and ``batch``.
        """
        if self.wrong_labels:
            random = _generator(seed, "wrong_labels")
            wrong = np.flatnonzero(labelled & (random.uniform(size=len(labels)) < self.wrong_labels))
            acting = labels.copy()
            acting[wrong] = labels[random.permutation(wrong)]
            yield "acting", acting
        if self.escapers:
            random = _generator(seed, "escapers")
            yield "escaped", labelled & (random.uniform(size=len(labels)) < self.escapers)
        if self.batch_effect:
            random = _generator(seed, "batch")
            sides = random.choice([-1.0, 1.0], size=self.perturbations + self.combinations + 1)
            sides[-1] = 0.0  # the control
            chance = 0.5 + 0.5 * self.batch_confounding * sides[labels]
            yield "batch", (random.uniform(size=len(labels)) < chance).astype(int)

    def _correlated(self, noise: np.ndarray, seed: int) -> np.ndarray:
        """Make each two columns of independent noise (n × p) correlated; variances stay 1."""
        if not self.latent_correlation:
            return noise
        common = _generator(seed, "latent_correlation").standard_normal((len(noise), 1))
        return np.sqrt(1 - self.latent_correlation) * noise + np.sqrt(self.latent_correlation) * common

    def _flow(self, seed: int) -> np.ndarray:
        """Return (I − W)⁻¹, p × p: what reaches each latent (column) of a change of another one (row)."""
        random = _generator(seed, "graph")
        shape = (self.latents, self.latents)
        signs = random.choice([-1.0, 1.0], size=shape)
        if self.edge_density is None:
            edges = np.eye(*shape, k=1)
        else:
            edges = np.triu(random.uniform(size=shape) < self.edge_density, k=1)
        return np.linalg.inv(np.eye(*shape) - self.edge_weight * signs * edges)

    def _in_batches(
        self, log_rates: np.ndarray, library: np.ndarray, batch: np.ndarray, seed: int
    ) -> np.ndarray:
        """Shift the log rates (n × G) of batch 1, gene by gene; the rates still sum to the library."""
        of_gene = self.batch_effect * _generator(seed, "batch_genes").standard_normal(log_rates.shape[1])
        rates = np.exp(log_rates + batch[:, None] * of_gene)
        return np.log(rates * (library / rates.sum(axis=1))[:, None])


def _generator(seed: int, purpose: str) -> np.random.RandomState:
    """Return the random numbers of one purpose, which leave those of the draw as they are."""
    return np.random.RandomState(seed_from(seed, purpose))
