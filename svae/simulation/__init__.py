"""Simulation: screens whose truth is known.

=========================== ===============================================================================
:data:`SIMULATORS`          the simulators there are, one file each in ``svae/simulation/simulators``
:func:`parameters`          the parameters of one of them, with their defaults
:func:`build_simulator`     one of them with some parameters changed, checked
:func:`simulate`            the dataset and the truth that it draws
=========================== ===============================================================================

Importing this package loads numpy and nothing heavier, because a scope is checked at each start of Snakemake.
"""

from svae.simulation.registry import SIMULATORS, build_simulator, parameters, simulate

__all__ = ["SIMULATORS", "build_simulator", "parameters", "simulate"]
