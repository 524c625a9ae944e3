"""Means over replicates, paired differences to a reference, and what their intervals allow to say."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from svae.words import Verdict

LEVEL = 0.95
"""Nominal coverage of every interval."""

SIGNIFICANCE = 1 - LEVEL
"""A p below this goes with an interval that leaves out zero."""

ENOUGH = 5
"""Replicates that an interval should rest on: with fewer it is wide, and leans on the normal distribution."""


class Moments(NamedTuple):
    """Of the values along the last axis, NaN left out: their number, their mean and its standard error.

    The number of weighted values is that of values of equal weight that they are worth (Kish 1965).
    """

    n: np.ndarray
    mean: np.ndarray
    error: np.ndarray


def t_interval(
    values: np.ndarray, level: float = LEVEL, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Student's t-interval of a mean (Student 1908).

    Parameters
    ----------
    values
        Independent replicates along the last axis; NaN are left out.
    level
        Nominal coverage. The true one is measured in ``benchmarks/interval_coverage.py``.
    weights
        How much each value counts, at least 0; all alike by default.

    Returns
    -------
    Lower and upper bounds, of the shape of `values` without its last axis; NaN for fewer than two values.
    """
    from scipy.stats import t  # here, as below, because reports import this module

    n, mean, error = _moments(values, weights)
    half = t.ppf((1 + level) / 2, n - 1) * error
    return mean - half, mean + half


def _moments(values: np.ndarray, weights: np.ndarray | None = None) -> Moments:
    values = np.asarray(values, dtype=float)
    known = ~np.isnan(values)
    if weights is None:
        weights = np.ones(values.shape[-1])
    share = np.where(known, weights, 0.0)
    total = share.sum(axis=-1)
    with np.errstate(invalid="ignore", divide="ignore"):  # fewer than two values give NaN
        n = total**2 / (share**2).sum(axis=-1)
        mean = np.where(known, share * values, 0).sum(axis=-1) / total
        squares = np.where(known, share * (values - mean[..., None]), 0) ** 2
        error = np.sqrt(squares.sum(axis=-1) * n / (n - 1)) / total
    return Moments(np.nan_to_num(n), mean, error)


def adjusted_means(values: pd.DataFrame) -> pd.Series:
    """Means of methods as they would be if each had a value of every unit.

    Units differ in how hard they are, so the mean of a method that lacks some of them is not comparable. A
    value is taken for the sum of an effect of the unit and one of the method, and both are estimated by least
    squares (Searle, Speed & Milliken 1980).

    Parameters
    ----------
    values
        Unit × method, one metric; NaN where a method has no value. Rows of equal index are repetitions of one
        unit, and are averaged first.

    Returns
    -------
    By method; the plain means if no value is missing, and NaN for a method without any.
    """
    once = values.groupby(level=0).mean().astype(float)
    means = once.mean()
    once = once.dropna(axis="columns", how="all").dropna(how="all")
    if once.notna().all(axis=None):
        return means
    unit, method = np.nonzero(once.notna().to_numpy())
    design = np.hstack([np.eye(len(once))[unit], np.eye(once.shape[1])[method]])
    effects = np.linalg.lstsq(design, once.to_numpy()[unit, method])[0]
    of_units, of_methods = effects[: len(once)], effects[len(once) :]
    return pd.Series(of_units.mean() + of_methods, once.columns).reindex(values.columns)


def compare(values: pd.DataFrame, reference: str, weights: pd.Series | None = None) -> pd.DataFrame:
    """Compare every method with the reference on the units of replication that both have.

    Interval and test are the two readings of one statistic, the t of the paired differences (Student 1908):
    p < .05 exactly where the 95 % interval leaves out zero, so they cannot contradict each other. Both take
    the differences for normal; ``benchmarks/interval_coverage.py`` measures what it costs if they are skewed.
    The sign-flip permutation test does without that assumption, but its smallest p is 2 / 2ⁿ, .0625 for five
    replicates: it would call no difference significant, however clear the interval.

    Parameters
    ----------
    values
        Unit × method, one metric; NaN where a method has no value. Rows of equal index are repetitions of one
        unit: their differences are averaged first.
    reference
        The column that the others are compared with.
    weights
        How much each unit counts, at least 0, indexed by unit, with repetitions or without; NaN like 0. All
        alike by default.

    Returns
    -------
    Indexed by the other methods: ``n`` pairs (if they are weighted, of how many of equal weight they are
    worth), mean ``difference`` (method − reference), its 95 % interval
    ``low`` to ``high``, ``p`` (two-sided), and ``p_adjusted`` (Holm 1979, over the methods of the table).
    Interval and p are NaN for fewer than two pairs, and all is NaN if the reference is not in the table.
    """
    methods = values.columns.drop(reference, errors="ignore")
    of_reference = values[reference] if reference in values else np.full(len(values), np.nan)
    by_unit = values[methods].sub(np.asarray(of_reference), axis="index").groupby(level=0).mean()
    differences = by_unit.to_numpy().T
    counts = None
    if weights is not None:
        counts = weights.groupby(level=0).mean().reindex(by_unit.index).fillna(0).to_numpy()
    low, high = t_interval(differences, weights=counts)
    n, mean, _ = moments = _moments(differences, counts)
    n = n.astype(int) if weights is None else n
    table = pd.DataFrame({"n": n, "difference": mean, "low": low, "high": high}, methods)
    table["p"] = _t_test(moments)
    table["p_adjusted"] = holm(table["p"])
    return table.rename_axis("method")


def _t_test(differences: Moments) -> np.ndarray:
    """Two-sided p of the paired differences; 1 where all are zero, NaN for fewer than two."""
    from scipy.stats import t

    n, mean, error = differences
    with np.errstate(invalid="ignore", divide="ignore"):
        p = 2 * t.sf(np.abs(mean / error), n - 1)
    return np.where((mean == 0) & (error == 0), 1.0, p)


def holm(p: pd.Series) -> pd.Series:
    """Adjust the p of one family for their number (Holm 1979); NaN stay, and do not count.

    Not by statsmodels, which collects all garbage at every call: that was half the time of a ranking.
    """
    known = p.dropna().sort_values()
    factors = np.arange(len(known), 0, -1)
    return (known * factors).cummax().clip(upper=1).reindex(p.index)


def verdict(low: float, high: float, margin: float, p_adjusted: float = np.nan) -> Verdict:
    """Say what the interval of a paired difference allows.

    An interval that leaves out zero is a difference. One that lies within the margin is an equivalence: two
    one-sided tests (Schuirmann 1987) reject that the difference is as large as the margin, at 2.5 % each,
    which is stricter than the customary 5 % but takes the same interval as everything else.

    Parameters
    ----------
    low, high
        The 95 % interval; NaN where there is none.
    margin
        Size below which a difference does not matter; NaN if the metric states none, and then nothing is
        equivalent.
    p_adjusted
        Adjusted p of the difference, where several were tested. The interval speaks of one pair alone.

    Returns
    -------
    ``differs`` (also after adjustment), ``differs before correction`` (not after it), ``differs by less than
    the margin``, ``equal within the margin`` (and zero is in the interval), or ``not decided``.
    """
    apart = low > 0 or high < 0
    if -margin < low and high < margin:
        return "differs by less than the margin" if apart else "equal within the margin"
    if not apart:
        return "not decided"
    return "differs before correction" if p_adjusted >= SIGNIFICANCE else "differs"
