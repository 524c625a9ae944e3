"""How likely cells are under the simulator that drew them."""

import anndata as ad

from svae.contracts.cells import locate_cells
from svae.errors import unknown
from svae.simulation.registry import SIMULATORS
from svae.simulation.simulator import CellScores, SimulatorWithLikelihood


def score_cells(
    dataset: ad.AnnData, truth: ad.AnnData, zero_shot: bool = False, n_samples: int = 1000, seed: int = 0
) -> CellScores | None:
    """Score cells of a simulated dataset under the simulator that drew them.

    Parameters
    ----------
    dataset
        The cells to score, any of the simulated ones.
    truth
        The truth of all cells, as :func:`svae.simulation.simulate` or a truth file gives it.
    zero_shot
        Score with no shift, as a model does before it has seen the perturbation.
    n_samples
        Monte-Carlo samples per cell.
    seed
        Of these samples.

    Returns
    -------
    One value per cell of `dataset`; None if the simulator has no likelihood.

    Raises
    ------
    BenchmarkError
        If a cell or a perturbation is not in the truth, or if the truth names an unknown simulator or lacks
        what the likelihood of its simulator needs.
    """
    if "likelihood" not in truth.uns:
        return None
    simulator = SIMULATORS.get(truth.uns["likelihood"]["simulator"])
    known = [name for name, entry in SIMULATORS.items() if issubclass(entry, SimulatorWithLikelihood)]
    if simulator is None or not issubclass(simulator, SimulatorWithLikelihood):
        name = truth.uns["likelihood"]["simulator"]
        raise unknown("simulator with a likelihood", name, known, 'the truth: uns["likelihood"]["simulator"]')
    rows = locate_cells(dataset.obs_names, truth.obs_names, "the truth")
    labels = dataset.obs["perturbation"].astype(str)
    shifted = labels.isin(truth.uns["shifts"].index)
    if not shifted.all():
        raise unknown(
            "perturbation", labels[~shifted].iloc[0], truth.uns["shifts"].index, "the truth: shifts"
        )
    return simulator.log_likelihood(dataset, truth[rows], zero_shot, n_samples, seed)
