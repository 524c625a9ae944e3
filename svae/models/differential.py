"""Which genes a perturbation or a latent moves, by what the model believes of the cells."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from svae.differential import DELTA, FDR, checked_fdr, drawn_weights, log2_fold_changes, table_of_genes
from svae.errors import BenchmarkError
from svae.models.module import PerturbationVAE
from svae.seeds import checked_seed, seed_from
from svae.training.cells import Cells

Draws = Iterable[tuple[str, np.ndarray]]
"""Names, and draws of log2 fold changes under each, draws × genes."""

MOST_CELLS = 2000
"""So many cells, evenly spread over those there are, tell what a latent does."""


class DifferentialMixin:
    """Bayesian differential expression (Boyeau et al. 2019, 2023) of the populations of cells.

    The latents of each cell are drawn from the encoder's posterior and decoded. The mean share of each gene
    in a population has a posterior, too, because there are only so many cells of it: its draws weight the
    cells by the Bayesian bootstrap. What the weights of the networks leave uncertain is not in it.
    """

    module: PerturbationVAE
    adata: Any
    trained_: list[str]
    control_: str
    _check_if_trained: Any
    read_cells: Any
    known_of: Any

    @torch.no_grad()
    def get_differential_genes(self, delta: float = DELTA, fdr: float = FDR, seed: int = 0) -> pd.DataFrame:
        """Which genes each trained perturbation moves, against the control.

        Parameters
        ----------
        delta
            A gene is moved if its log2 fold change is larger than this, up or down.
        fdr
            Share of the calls that is expected to be false, at most.
        seed
            Of the latents and of the weights of cells.

        Returns
        -------
        One row per perturbation and gene, the most probable ones first: ``perturbation``, ``gene``,
        ``probability`` that it is moved, the median of its ``log2_fold_change``, and whether it is
        ``called``.

        Raises
        ------
        BenchmarkError
            If the model was trained on no control cells, or an argument is out of range.
        """
        self._check_if_trained(warn=False)
        return table_of_genes(*self.get_gene_changes(delta, seed), checked_fdr(fdr, "fdr"))

    @torch.no_grad()
    def get_gene_changes(self, delta: float = DELTA, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Probability that a gene is moved and median log2 fold change, both perturbation × gene.

        Parameters and errors are those of :meth:`get_differential_genes`.
        """
        self._check_if_trained(warn=False)
        if self.control_ not in self.trained_:
            raise BenchmarkError(
                f"get_differential_genes: the model was trained on no cells of '{self.control_}', "
                "to which those of perturbations could be compared"
            )
        seed = checked_seed(seed, "get_differential_genes")
        return self._summaries(self._changes_by_perturbation(seed), "perturbation", delta)

    @torch.no_grad()
    def get_genes_of_latents(
        self, step: float = 1.0, delta: float = DELTA, fdr: float = FDR, seed: int = 0
    ) -> pd.DataFrame:
        """Which genes a latent moves: those that change if it grows by a step in every cell.

        Parameters
        ----------
        step
            In standard deviations of the prior.
        delta, fdr, seed
            As in :meth:`get_differential_genes`.

        Returns
        -------
        As that of :meth:`get_differential_genes`, with ``latent`` (z1, z2, …) for the perturbation.
        """
        changes = self.get_gene_changes_of_latents(step, delta, seed)
        return table_of_genes(*changes, checked_fdr(fdr, "fdr"))

    @torch.no_grad()
    def get_gene_changes_of_latents(
        self, step: float = 1.0, delta: float = DELTA, seed: int = 0
    ) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Probability that a gene is moved and median log2 fold change, both latent × gene.

        Parameters are those of :meth:`get_genes_of_latents`.
        """
        self._check_if_trained(warn=False)
        seed = checked_seed(seed, "get_genes_of_latents")
        return self._summaries(self._changes_by_latent(step, seed), "latent", delta)

    def _changes_by_perturbation(self, seed: int) -> Iterator[tuple[str, np.ndarray]]:
        cells, names = self.read_cells()
        known = self.known_of(names)

        def mean_shares(name: str) -> np.ndarray:
            own_seed = seed_from(seed, name)
            rows = torch.as_tensor(np.flatnonzero(names == name), device=cells.device)
            z = self._drawn_latents(cells[rows], known[rows], own_seed)
            shares = self._shares(cells[rows], known[rows], z)
            return drawn_weights(len(shares), np.random.default_rng(own_seed)) @ shares

        of_control = mean_shares(self.control_)
        for name in self.trained_:
            if name != self.control_:
                yield name, log2_fold_changes(mean_shares(name), of_control)

    def _changes_by_latent(self, step: float, seed: int) -> Iterator[tuple[str, np.ndarray]]:
        spread = np.linspace(0, self.adata.n_obs - 1, min(MOST_CELLS, self.adata.n_obs)).astype(int)
        cells, names = self.read_cells(indices=spread)
        known = self.known_of(names)
        z = self._drawn_latents(cells, known, seed)
        weights = drawn_weights(len(z), np.random.default_rng(seed))
        before = weights @ self._shares(cells, known, z)
        for place, one_step in enumerate(step * torch.eye(z.shape[1], device=z.device)):
            after = weights @ self._shares(cells, known, z + one_step)
            yield f"z{place + 1}", log2_fold_changes(after, before)

    def _drawn_latents(self, cells: Cells, known: Tensor, seed: int) -> Tensor:
        """One draw of the latents of each cell from the encoder's posterior, cells × latents.

        What is `known` of the perturbation of each cell matters to models that are told it.
        """
        self.module.eval()
        generator = torch.Generator(cells.device).manual_seed(seed)
        mean, sd = self.module.encode(cells.x, known=known)
        return mean + sd * self.module.draw_validation_noise(len(cells), generator)["z"]

    def _shares(self, cells: Cells, known: Tensor, z: Tensor) -> np.ndarray:
        """Expected share of each gene at these latents, in the batch of each cell; cells × genes."""
        return torch.softmax(self.module.decode(z, cells.batch, known), -1).cpu().numpy()

    def _summaries(self, draws: Draws, rows: str, delta: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Probability of a change larger than `delta`, and median change; one row per name × gene."""
        if not 0 <= delta < np.inf:
            raise BenchmarkError(f"delta is {delta!r}, but must be a number from 0 on")
        names, probability, median = [], [], []
        for name, changes in draws:
            names.append(name)
            probability.append(np.mean(np.abs(changes) > delta, axis=0))
            median.append(np.median(changes, axis=0))
        index, genes = pd.Index(names, name=rows), self.adata.var_names
        return pd.DataFrame(probability, index, genes), pd.DataFrame(median, index, genes)
