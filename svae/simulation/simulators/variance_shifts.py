"""Perturbations that change how much their targets vary, rather than where they are."""

from dataclasses import dataclass

from svae.simulation.simulator import parameter
from svae.simulation.simulators.screen import Screen


@dataclass(frozen=True)
class VarianceShifts(Screen):
    """A perturbation multiplies the standard deviation of its targets, and moves no mean unless asked to.

    By default the shifts of the truth are 0, and the targets alone tell what a perturbation acts on. Models
    that look for shifts of the mean find nothing. `shift_mean` adds such shifts. There is no likelihood.

    Parameters are those of :class:`~svae.simulation.simulators.screen.Screen`.
    """

    shift_mean: float = parameter(0.0, at_least=0)
    shift_sd: float = parameter(0.0, at_least=0)
    target_sd: float = parameter(3.0, at_least=0)
