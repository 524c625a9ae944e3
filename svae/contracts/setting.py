"""A setting: one point of a method's grid and one random start of it, as jobs are handed it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Setting:
    """What a method is asked to fit.

    Attributes
    ----------
    name
        Unique among the settings of the method; the name of its fit file.
    seed
        Of everything random in the fit: weights, noise, order of the data.
    options
        What the scope says of the method: its options and one point of its grid.
    restart
        Settings that differ only here are restarts of each other.
    """

    name: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    restart: int = 0
