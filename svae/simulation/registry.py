"""The simulators there are, and how to run one of them by its name."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, Any

from svae.errors import unknown
from svae.seeds import checked_seed
from svae.simulation import simulators
from svae.simulation.simulator import Simulator
from svae.values import LARGEST_SEED_OF_DATA

if TYPE_CHECKING:
    from svae.simulation.assemble import Simulation


def _simulator_in(module: ModuleType) -> type[Simulator]:
    """Return the one simulator that a file of ``svae/simulation/simulators`` defines."""
    found = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Simulator) and value.__module__ == module.__name__
    ]
    if len(found) != 1 or not is_dataclass(found[0]):
        raise TypeError(f"{module.__file__}: must define one simulator, which is a frozen dataclass")
    return found[0]


SIMULATORS: Mapping[str, type[Simulator]] = {
    module.name: _simulator_in(import_module(f"{simulators.__name__}.{module.name}"))
    for module in iter_modules(simulators.__path__)
}
"""Simulators by name."""


def parameters(name: str) -> dict[str, Any]:
    """Parameters of the simulator `name` and their defaults.

    Raises
    ------
    BenchmarkError
        If there is no such simulator.
    """
    if name not in SIMULATORS:
        raise unknown("simulator", name, SIMULATORS, "simulation")
    return {declared.name: declared.default for declared in fields(SIMULATORS[name])}  # type: ignore[arg-type]


def build_simulator(name: str, /, **changed: Any) -> Simulator:
    """Return the simulator `name` with some parameters changed.

    Raises
    ------
    BenchmarkError
        For an unknown simulator or parameter, or a value out of range.
    """
    known = parameters(name)
    for parameter in changed:
        if parameter not in known:
            raise unknown("parameter", parameter, known, f"simulator '{name}'")
    return SIMULATORS[name](**changed)


def simulate(name: str, /, seed: int = 0, **changed: Any) -> "Simulation":
    """Draw a screen and its truth.

    Parameters
    ----------
    name
        One of :data:`SIMULATORS`.
    seed
        Of the draw, below 2³²: equal seeds give equal numbers.
    **changed
        Parameters of the simulator that differ from their defaults.

    Returns
    -------
    Dataset and truth, as :class:`svae.simulation.assemble.Simulation` describes them.

    Raises
    ------
    BenchmarkError
        For an unknown simulator or parameter, a value or a seed out of range, or a draw that breaks the
        contract of a dataset or of a truth.
    """
    # AnnData takes a second to load, which those who only look at names and parameters should not pay.
    from svae.simulation.assemble import assemble

    simulator = build_simulator(name, **changed)
    seed = checked_seed(seed, f"simulator '{name}'", LARGEST_SEED_OF_DATA)
    return assemble(simulator, simulator.draw(seed), seed)
