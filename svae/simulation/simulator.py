"""What a simulator is: parameters, a draw of cells with their truth, and perhaps a likelihood."""

import reprlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, get_args, get_type_hints

import numpy as np

from svae.errors import BenchmarkError
from svae.values import MANY

if TYPE_CHECKING:
    import anndata as ad


@dataclass(frozen=True, eq=False)
class Draw:
    """What a simulator draws: n cells of K perturbations, with p latents and G genes.

    Attributes
    ----------
    names
        Names of the K perturbations; unperturbed cells belong to one that is called ``control``.
    perturbation
        Perturbation of each cell, n places in `names`.
    counts
        n × G non-negative whole numbers; every cell has at least one count.
    latents
        n × p, any unit.
    targets
        K × p, 1 where the perturbation acts on the latent and 0 elsewhere.
    shifts
        K × p, how far the perturbation moves the mean of the latent, in the unit of `latents`.
    cell_facts
        What else the truth says of the cells, by name: n values each.
    for_likelihood
        Numbers and arrays that the likelihood of the simulator needs, by name; empty if it has none.
    """

    names: Sequence[str]
    perturbation: np.ndarray
    counts: np.ndarray
    latents: np.ndarray
    targets: np.ndarray
    shifts: np.ndarray
    cell_facts: Mapping[str, np.ndarray] = field(default_factory=dict)
    for_likelihood: Mapping[str, Any] = field(default_factory=dict)

    def reordered(self, order: np.ndarray) -> "Draw":
        """Return the same cells in another order: `order` names, for each place, the cell that goes there."""
        return replace(
            self,
            perturbation=self.perturbation[order],
            counts=self.counts[order],
            latents=self.latents[order],
            cell_facts={name: values[order] for name, values in self.cell_facts.items()},
        )


@dataclass(frozen=True, eq=False)
class CellScores:
    """How likely a simulator finds cells.

    Attributes
    ----------
    log_likelihood
        log p(x | perturbation) per cell in nats, log x! included.
    effective_samples
        Effective number of Monte-Carlo samples behind each value; infinite where it is exact.
    """

    log_likelihood: np.ndarray
    effective_samples: np.ndarray


def parameter(
    default: Any, *, at_least: float | None = None, above: float | None = None, at_most: float | None = None
) -> Any:
    """Declare a parameter of a simulator that has bounds.

    Parameters
    ----------
    default
        Value unless another is given.
    at_least
        The smallest value allowed.
    above
        A value that all allowed ones exceed.
    at_most
        The largest value allowed.
    """
    return field(default=default, metadata={"at_least": at_least, "above": above, "at_most": at_most})


class Simulator(ABC):
    """Base of all simulators: a frozen dataclass whose fields are the parameters, each with a default.

    A field is annotated ``int``, ``float``, or either ``| None``; :func:`parameter` gives it bounds. Values
    are checked when a simulator is made, and a :class:`~svae.errors.BenchmarkError` names a bad one.
    """

    citation: ClassVar[str] = ""
    """The publication that the simulator follows."""

    @classmethod
    def name(cls) -> str:
        """Name of the simulator, which is that of its file."""
        return cls.__module__.rpartition(".")[2]

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for declared in fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            value = getattr(self, declared.name)
            try:
                value = _checked(value, get_args(types[declared.name]) or (types[declared.name],))
                _check_bounds(value, **declared.metadata)
            except ValueError as error:
                raise BenchmarkError(
                    f"simulator '{self.name()}': {declared.name} is {reprlib.repr(value)}, {error}"
                ) from None
            object.__setattr__(self, declared.name, value)  # the way to set a field of a frozen dataclass

    def sizes(self) -> Mapping[str, int] | None:
        """Cells of each perturbation, those of the control among them; None if only a draw can tell.

        What a scope holds out is compared with them before the first job.
        """
        return None

    @abstractmethod
    def draw(self, seed: int) -> Draw:
        """Draw cells and their truth; equal seeds give equal numbers."""


class SimulatorWithLikelihood(Simulator):
    """A simulator that can also say how likely it finds a cell, which is the floor of every model's I-NLL."""

    @classmethod
    @abstractmethod
    def log_likelihood(
        cls, dataset: "ad.AnnData", truth: "ad.AnnData", zero_shot: bool, n_samples: int, seed: int
    ) -> CellScores:
        """Score cells that this simulator drew.

        Parameters
        ----------
        dataset
            The cells, any of those drawn.
        truth
            The truth of the same cells, in the same order. ``uns["likelihood"]`` holds what the draw kept in
            ``for_likelihood``, ``uns["shifts"]`` the shifts, ``obs`` the ``cell_facts``.
        zero_shot
            Score with no shift, as a model does before it has seen the perturbation.
        n_samples
            Monte-Carlo samples per cell, where the likelihood needs any.
        seed
            Of these samples.

        Raises
        ------
        BenchmarkError
            If the truth lacks what the likelihood needs.
        """

    @classmethod
    def expected_counts(
        cls, truth: "ad.AnnData", perturbations: Sequence[str], n_samples: int, seed: int
    ) -> np.ndarray | None:
        """Tell the counts that cells of some perturbations are expected to have.

        Parameters
        ----------
        truth
            As for :meth:`log_likelihood`.
        perturbations
            Labels that the truth has shifts of.
        n_samples
            Monte-Carlo samples per perturbation.
        seed
            Of these samples.

        Returns
        -------
        Perturbation × gene, on any scale; None if the simulator does not tell.
        """
        return None


def _checked(value: Any, types: tuple[type, ...]) -> Any:
    """Return `value` as one of `types`; a ValueError ends the sentence that names the parameter."""
    if value is None and NoneType in types:
        return None
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:
        raise ValueError("but must be a number")
    if float in types:
        return float(value)
    if value != int(value):
        raise ValueError("but must be a whole number")
    if abs(value) > MANY:
        raise ValueError(f"but must be at most {MANY:,}")
    return int(value)


def _check_bounds(
    value: float | None,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
) -> None:
    """Raise a ValueError, which ends the same sentence, if a number is out of bounds."""
    if value is None:
        return
    if at_least is not None and value < at_least:
        raise ValueError(f"but must be at least {at_least}")
    if above is not None and value <= above:
        raise ValueError(f"but must be above {above}")
    if at_most is not None and value > at_most:
        raise ValueError(f"but must be at most {at_most}")
