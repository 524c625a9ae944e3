"""The figures of the report: functions from the tables of a run to a figure and the numbers it shows.

All modules of this folder are imported below. A new figure needs one function in a file here, and a
caption of the same name in ``reports/captions``.
"""

from importlib import import_module
from pkgutil import iter_modules

from svae.report.figures.catalogue import FIGURES, Drawn, draw, figure, save

__all__ = ["FIGURES", "Drawn", "draw", "figure", "save"]

for module in iter_modules(__path__):
    import_module(f"{__name__}.{module.name}")
