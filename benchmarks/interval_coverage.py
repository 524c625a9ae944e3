"""Measure how often 95 % intervals of a mean hold the true one: Student's t and two bootstraps.

What is averaged is a paired difference between two methods, of which there are few. The differences are
normal, or shifted gamma, and so skewed: a skewness up to .5 counts as slight, up to 1 as moderate (Bulmer
1979, Principles of Statistics), and 2 is that of an exponential distribution. Writes one row per interval,
number of replicates and skewness: interval, n, skewness, coverage, error (its Monte-Carlo standard error),
draws.
"""

import argparse
from collections.abc import Callable
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import bootstrap

from svae.evaluation.statistics import LEVEL, t_interval
from svae.files import write_table

REPLICATES = (5, 10, 20)
SKEWNESS = (0, 0.5, 1, 2)
RESAMPLES = 999
BATCH = 50  # resamples at once, so that memory stays below a gigabyte

Bounds = tuple[np.ndarray, np.ndarray]


def differences(skewness: float, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw differences of mean 0: normal without skewness, else from a gamma distribution."""
    if skewness == 0:
        return rng.normal(size=shape)
    form = (2 / skewness) ** 2
    return rng.gamma(form, size=shape) - form


def bca(values: np.ndarray) -> Bounds:
    """Bias-corrected and accelerated bootstrap (Efron 1987)."""
    return _bootstrap(values, "BCa")


def percentile(values: np.ndarray) -> Bounds:
    """Percentile bootstrap (Efron 1979)."""
    return _bootstrap(values, "percentile")


def _bootstrap(values: np.ndarray, method: str) -> Bounds:
    interval = bootstrap(
        (values,),
        np.mean,
        axis=-1,
        confidence_level=LEVEL,
        n_resamples=RESAMPLES,
        batch=BATCH,
        method=method,
        rng=np.random.default_rng(0),
    ).confidence_interval
    return interval.low, interval.high


INTERVALS: dict[str, Callable[[np.ndarray], Bounds]] = {
    "t": t_interval,
    "BCa": bca,
    "percentile": percentile,
}


def coverage(interval: str, n: int, skewness: float, draws: int) -> dict[str, object]:
    """Share of the draws whose interval holds the true mean, 0."""
    values = differences(skewness, (draws, n), np.random.default_rng(0))
    low, high = INTERVALS[interval](values)
    share = float(np.mean((low <= 0) & (high >= 0)))
    error = np.sqrt(share * (1 - share) / draws)
    return {
        "interval": interval,
        "n": n,
        "skewness": skewness,
        "coverage": share,
        "error": error,
        "draws": draws,
    }


def main() -> None:
    """Measure every interval, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--draws", type=int, default=20_000, help="simulated sets of replicates")
    chosen = parser.parse_args()
    rows = [
        coverage(interval, n, skewness, chosen.draws)
        for interval, n, skewness in product(INTERVALS, REPLICATES, SKEWNESS)
    ]
    write_table(pd.DataFrame(rows).round(4), chosen.output)


if __name__ == "__main__":
    main()
