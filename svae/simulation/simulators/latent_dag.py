"""Latents that cause one another: an intervention acts on one of them and flows on."""

from dataclasses import dataclass
from typing import ClassVar

from svae.simulation.simulator import parameter
from svae.simulation.simulators.screen import Screen


@dataclass(frozen=True)
class LatentDag(Screen):
    """Linear structural equations between latents, in a chain or a random acyclic graph.

    A perturbation moves the latents that it acts on, and with them all of their descendants. Targets are the
    former, and shifts are the total effects. Edges stay as they are under the intervention. The setting is
    that of discrepancy-VAE (Zhang et al. 2023: a chain) and of causal component analysis (Liang et al. 2023:
    random graphs). There is no likelihood.

    Parameters are those of :class:`~svae.simulation.simulators.screen.Screen`; `edge_density` draws a random
    graph instead of the chain.
    """

    citation: ClassVar[str] = "Zhang et al., NeurIPS 2023; Liang et al., NeurIPS 2023"

    edge_weight: float = parameter(0.7, at_least=0)
