"""The one style of all figures: fonts, lines, sizes and colours."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import seaborn as sns

from svae.evaluation.selection import RULES

WIDTH = 7.05
"""Width of a figure in inches: 179 mm, the text width of a printed page."""
SMALL = 6.5
"""Size in points of text inside of a panel."""
TINY = 5.5
"""Size in points of the smallest text that can be read in print."""
INK, GREY, PALE = "#262626", "#8c8c8c", "#e4e4e4"

_SETTINGS: dict[Any, Any] = {
    "font.family": ["DejaVu Sans"],
    "font.size": 8,
    "text.color": INK,
    "figure.titlesize": 8,
    "figure.titleweight": "bold",
    "figure.constrained_layout.use": True,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "hatch.linewidth": 0.4,
    "pdf.fonttype": 42,
    "svg.hashsalt": "svae",
}


def style() -> AbstractContextManager[None]:
    """Return the style of all figures as a context: nothing outside of it changes."""
    return mpl.rc_context(sns.axes_style("ticks") | sns.plotting_context("paper") | _SETTINGS)


@dataclass(frozen=True)
class Look:
    """Marker and colour of a selection rule."""

    marker: str
    colour: str


_MARKERS = ("s", "o", "^", "v", "P", "X", "D", "*")
_COLOURS = ("#333333", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


def _rule_looks() -> dict[str, Look]:
    """Give each rule a marker and a colour by its place; rules that see the truth are grey."""
    looks = {}
    for place, (name, rule) in enumerate(RULES.items()):
        colour = GREY if rule.sees_truth else _COLOURS[place % len(_COLOURS)]
        looks[name] = Look(_MARKERS[place % len(_MARKERS)], colour)
    return looks


RULE_LOOKS = _rule_looks()
"""How each selection rule is drawn, the same in every figure."""
