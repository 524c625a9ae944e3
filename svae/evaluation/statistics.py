"""Intervals for a mean over replicates, and paired tests of methods against a reference."""

import warnings
from typing import Literal

import numpy as np
import pandas as pd

RESAMPLES = 9999
"""Bootstrap samples, and random sign flips where not all can be listed."""


def bootstrap_interval(values: np.ndarray, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap confidence interval of the mean (bias-corrected and accelerated; Efron 1987).

    Parameters
    ----------
    values
        One per replicate; NaN are left out.
    level
        Nominal coverage. With fewer than ten replicates the true one is lower.
    seed
        Of the resampling.

    Returns
    -------
    Lower and upper bound. NaN for fewer than two values; the value itself if all are equal; by
    percentiles where the correction is undefined (two values).
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    if len(values) < 2:
        return np.nan, np.nan
    if np.ptp(values) == 0:
        return float(values[0]), float(values[0])
    if len(values) > 2:
        interval = _bootstrap(values, "BCa", level, seed)
        if np.isfinite(interval).all():
            return interval
    return _bootstrap(values, "percentile", level, seed)


def _bootstrap(
    values: np.ndarray, kind: Literal["BCa", "percentile"], level: float, seed: int
) -> tuple[float, float]:
    """Return the bootstrap interval of the mean of some kind; NaN where that kind is undefined."""
    from scipy.stats import bootstrap  # here, as below, because reports import this module

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a degenerate distribution gives NaN, which the caller answers
        low, high = bootstrap(
            (values,),
            np.mean,
            confidence_level=level,
            n_resamples=RESAMPLES,
            method=kind,
            rng=np.random.default_rng(seed),
        ).confidence_interval
    return float(low), float(high)


def compare(values: pd.DataFrame, reference: str, seed: int = 0) -> pd.DataFrame:
    """Test every method against the reference on the replicates that both have.

    The test is Fisher's sign-flip permutation of the paired differences, two-sided: exact, and without
    a normality that no one could check on five replicates. Its smallest p is 2 / 2ⁿ, so .0625 for n = 5:
    at least six replicates are needed for p < .05, and more once several methods are tested.

    Parameters
    ----------
    values
        Replicate × method, one metric; NaN where a method has no value.
    reference
        The column that the others are compared with.
    seed
        Of the random flips used beyond 13 replicates, where 2ⁿ is more than 9,999.

    Returns
    -------
    Indexed by the other methods: ``n`` pairs, mean ``difference`` (method − reference), ``p``, and
    ``p_adjusted`` (Holm 1979, over the methods of the table); NaN for fewer than two pairs, and for all if
    the reference is not in the table.
    """
    methods = values.columns.drop(reference, errors="ignore")
    of_reference = values[reference] if reference in values else pd.Series(np.nan, values.index)
    differences = values[methods].sub(of_reference, axis="index")
    p = [_sign_flip(differences[method].dropna().to_numpy(dtype=float), seed) for method in methods]
    table = pd.DataFrame({"n": differences.count(), "difference": differences.mean(), "p": p}, methods)
    table["p_adjusted"] = _holm(table["p"])
    return table.rename_axis("method")


def _holm(p: pd.Series) -> pd.Series:
    """Adjust the p that are not NaN."""
    from statsmodels.stats.multitest import multipletests

    known = p.dropna()
    if known.empty:
        return p
    return pd.Series(multipletests(known, method="holm")[1], known.index).reindex(p.index)


def _sign_flip(differences: np.ndarray, seed: int) -> float:
    """Return the two-sided p of paired differences under random signs; NaN for fewer than two."""
    from scipy.stats import permutation_test

    if len(differences) < 2:
        return np.nan
    test = permutation_test(
        (differences,),
        np.mean,
        permutation_type="samples",
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)
