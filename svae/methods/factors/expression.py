"""What linear models read: standardised expression, and few pseudo-cells that stand for all cells."""

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from svae.contracts.split import seen_cells, trained_perturbations

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

    A linear Gaussian model sees the expression Y (cells × genes) and the design D (cells × perturbations)
    through YᵀY, YᵀD and DᵀD alone. There are rows with the same products that are no more than genes and
    perturbations. So the time of an update does not grow with the number of cells.

    Attributes
    ----------
    count
        Number of the cells that they stand for.
    expression
        Rows × genes.
    design
        Rows × perturbations; stands for a 1 where the cell has the perturbation and a 0 elsewhere.
    ones
        One number per row; stands for a 1 in every cell.
    cells_of
        Number of cells of each perturbation.
    """

    count: int
    expression: np.ndarray
    design: np.ndarray
    ones: np.ndarray
    cells_of: np.ndarray

    @classmethod
    def of(cls, expression: np.ndarray, design: np.ndarray) -> "PseudoCells":
        """Make them of cells × genes and cells × perturbations, from the eigenvectors of the products."""
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
            cells_of=design.sum(axis=0),
        )


def design_of(split: pd.DataFrame) -> pd.DataFrame:
    """Which trained perturbation each cell of training has, 0 or 1; cells × perturbations, in sorted order.

    A cell of the control has none: its row is 0.
    """
    labels = seen_cells(split)
    names = trained_perturbations(split).sort_values().rename("perturbation")
    present = labels.to_numpy()[:, None] == names.to_numpy()
    return pd.DataFrame(present.astype(float), index=labels.index, columns=names)
