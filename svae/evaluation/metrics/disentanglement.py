"""Disentanglement without a truth: does a latent of its own tell the cells of each perturbation.

Real screens have no true latents, but the label of each cell is known, and a latent that stands for one thing
that perturbations do tells the cells of those that do it from all others. These scores are those of DRVI
(Moinfar & Theis 2024; theislab/DRVI, utils/metrics) with perturbations as labels. A perturbation that does
nothing lowers them for every method, so they compare methods on one dataset and not datasets.
"""

from functools import partial

import numpy as np
import pandas as pd

from svae.evaluation.comparison import Comparison
from svae.evaluation.metric import metric

BINS = 10
"""Of equal width, over the range of a latent, as in DRVI."""

of_information = partial(
    metric,
    question="latents",
    direction="higher",
    low=0,
    needs=("latents",),
    citation="Moinfar & Theis 2024",
)
"""Registers a metric of how much latents tell about perturbations."""


@of_information(label="SMI, best latent")
def smi_best(comparison: Comparison) -> float:
    """Share of a perturbation's entropy that the most telling latent explains, mean over perturbations.

    DRVI calls it MSAS, the most similar averaging score. One latent may tell several perturbations.
    """
    return float(comparison.shared(_information).max(axis=0).mean())


@of_information(label="SMI, one to one")
def smi_matching(comparison: Comparison) -> float:
    """Share of a perturbation's entropy that its own latent explains, if each latent may tell only one.

    DRVI calls it LMS, the latent matching score. A perturbation that is left without a latent counts 0, so
    with q latents and p perturbations it is at most q / p.
    """
    from scipy.optimize import linear_sum_assignment

    information = comparison.shared(_information)
    matched = information.to_numpy()[linear_sum_assignment(information, maximize=True)]
    return float(matched.sum() / information.shape[1])


@of_information(label="SMI, gap to the second latent")
def smi_gap(comparison: Comparison) -> float:
    """How much more the most telling latent explains than the second one, mean over perturbations.

    DRVI calls it MSGS, the most similar gap score. What several latents tell alike counts 0.
    """
    ascending = np.sort(comparison.shared(_information), axis=0)
    second = ascending[-2] if len(ascending) > 1 else 0
    return float((ascending[-1] - second).mean())


def scaled_information(latents: np.ndarray, labels: pd.Series) -> pd.DataFrame:
    """Share of the entropy of "has this label or not" that a latent explains: the scaled mutual information.

    Parameters
    ----------
    latents
        Cells × q. Each is cut into ten bins of equal width.
    labels
        Label of each cell.

    Returns
    -------
    Latent × label, in [0, 1]: 1 if the bin of a cell says whether it has the label, 0 if it says nothing, as
    where all cells have the label.
    """
    from scipy.stats import entropy

    rows = []
    for latent in latents.T:
        inner_edges = np.histogram_bin_edges(latent, BINS)[1:-1]
        labelled = pd.crosstab(np.digitize(latent, inner_edges), labels.to_numpy())  # bin × label, cells
        in_bin = labelled.sum(axis=1)
        others = -labelled.sub(in_bin, axis=0)
        of_bins = entropy(in_bin)
        of_label = entropy([labelled.sum(), others.sum()])
        of_both = entropy(np.concatenate([labelled, others]))
        told = np.clip(of_bins + of_label - of_both, 0, of_label)
        explained = np.divide(told, of_label, out=np.zeros_like(told), where=of_label > 0)
        rows.append(pd.Series(explained, labelled.columns))
    return pd.DataFrame(rows)


def _information(comparison: Comparison) -> pd.DataFrame:
    """Compute the scaled information of all trained cells, of control, too, about the perturbations."""
    return scaled_information(comparison.latents, comparison.trained_cells)[comparison.trained]
