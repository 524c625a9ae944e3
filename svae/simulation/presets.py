"""Parameters of the simulators; they stand alone so that a config is checked without loading any library."""

from typing import Any

_SHARED: dict[str, Any] = {
    "perturbations": 100,
    "cells_per_perturbation": 250,
    "latents": 15,
    "hidden": 40,
    "genes": 100,
    "shift_mean": 5.0,
    "shift_sd": 0.5,
}
PRESETS: dict[str, dict[str, Any]] = {
    "lopez2023": _SHARED | {"depth": 1e6},
    "corrected": _SHARED
    | {"control_cells": 1000, "library_mean": 4000.0, "library_sd": 1600.0, "dispersion": None},
}
"""Parameters of each preset and their defaults.

``depth`` is the expected number of counts of a gene over all cells; ``library_mean`` and ``library_sd`` are
those of the log-normal number of counts of a cell; ``dispersion`` is the inverse dispersion θ of a negative
binomial (variance μ + μ²/θ), or None for Poisson counts.
"""
