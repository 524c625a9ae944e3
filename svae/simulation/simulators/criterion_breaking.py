"""Latents that no perturbation separates, so that no method can tell them apart by sparsity."""

from dataclasses import dataclass
from typing import ClassVar

from svae.simulation.simulator import parameter
from svae.simulation.simulators.screen import Screen


@dataclass(frozen=True)
class CriterionBreaking(Screen):
    """Latents in blocks of two: a perturbation acts on both latents of a block, or on neither.

    No latent meets the graph criterion of Lachapelle et al. (2022), whose released code has this design
    (data/synthetic.py, no_graph_crit). A perfect method finds the plane of each block and not its axes,
    so that `r_con` is 1 and the MCC is not. There is a likelihood.

    Parameters are those of :class:`~svae.simulation.simulators.screen.Screen`.
    """

    citation: ClassVar[str] = "Lachapelle et al., CLeaR 2022"

    block_size: int = parameter(2, at_least=1)
