"""A setting: one point of a method's grid and one restart, as jobs are handed it."""

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
        Of everything random in the fit: weights, noise, order of the data. Each job has its own, so the
        settings of a scope have none (0) before a job is named.
    options
        What the scope says of the method: its options and one point of its grid.
    restart
        Settings that differ only here are restarts of each other.
    """

    name: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    restart: int = 0

    @property
    def grid_point(self) -> str:
        """The name without its restart; restarts of each other share it."""
        return self.name.removesuffix(f".r{self.restart}")
