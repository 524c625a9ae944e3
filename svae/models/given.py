"""Check what users give to a model class: its arguments, those of training, and which cells train.

The range of an argument stands at its name, in the signature that has it; the workflow reads the same ranges
when it reads a scope (:mod:`svae.models.arguments`).
"""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

import numpy as np
import torch
from pydantic import create_model
from scvi.model.base import BaseModelClass

from svae.errors import BenchmarkError, unknown
from svae.models.priors import MaskedShift, StandardNormal
from svae.options import Options, checked
from svae.seeds import checked_seed, seed_from
from svae.training.plan import OF_VALIDATION
from svae.words import CONTROL

if TYPE_CHECKING:
    from svae.models.model import PerturbationModel

FEWEST_CELLS = 2
"""BatchNorm has no statistics of a single cell."""


def arguments_of(model_class: "type[PerturbationModel]") -> dict[str, Any]:
    """Names and types of all arguments of a model class but its data: its own, its bases', its prior's."""
    arguments: dict[str, Any] = {}
    of_any_prior = set(inspect.signature(StandardNormal).parameters)
    for parent in reversed(model_class.prior_class.__mro__):
        if issubclass(parent, StandardNormal):
            arguments |= {name: t for name, t in _parameters(parent).items() if name not in of_any_prior}
    for parent in reversed(model_class.__mro__):
        if issubclass(parent, BaseModelClass) and parent is not BaseModelClass:
            arguments |= _parameters(parent)
    return {name: kind for name, kind in arguments.items() if name != "adata"}


def _parameters(owner: type) -> dict[str, Any]:
    """Names and types of what the constructor that a class itself defines takes by name."""
    constructor = vars(owner).get("__init__")
    if constructor is None:
        return {}
    hints = get_type_hints(constructor, include_extras=True)
    named = inspect.signature(constructor).parameters.values()
    return {p.name: hints.get(p.name, Any) for p in named if p.name != "self" and p.kind is not p.VAR_KEYWORD}


def checked_arguments(model_class: "type[PerturbationModel]", given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a model class, each in its range.

    Parameters
    ----------
    model_class
        The class.
    given
        Arguments by name.

    Raises
    ------
    BenchmarkError
        If the class has no such argument (it names the nearest one), or a value is out of range.
    """
    known, where = arguments_of(model_class), model_class.__name__
    if given.get("initial_logit") is not None and not issubclass(model_class.prior_class, MaskedShift):
        raise BenchmarkError(f"{where}: initial_logit does nothing, since the model has no masks")
    refuse_unknown(given, known, where)
    fields: dict[str, Any] = {name: (known[name], None) for name in given}
    options = checked(create_model("Arguments", __base__=Options, **fields), dict(given), where)
    return {name: getattr(options, name) for name in given}


def code_of_control(control: object, perturbations: Sequence[str], where: str) -> int | None:
    """Return the place of the unperturbed cells' label among the perturbations.

    Parameters
    ----------
    control
        What the user calls them; None for ``control``, which need not occur.
    perturbations
        The labels.
    where
        Name of the model class, for the error message.

    Raises
    ------
    BenchmarkError
        If a label was given that does not occur.
    """
    if control is None:
        return perturbations.index(CONTROL) if CONTROL in perturbations else None
    if str(control) not in perturbations:
        raise unknown("control", control, perturbations, where)
    return perturbations.index(str(control))


def refuse_unknown(given: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise if an argument is not among the `known` ones, naming the nearest."""
    for name in given:
        if name not in set(known):
            raise unknown("argument", name, known, where)


def given_or_drawn(seed: object, where: str) -> int:
    """Return the seed that a user gave to the function `where`; None draws one from torch's generator."""
    return int(torch.randint(2**31, ())) if seed is None else checked_seed(seed, where)


def cells_to_train_on(
    n_cells: int, train_size: float, external_indexing: Sequence[np.ndarray] | None, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the cells to train on and of those to validate with, each in order.

    Parameters
    ----------
    n_cells
        How many cells there are.
    train_size
        Share of them to train on, where they are drawn.
    external_indexing
        The two, where they are given.
    seed
        Of the draw.

    Raises
    ------
    BenchmarkError
        If the share is none, or too few cells are left to train on.
    """
    if external_indexing is None:
        if isinstance(train_size, bool) or not isinstance(train_size, int | float) or not 0 < train_size <= 1:
            raise BenchmarkError(f"train: train_size is {train_size!r}, but must be above 0 and at most 1")
        order = np.random.default_rng(seed_from(seed, "split")).permutation(n_cells)
        external_indexing = np.split(order, [round(train_size * n_cells)])
    if not isinstance(external_indexing, Sequence) or len(external_indexing) < 2:
        raise BenchmarkError("train: external_indexing needs the indices of training and of validation cells")
    if len(external_indexing) > 2 and len(external_indexing[2]):
        raise BenchmarkError(
            "train: external_indexing has more than training and validation cells; leave out others"
        )
    parts = [np.sort(indices_in(part, n_cells, "external_indexing")) for part in external_indexing[:2]]
    if len(parts[0]) < FEWEST_CELLS:
        raise BenchmarkError(
            f"train: {len(parts[0])} of {n_cells} cells to train on, but {FEWEST_CELLS} are needed"
        )
    for part in parts:
        if len(np.unique(part)) < len(part):
            raise BenchmarkError(
                f"train: external_indexing has cell {part[:-1][np.diff(part) == 0][0]} twice"
            )
    shared = np.intersect1d(parts[0], parts[1])
    if len(shared):
        raise BenchmarkError(f"train: external_indexing has cell {shared[0]} in training and in validation")
    return parts[0], parts[1]


def refuse_idle(changes: Mapping[str, Any], validation: Sequence[int] | np.ndarray, where: str) -> None:
    """Raise if a field of the training plan was set that does nothing without validation cells.

    Parameters
    ----------
    changes
        Fields that the user set.
    validation
        Indices of the validation cells.
    where
        Name of the stage, for the error message.
    """
    for name, idle in OF_VALIDATION.items():
        if not len(validation) and changes.get(name, idle) != idle:
            raise BenchmarkError(f"{where}: {name} looks at validation cells, but there are none")


def indices_in(indices: object, n_cells: int, where: str) -> np.ndarray:
    """Return indices of cells as whole numbers.

    Parameters
    ----------
    indices
        Whole numbers, negative ones counted from the end, or one boolean per cell.
    n_cells
        How many cells there are.
    where
        Name of the argument, for the error message.

    Raises
    ------
    BenchmarkError
        If they are something else, or name cells that there are not.
    """
    try:
        found = np.asarray(indices)
    except ValueError:  # lists of several lengths
        found = np.asarray(None)
    if found.size == 0:
        return np.zeros(0, dtype=np.int64)
    if found.dtype == bool and found.shape == (n_cells,):
        return np.flatnonzero(found)
    if found.ndim != 1 or not np.issubdtype(found.dtype, np.integer):
        raise BenchmarkError(f"{where}: give whole numbers, or one boolean for each of the {n_cells} cells")
    strange = found[(found >= n_cells) | (found < -n_cells)]
    if len(strange):
        raise BenchmarkError(f"{where}: there is no cell {strange[0]}; the data have {n_cells} cells")
    return found % n_cells
