"""Turn what a simulator draws into a dataset, which methods see, and a truth, which evaluation sees."""

from typing import NamedTuple

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from svae.contracts.dataset import validate_dataset
from svae.contracts.truth import validate_truth
from svae.errors import BenchmarkError
from svae.simulation.simulator import Draw, Simulator, SimulatorWithLikelihood


class Simulation(NamedTuple):
    """A simulated screen.

    Attributes
    ----------
    dataset
        Counts, cells × genes, and ``obs["perturbation"]``; see :mod:`svae.contracts.dataset`.
    truth
        Latents of the same cells, targets and shifts; see :mod:`svae.contracts.truth`.
    """

    dataset: ad.AnnData
    truth: ad.AnnData


def assemble(simulator: Simulator, draw: Draw, seed: int) -> Simulation:
    """Put the numbers of `draw` into the files' form; `seed` is told as their source.

    Raises
    ------
    BenchmarkError
        If the draw breaks the contract of a dataset or of a truth.
    """
    where = f"simulator '{simulator.name()}'"
    _check(draw, where)
    cells = pd.Index([f"cell{i}" for i in range(len(draw.counts))])
    labels = pd.Categorical.from_codes(draw.perturbation, categories=draw.names)
    dataset = ad.AnnData(
        X=sparse.csr_matrix(draw.counts),
        obs=pd.DataFrame({"perturbation": labels}, index=cells),
        var=pd.DataFrame(index=[f"gene{g}" for g in range(draw.counts.shape[1])]),
    )
    dataset.uns["dataset"] = {
        "name": f"simulated_{simulator.name()}",
        "source": f"svae.simulation, {simulator.name()}, seed {seed}",
        "citation": simulator.citation,
        "licence": "none (simulated)",
    }
    validate_dataset(dataset, where)
    dataset.X = dataset.X.astype(np.int32)

    truth = ad.AnnData(obs=pd.DataFrame(dict(draw.cell_facts), index=cells))
    latents = [f"z{j + 1}" for j in range(draw.latents.shape[1])]
    truth.obsm["latents"] = draw.latents.astype(np.float32)
    truth.uns["targets"] = pd.DataFrame(draw.targets.astype(int), index=draw.names, columns=latents)
    truth.uns["shifts"] = pd.DataFrame(draw.shifts, index=draw.names, columns=latents)
    if isinstance(simulator, SimulatorWithLikelihood) and draw.for_likelihood:
        truth.uns["likelihood"] = {"simulator": simulator.name(), **draw.for_likelihood}
    validate_truth(truth, where, cells)
    return Simulation(dataset, truth)


def _check(draw: Draw, where: str) -> None:
    """Check what the contracts of the files cannot see: that the parts of a draw fit together."""
    cells, perturbations, latents = len(draw.counts), len(draw.names), draw.latents.shape[-1]
    shapes = {
        "counts": (draw.counts, (cells, draw.counts.shape[-1])),
        "perturbation": (draw.perturbation, (cells,)),
        "latents": (draw.latents, (cells, latents)),
        "targets": (draw.targets, (perturbations, latents)),
        "shifts": (draw.shifts, (perturbations, latents)),
        **{f"cell_facts['{name}']": (values, (cells,)) for name, values in draw.cell_facts.items()},
    }
    for name, (values, wanted) in shapes.items():
        if np.shape(values) != wanted:
            raise BenchmarkError(f"{where}: {name} has shape {np.shape(values)}, but must have {wanted}")
    if len(set(draw.names)) < perturbations:
        raise BenchmarkError(f"{where}: two perturbations have the same name")
    if not np.isin(draw.perturbation, np.arange(perturbations)).all():
        raise BenchmarkError(
            f"{where}: perturbation has values other than the places 0 to {perturbations - 1}"
        )
    if not np.isin(draw.targets, [0, 1]).all():
        raise BenchmarkError(f"{where}: targets has values other than 0 and 1")
