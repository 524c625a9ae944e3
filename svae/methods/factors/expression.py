"""What linear models read: standardised expression, and few pseudo-cells that stand for all cells."""

from dataclasses import dataclass
from functools import cached_property

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from svae.contracts.combinations import multi_hot
from svae.contracts.split import seen_cells

FEWEST_GENES = 10
"""A cell's size is measured on so many genes at least, or else by its library."""

ROUNDING = 1e-10
"""A direction in which cells vary less than this share of the largest variation is rounding."""


@dataclass(frozen=True)
class Standardisation:
    """Logarithms of counts over the size of the cell; each gene has mean 0 and variance 1 in training.

    The size of a cell is its median ratio to a typical cell (Anders & Huber 2010), over the genes that at
    least half of the cells of training have. A perturbation of few genes leaves the size alone. It changes
    the library, though, and so the share of every other gene: loadings on shares are not sparse. Where fewer
    than :data:`FEWEST_GENES` genes are in half of the cells, the size is the library.

    Attributes
    ----------
    typical
        Mean log(1 + count) of each gene over the cells of training.
    steady
        Whether a gene takes part in the size.
    library
        Median counts of the cells of training.
    mean, sd
        Of log(1 + count / size) of each gene over these cells; `sd` is 1 for a gene that does not vary.
    """

    typical: np.ndarray
    steady: np.ndarray
    library: float
    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def of(cls, dataset: ad.AnnData) -> "Standardisation":
        """Measure it on cells of training."""
        counts = _dense(dataset)
        typical = np.log1p(counts).mean(axis=0)
        steady = (counts > 0).mean(axis=0) >= 0.5
        library = float(np.median(counts.sum(axis=1)))
        nothing, one = np.zeros(dataset.n_vars), np.ones(dataset.n_vars)
        logs = cls(typical, steady, library, nothing, one).apply(dataset)
        sd = logs.std(axis=0)
        return cls(typical, steady, library, logs.mean(axis=0), np.where(sd > 0, sd, 1.0))

    def apply(self, dataset: ad.AnnData) -> np.ndarray:
        """Standardise cells, of training or not; cells × genes."""
        counts = _dense(dataset)
        return (np.log1p(counts / self._sizes(counts)[:, None]) - self.mean) / self.sd

    def _sizes(self, counts: np.ndarray) -> np.ndarray:
        """Size of each cell, about 1."""
        if self.steady.sum() < FEWEST_GENES:
            return counts.sum(axis=1) / self.library
        return np.exp(np.median(np.log1p(counts[:, self.steady]) - self.typical[self.steady], axis=1))


def _dense(dataset: ad.AnnData) -> np.ndarray:
    """Counts as an array, cells × genes."""
    return sparse.csr_matrix(dataset.X, dtype=float).toarray()


@dataclass(frozen=True)
class PseudoCells:
    """Few rows that stand for all cells, because their products are the same.

    A linear Gaussian model sees the expression Y (cells × genes) and the design D (cells × parts) through
    YᵀY, YᵀD and DᵀD alone. There are rows with the same products that are no more than genes and parts. So
    the time of an update does not grow with the number of cells.

    Attributes
    ----------
    count
        Number of the cells that they stand for.
    expression
        Rows × genes.
    design
        Rows × parts; stands for a 1 where the cell was given this single perturbation and a 0 elsewhere.
    ones
        One number per row; stands for a 1 in every cell.
    together
        DᵀD, parts × parts: how many cells were given both; on the diagonal, how many were given each.
    """

    count: int
    expression: np.ndarray
    design: np.ndarray
    ones: np.ndarray
    together: np.ndarray

    @cached_property
    def squares(self) -> np.ndarray:
        """Sum of the squares of each gene over all cells."""
        return (self.expression**2).sum(axis=0)

    @property
    def cells_of(self) -> np.ndarray:
        """Number of cells that were given each part, as a column."""
        return np.diag(self.together)[:, None]

    @cached_property
    def rounds(self) -> list[np.ndarray]:
        """Parts in groups, such that no cell was given two of a group: their shifts are independent."""
        rounds: list[list[int]] = []
        for part, others in enumerate(self.together > 0):
            free = [members for members in rounds if not others[members].any()]
            if free:
                free[0].append(part)
            else:
                rounds.append([part])
        return [np.array(members) for members in rounds]

    @classmethod
    def of(cls, expression: np.ndarray, design: np.ndarray) -> "PseudoCells":
        """Make them of cells × genes and cells × parts, from the eigenvectors of the products."""
        columns = np.hstack([expression, design, np.ones((len(expression), 1))])
        squares, directions = np.linalg.eigh(columns.T @ columns)
        kept = squares > ROUNDING * squares[-1]
        rows = np.sqrt(squares[kept])[:, None] * directions[:, kept].T
        n_genes = expression.shape[1]
        return cls(
            count=len(expression),
            expression=rows[:, :n_genes],
            design=rows[:, n_genes:-1],
            ones=rows[:, -1],
            together=design.T @ design,
        )


def design_of(split: pd.DataFrame) -> pd.DataFrame:
    """Which single perturbations each cell of training was given, 0 or 1; cells × parts, in sorted order.

    A cell of the control was given none: its row is 0.
    """
    labels = seen_cells(split)
    return multi_hot(labels.unique()).loc[labels.to_numpy()].set_axis(labels.index, axis=0)
