"""Which genes differ between groups of cells: by tests of their counts, or by what a model believes of them.

The tests need one pass over sparse counts. A model says how probable it is that a gene is *moved*: that its
log2 fold change is larger than :data:`DELTA`, up or down. Which genes are then called, and how many of these
calls are expected to be false, follows from the probabilities (Boyeau et al. 2019, 2023).
"""

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from svae.errors import BenchmarkError
from svae.expression import TARGET_SUM, memberships, sparse_log_normalised

DELTA = 0.25
"""A gene is moved if its log2 fold change is larger than this, up or down; the default of scvi-tools."""

FDR = 0.05
"""Share of the calls that may be false, if nothing else is asked for."""

PSEUDOCOUNT = 1 / TARGET_SUM
"""Added to shares before their logarithm, so that genes without counts do not change without end."""

BLOCK = 50_000
"""Cells that are normalised at once, to spare memory."""

DRAWS = 1000
"""Draws of mean shares, so that probabilities are known to the third decimal."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Of groups of log-normalised cells: number (groups × 1), sum and sum of squares (groups × genes)."""

    n: np.ndarray
    sums: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, dataset: ad.AnnData, labels: pd.Series) -> tuple["Moments", pd.Index]:
        """Sum up the cells of each group; the names of the groups, sorted, are the second result."""
        membership, names = memberships(labels)
        rows = dataset.obs_names.get_indexer(labels.index)
        sums, squares = np.zeros((2, len(names), dataset.n_vars))
        for start in range(0, len(rows), BLOCK):
            block = slice(start, start + BLOCK)
            values = sparse_log_normalised(dataset[rows[block]], TARGET_SUM).astype(float)
            sums += (membership[:, block] @ values).toarray()
            squares += (membership[:, block] @ values.power(2)).toarray()
        return cls(np.asarray(membership.sum(axis=1)).reshape(-1, 1), sums, squares), names

    def __getitem__(self, groups: np.ndarray) -> "Moments":
        return Moments(self.n[groups], self.sums[groups], self.squares[groups])

    def others(self, groups: np.ndarray) -> "Moments":
        """For each of some `groups`, the cells of all other groups."""
        return Moments(
            self.n.sum() - self.n[groups],
            self.sums.sum(axis=0) - self.sums[groups],
            self.squares.sum(axis=0) - self.squares[groups],
        )

    @property
    def mean(self) -> np.ndarray:
        """Mean of each group, groups × genes."""
        return self.sums / self.n

    @property
    def variance(self) -> np.ndarray:
        """Unbiased; NaN of a single cell, and never below 0 by rounding."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.maximum(self.squares - self.n * self.mean**2, 0) / (self.n - 1)


def welch_p(groups: Moments, control: Moments) -> np.ndarray:
    """P of the test of Welch (1947) of each group against one, groups × genes; 1 where nothing varies."""
    from scipy.stats import t

    of_groups, of_control = groups.variance / groups.n, control.variance / control.n
    error = of_groups + of_control
    with np.errstate(invalid="ignore", divide="ignore"):
        statistic = (groups.mean - control.mean) / np.sqrt(error)
        freedom = error**2 / (of_groups**2 / (groups.n - 1) + of_control**2 / (control.n - 1))
        p = 2 * t.sf(np.abs(statistic), freedom)
    return np.where(np.isnan(p), 1.0, p)


def adjusted(p: np.ndarray) -> np.ndarray:
    """Adjust the p of each row by the rule of Benjamini & Hochberg (1995)."""
    from statsmodels.stats.multitest import multipletests

    return np.array([multipletests(row, method="fdr_bh")[1] for row in p]).reshape(p.shape)


def log2_fold_changes(shares: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Return the log2 of shares over those of the control, :data:`PSEUDOCOUNT` added to both.

    Parameters
    ----------
    shares, control
        Shares of genes in the counts, … × genes.
    """
    return np.log2((shares + PSEUDOCOUNT) / (control + PSEUDOCOUNT))


def drawn_weights(n_cells: int, random: np.random.Generator) -> np.ndarray:
    """Weights of cells by the Bayesian bootstrap (Rubin 1981), :data:`DRAWS` × cells; each row sums to 1.

    Means with these weights are draws from the posterior of the mean of the population, with nothing assumed
    of the cells but that they are drawn from it alike.
    """
    weights = random.standard_exponential((DRAWS, n_cells), dtype=np.float32)
    return weights / weights.sum(axis=1, keepdims=True)


def called(probability: pd.DataFrame, fdr: float = FDR) -> pd.DataFrame:
    """Call genes moved, as many in each row as keep the expected share of false calls within `fdr`.

    The expected share of false calls among k genes is the mean of 1 − probability over them. Genes are called
    in the order of their probabilities, while that mean is at most `fdr` (Newton et al. 2004). Beside genes
    that are surely moved there is room for some that are hardly probable. scvi-tools calls the same genes.

    Parameters
    ----------
    probability
        Posterior probability that a gene is moved, perturbation × gene.
    fdr
        Nominal false-discovery rate.

    Returns
    -------
    Perturbation × gene, boolean.
    """
    doubt = 1 - probability.to_numpy(dtype=float)
    order = np.argsort(doubt, axis=1, kind="stable")
    expected = np.take_along_axis(doubt, order, axis=1).cumsum(axis=1) / np.arange(1, doubt.shape[1] + 1)
    calls = np.zeros(doubt.shape, dtype=bool)
    np.put_along_axis(calls, order, expected <= fdr, axis=1)
    return pd.DataFrame(calls, probability.index, probability.columns)


def checked_fdr(fdr: float, where: str) -> float:
    """Return a nominal false-discovery rate that a user gave.

    Parameters
    ----------
    fdr
        A number between 0 and 1.
    where
        Name of the argument, for the error message.

    Raises
    ------
    BenchmarkError
        If it is something else.
    """
    if not 0 < fdr < 1:
        raise BenchmarkError(f"{where} is {fdr!r}, but must be between 0 and 1")
    return fdr


def table_of_genes(probability: pd.DataFrame, change: pd.DataFrame, fdr: float = FDR) -> pd.DataFrame:
    """Set probabilities and changes as one table, the most probable genes of each perturbation first.

    Parameters
    ----------
    probability
        Posterior probability that a gene is moved, perturbation × gene.
    change
        Median of its log2 fold change, of the same shape.
    fdr
        Nominal false-discovery rate of the calls.

    Returns
    -------
    One row per perturbation and gene: ``perturbation``, ``gene``, ``probability``, ``log2_fold_change``,
    ``called``.
    """
    columns = {"probability": probability, "log2_fold_change": change, "called": called(probability, fdr)}
    values = {name: table.to_numpy().ravel() for name, table in columns.items()}
    keys = {
        probability.index.name or "perturbation": np.repeat(probability.index, probability.shape[1]),
        "gene": np.tile(probability.columns, len(probability)),
    }
    table = pd.DataFrame(keys | values)
    first = table.columns[0]
    return table.sort_values(
        [first, "probability"], ascending=[True, False], kind="stable", ignore_index=True
    )
