"""What a split holds out: the options of :func:`svae.datasets.splits.split`."""

from typing import Annotated, Literal

from pydantic import Field

from svae.options import Options


class SplitPlan(Options):
    """Which perturbations are held out; their cells are halved into those to adapt on and those to test."""

    kind: Literal["random", "named", "pathway", "largest_effect"]
    """`random` draws perturbations, `named` takes them as given, `pathway` takes those of a pathway,
    `largest_effect` those that change cells the most. The control is never held out."""
    held_out: int | float | str | list[str]
    """For `random` and `largest_effect`, a number of perturbations (a whole number) or a fraction of them
    (below 1); for `named`, a list of perturbations, in which `p80..p99` stands for p80, p81, … p99; for
    `pathway`, its name."""
    pathways: str | None = None
    """JSON file of pathway to perturbations, for the kind `pathway`."""
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Fraction of the cells of each trained perturbation that are set aside for validation, but at least
    one cell; 0 for none."""
