"""How the pages of the report write numbers."""

import pandas as pd

DASH = "—"
"""Stands where there is no number."""
DIFFERENCE_DECIMALS = 2
"""Differences have at least so many decimals: they are smaller than what they are differences of."""


def number(value: float, decimals: int) -> str:
    """Write a number with so many decimals; a dash if it is NaN."""
    return DASH if pd.isna(value) else f"{value:.{decimals}f}"


def percentage(share: float) -> str:
    """Write a share as a whole number of hundredths; a dash if it is NaN."""
    return DASH if pd.isna(share) else f"{share:.0%}".replace("%", " %")


def estimate(mean: float, low: float, high: float, decimals: int) -> str:
    """Write a mean with its interval, where it has one; a dash if it is NaN."""
    if pd.isna(mean) or pd.isna(low):
        return number(mean, decimals)
    return f"{number(mean, decimals)} [{number(low, decimals)}, {number(high, decimals)}]"


def change(difference: float, low: float, high: float, decimals: int) -> str:
    """Write a difference of a metric with its sign and its interval, where it has one; a dash if it is NaN.

    `decimals` are those of the metric; a difference has at least :data:`DIFFERENCE_DECIMALS`.
    """
    if pd.isna(difference):
        return DASH
    decimals = max(decimals, DIFFERENCE_DECIMALS)
    written = signed(difference, decimals)
    return written if pd.isna(low) else f"{written} [{signed(low, decimals)}, {signed(high, decimals)}]"


def signed(value: float, decimals: int) -> str:
    """Write a number with its sign; a dash if it is NaN."""
    return DASH if pd.isna(value) else f"{value:+.{decimals}f}".replace("-", "−")


def weighted_change(row: pd.Series, decimals: int) -> str:
    """Write the difference that is weighted by effect sizes, from the columns ``weighted_…`` of a row."""
    return change(row["weighted_difference"], row["weighted_low"], row["weighted_high"], decimals)


def sample_size(row: pd.Series) -> str:
    """Write of how many replicates, and on real data held-out perturbations, a row of the leaderboard is."""
    replicates = f"{row['n']:.0f} of {row['planned']:.0f}"
    if pd.isna(row["perturbations"]):
        return replicates
    return f"{replicates}, {count(int(row['perturbations']), 'perturbation')}"


def p_value(p: float) -> str:
    """Write the p of a test; a dash if it is NaN."""
    return "< 0.001" if p < 0.001 else number(p, 3)


def count(number: int, noun: str) -> str:
    """Write how many there are: "1 fit", "2 fits"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
