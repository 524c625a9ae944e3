"""What the simulator that drew cells says of them: how likely they are, and what is expected of them."""

from collections.abc import Iterable, Sequence

import anndata as ad
import numpy as np

from svae.contracts.cells import locate_cells
from svae.differential import log2_fold_changes
from svae.errors import unknown
from svae.simulation.registry import SIMULATORS
from svae.simulation.simulator import CellScores, SimulatorWithLikelihood
from svae.words import CONTROL


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
    simulator = _simulator_of(truth)
    rows = locate_cells(dataset.obs_names, truth.obs_names, "the truth")
    _refuse_unknown(dataset.obs["perturbation"].astype(str).unique(), truth)
    return simulator.log_likelihood(dataset, truth[rows], zero_shot, n_samples, seed)


def expected_counts(
    truth: ad.AnnData, perturbations: Sequence[str], n_samples: int = 10_000, seed: int = 0
) -> np.ndarray | None:
    """Tell the counts that the simulator expects cells of some perturbations to have.

    Parameters
    ----------
    truth
        As for :func:`score_cells`.
    perturbations
        Their labels.
    n_samples
        Monte-Carlo samples per perturbation.
    seed
        Of these samples.

    Returns
    -------
    Perturbation × gene, on any scale; None if the simulator does not tell.

    Raises
    ------
    BenchmarkError
        If a perturbation is not in the truth, or the truth lacks what its simulator needs.
    """
    if "likelihood" not in truth.uns:
        return None
    _refuse_unknown(perturbations, truth)
    return _simulator_of(truth).expected_counts(truth, perturbations, n_samples, seed)


def true_changes(
    truth: ad.AnnData, perturbations: Sequence[str], n_samples: int = 2000, seed: int = 0
) -> np.ndarray | None:
    """Tell by how much perturbations change genes, against the control.

    Parameters
    ----------
    truth
        As for :func:`score_cells`.
    perturbations
        Their labels.
    n_samples
        Monte-Carlo samples, the same ones for every perturbation and the control.
    seed
        Of these samples.

    Returns
    -------
    Log2 fold changes of shares, perturbation × gene; None if the simulator does not tell what it expects, or
    there is no control.

    Raises
    ------
    BenchmarkError
        If a perturbation is not in the truth, or the truth lacks what its simulator needs.
    """
    if "likelihood" not in truth.uns or CONTROL not in truth.uns["shifts"].index:
        return None
    counts = expected_counts(truth, [CONTROL, *perturbations], n_samples, seed)
    if counts is None:
        return None
    shares = counts / counts.sum(axis=1, keepdims=True)
    return log2_fold_changes(shares[1:], shares[:1])


def _refuse_unknown(perturbations: Iterable[str], truth: ad.AnnData) -> None:
    shifts = truth.uns["shifts"]
    for perturbation in perturbations:
        if perturbation not in shifts.index:
            raise unknown("perturbation", perturbation, shifts.index, "the truth: shifts")


def _simulator_of(truth: ad.AnnData) -> type[SimulatorWithLikelihood]:
    """Return the simulator that the truth names, which has to have a likelihood."""
    known = {
        name: simulator
        for name, simulator in SIMULATORS.items()
        if issubclass(simulator, SimulatorWithLikelihood)
    }
    name = truth.uns["likelihood"]["simulator"]
    if name not in known:
        raise unknown("simulator with a likelihood", name, known, 'the truth: uns["likelihood"]["simulator"]')
    return known[name]
