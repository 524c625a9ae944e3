"""Likelihood: how well are the cells of held-out perturbations predicted."""

import pandas as pd

from svae.evaluation.comparison import Comparison
from svae.evaluation.metric import metric

MIN_CELLS = 10  # a perturbation counts if it has more scored cells than this (Lopez et al. 2023)

MARGIN = 1.0
"""In nats: a smaller log Bayes factor is "not worth more than a bare mention" (Kass & Raftery 1995)."""


@metric(
    label="I-NLL, zero-shot (nats/cell)",
    question="likelihood",
    direction="lower",
    needs=("log_likelihood_zero_shot",),
    decimals=1,
    headline=True,
    margin=MARGIN,
    citation="Burda et al. 2016; Lopez et al. 2023",
)
def inll_zero_shot(comparison: Comparison) -> float:
    """Interventional negative log-likelihood before adaptation."""
    return -mean_over_perturbations(*comparison.scored("log_likelihood_zero_shot"))


@metric(
    label="I-NLL, same cells (nats/cell)",
    question="likelihood",
    direction="lower",
    needs=("log_likelihood_same_cells",),
    decimals=1,
    margin=MARGIN,
    citation="Burda et al. 2016; Lopez et al. 2023",
)
def inll_same_cells(comparison: Comparison) -> float:
    """Interventional negative log-likelihood after adapting to the very cells that are scored."""
    return -mean_over_perturbations(*comparison.scored("log_likelihood_same_cells"))


@metric(
    label="I-NLL, same cells, original estimate (nats/cell)",
    question="likelihood",
    direction="lower",
    needs=("log_likelihood_same_cells_original",),
    decimals=1,
    citation="Burda et al. 2016; Lopez et al. 2023",
)
def inll_same_cells_original(comparison: Comparison) -> float:
    """The same-cells protocol, estimated with samples of the encoder's posterior.

    That is how the released code estimates it, with more samples. The estimate is an upper bound in
    expectation, and loose where the encoder misses the posterior.
    """
    return -mean_over_perturbations(*comparison.scored("log_likelihood_same_cells_original"))


@metric(
    label="I-NLL, clean protocol (nats/cell)",
    question="likelihood",
    direction="lower",
    needs=("log_likelihood_clean",),
    decimals=1,
    headline=True,
    margin=MARGIN,
    citation="Burda et al. 2016",
)
def inll_clean(comparison: Comparison) -> float:
    """Interventional negative log-likelihood after adapting to the other half of the cells."""
    return -mean_over_perturbations(*comparison.scored("log_likelihood_clean"))


@metric(
    label="Likelihood gained by adaptation (nats/cell)",
    question="likelihood",
    direction="higher",
    needs=("log_likelihood_clean", "log_likelihood_zero_shot"),
    decimals=2,
    margin=MARGIN,
)
def likelihood_gain(comparison: Comparison) -> float:
    """Log-likelihood of held-out cells under the adapted shift, less that under the control's prior.

    Both are of the same model and the same cells, the half that it did not adapt to. The control's prior is
    the one without a shift; a model that adds parts has their sum for a combination. Where a perturbation
    does nothing, there is nothing to gain. The gain tells what a model learnt of a perturbation, however
    likely it finds cells otherwise. It is below 0 where the adapted shift is worse than none, and 0 for a
    prior that knows no shifts (VAE).
    """
    adapted, labels = comparison.scored("log_likelihood_clean")
    without_shift, _ = comparison.scored("log_likelihood_zero_shot")
    return mean_over_perturbations(adapted - without_shift.loc[adapted.index], labels)


@metric(
    label="Held-out reconstruction (nats/cell)",
    question="likelihood",
    direction="lower",
    needs=("reconstruction",),
    decimals=1,
)
def reconstruction(comparison: Comparison) -> float:
    """Held-out reconstruction error, −E[log p(x | z)] under the posterior."""
    return mean_over_perturbations(*comparison.scored("reconstruction"))


@metric(
    label="Amortisation gap (nats/cell)",
    question="likelihood",
    direction="lower",
    needs=("elbo", "best_elbo"),
    decimals=2,
    citation="Cremer et al. 2018",
)
def amortisation_gap(comparison: Comparison) -> float:
    """What the encoder's lower bound lacks of the one at each cell's own posterior.

    Of held-out cells, after the same-cells protocol. Both posteriors are normal with independent latents.
    """
    best, labels = comparison.scored("best_elbo")
    encoder, _ = comparison.scored("elbo")
    return mean_over_perturbations(best - encoder, labels)


@metric(
    label="Effective samples behind the I-NLL",
    question="likelihood",
    direction="higher",
    low=1,
    needs=("effective_samples",),
    decimals=1,
    citation="Kong 1992",
)
def effective_samples(comparison: Comparison) -> float:
    """Effective sample size of the importance weights.

    Few mean that a handful of samples carry the estimate of the likelihood, which is then too low.
    """
    return mean_over_perturbations(*comparison.scored("effective_samples"))


def mean_over_perturbations(scores: pd.Series, labels: pd.Series) -> float:
    """Mean over perturbations of the mean score of their cells (Lopez et al. 2023).

    Parameters
    ----------
    scores
        Per cell, indexed by cell; NaN where the cell was not scored.
    labels
        Perturbation of each cell, indexed by cell.

    Returns
    -------
    In the unit of the scores. Perturbations with at most 10 scored cells are left out; NaN if none is left.
    """
    cells = pd.DataFrame({"score": scores, "perturbation": labels}).dropna()
    groups = cells.groupby("perturbation", observed=True)["score"]
    return float(groups.mean()[groups.size() > MIN_CELLS].mean())
