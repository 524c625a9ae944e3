"""How the pages of the report write numbers."""

import pandas as pd

DASH = "—"
"""Stands where there is no number."""
SIGNIFICANCE = 0.05
"""A difference is called one where the adjusted p of its test is below this."""


def number(value: float, decimals: int) -> str:
    """Write a number with so many decimals; a dash if it is NaN."""
    return DASH if pd.isna(value) else f"{value:.{decimals}f}"


def estimate(mean: float, low: float, high: float, decimals: int) -> str:
    """Write a mean with its interval, where it has one; a dash if it is NaN."""
    if pd.isna(mean) or pd.isna(low):
        return number(mean, decimals)
    return f"{number(mean, decimals)} [{number(low, decimals)}, {number(high, decimals)}]"


def p_value(p: float) -> str:
    """Write the p of a test; a dash if it is NaN."""
    return "< 0.001" if p < 0.001 else number(p, 3)


def p_equals(p: float) -> str:
    """Write the p of a test within a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {number(p, 3)}"


def count(number: int, noun: str) -> str:
    """Write how many there are: "1 fit", "2 fits"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
