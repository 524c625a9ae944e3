"""Which genes differ between groups of cells: tests that need one pass over sparse counts."""

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from svae.expression import TARGET_SUM, memberships, sparse_log_normalised


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
        cells = dataset[dataset.obs_names.get_indexer(labels.index)]
        values = sparse_log_normalised(cells, TARGET_SUM).astype(float)
        n = np.asarray(membership.sum(axis=1)).reshape(-1, 1)
        return cls(n, (membership @ values).toarray(), (membership @ values.power(2)).toarray()), names

    def __getitem__(self, groups: np.ndarray) -> "Moments":
        return Moments(self.n[groups], self.sums[groups], self.squares[groups])

    def others(self) -> "Moments":
        """For each group, the cells of all others."""
        return Moments(
            self.n.sum() - self.n,
            self.sums.sum(axis=0) - self.sums,
            self.squares.sum(axis=0) - self.squares,
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
