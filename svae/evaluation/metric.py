"""A metric: one function of a comparison, with all that tables and figures need to know of it beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from svae.contracts.fit_parts import BASES, CELL_COLUMNS
from svae.errors import BenchmarkError, unknown

if TYPE_CHECKING:
    import pandas as pd

    from svae.evaluation.comparison import Comparison

Question = Literal["latents", "targets", "likelihood", "prediction"]
"""What the benchmark asks of a method, in the order of the tables."""

Direction = Literal["higher", "lower"]
"""Which values of a metric are better."""

PREDICTIONS = tuple(f"{part}_{basis}" for part in ("prediction", "generated") for basis in BASES)

NEEDS = (
    *("truth", "response", "control", "guides", "pathways"),
    *("latents", "latent_modes", "targets", "shifts", "differential", *CELL_COLUMNS, *PREDICTIONS),
)
"""What a metric can need: the truth, the response of held-out cells, a control, perturbations that are
guides, perturbations that gene sets hold, or a part of a fit."""


@dataclass(frozen=True)
class Metric:
    """A metric: its name, its function, and the description that :func:`metric` was given."""

    name: str
    compute: Callable[[Comparison], float]
    label: str
    question: Question
    direction: Direction
    low: float
    high: float
    needs: tuple[str, ...]
    decimals: int
    headline: bool
    margin: float
    citation: str
    of_each: Callable[[Comparison], pd.Series] | None = None

    @property
    def original(self) -> bool:
        """Whether the metric repeats the released code of Lopez et al. (2023), quirks included."""
        return self.name.endswith("_original")

    @property
    def meaning(self) -> str:
        """What a value says, in one sentence: the first one that its function is described by."""
        paragraph = (self.compute.__doc__ or self.label).strip().partition("\n\n")[0]
        return " ".join(paragraph.split())

    def is_applicable(self, available: set[str]) -> bool:
        """Whether everything that the metric needs is among what is `available`."""
        return all(available & set(need.split("|")) for need in self.needs)


REGISTERED: dict[str, Metric] = {}
"""The metrics whose files were imported; :data:`svae.evaluation.metrics.METRICS` has all of them."""


Compute = Callable[["Comparison"], float]
"""Returns the value of a metric; NaN where it is undefined."""


def metric(
    *,
    label: str,
    question: Question,
    direction: Direction,
    needs: tuple[str, ...],
    low: float = float("nan"),
    high: float = float("nan"),
    decimals: int = 3,
    headline: bool = False,
    margin: float = float("nan"),
    citation: str = "",
    name: str = "",
    of_each: Callable[[Comparison], pd.Series] | None = None,
) -> Callable[[Compute], Compute]:
    """Make a function of a comparison a metric, which is known by the function's name.

    Parameters
    ----------
    label
        What tables and axes call it, with its unit if it has one.
    question
        What it asks: ``latents``, ``targets``, ``likelihood`` or ``prediction``.
    direction
        Whether ``higher`` or ``lower`` is better.
    needs
        What it is computed from: ``truth``, what held-out cells really do (``response``), unperturbed cells
        to compare them with (``control``), what each guide aims at, where perturbations are guides
        (``guides``), gene sets that hold perturbed genes (``pathways``), or parts of a fit (``latents``,
        ``latent_modes``, ``targets``, ``shifts``, ``differential``, one of its columns per cell, such as
        ``log_likelihood_clean``, predictions, such as ``prediction_adapted``, or generated cells, such as
        ``generated_adapted``). ``"targets|shifts"`` is met by either. Where a need is not met, the metric is
        not applicable.
    low, high
        Its range; left out where it is unbounded.
    decimals
        How many decimals tables show.
    headline
        Whether the first page of the report shows it.
    margin
        Size below which a difference between two methods does not matter, in the unit of the metric. Methods
        can be called equal only where a metric states it.
    citation
        Who proposed it.
    name
        What the metric is known by, if not by the function's name.
    of_each
        For a mean over held-out perturbations, or over the targets of guides: the function that returns what
        it is the mean of, indexed by perturbation.

    Raises
    ------
    BenchmarkError
        If the name is taken, the question, the direction or a need is unknown, or the margin is not above 0.
    """

    def register(compute: Compute) -> Compute:
        known_by = name or compute.__name__
        where = f"metric '{known_by}'"
        if known_by in REGISTERED:
            raise BenchmarkError(f"{where}: the name is taken, in {REGISTERED[known_by].compute.__module__}")
        if question not in get_args(Question):
            raise unknown("question", question, get_args(Question), where)
        if direction not in get_args(Direction):
            raise unknown("direction", direction, get_args(Direction), where)
        for need in needs:
            for choice in need.split("|"):
                if choice not in NEEDS:
                    raise unknown("need", choice, NEEDS, where)
        if margin <= 0:
            raise BenchmarkError(f"{where}: margin is {margin:g}, not a number above 0")
        REGISTERED[known_by] = Metric(
            name=known_by,
            compute=compute,
            label=label,
            question=question,
            direction=direction,
            low=low,
            high=high,
            needs=needs,
            decimals=decimals,
            headline=headline,
            margin=margin,
            citation=citation,
            of_each=of_each,
        )
        return compute

    return register
