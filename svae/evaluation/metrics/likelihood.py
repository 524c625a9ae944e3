"""Likelihood: how well are the cells of held-out perturbations predicted."""

import pandas as pd

MIN_CELLS = 10  # a perturbation counts if it has more scored cells than this (Lopez et al. 2023)


def inll(log_likelihood: pd.Series, labels: pd.Series) -> float:
    """Interventional negative log-likelihood (Lopez et al. 2023): lower is better.

    Parameters
    ----------
    log_likelihood
        Per cell, nats: log p(x | perturbation), estimated by importance sampling (Burda et al. 2016).
        NaN where the cell was not scored.
    labels
        Perturbation per cell; both are indexed by cell.

    Returns
    -------
    Nats per cell: minus the mean over perturbations of the mean over their cells; perturbations with
    at most 10 scored cells are left out, and NaN is returned if none is left.
    """
    return -_mean_over_perturbations(log_likelihood, labels)


def reconstruction(negative_log_likelihood: pd.Series, labels: pd.Series) -> float:
    """Held-out reconstruction error, −E[log p(x | z)] under the posterior, averaged as in :func:`inll`.

    Both are indexed by cell; nats per cell, lower is better.
    """
    return _mean_over_perturbations(negative_log_likelihood, labels)


def effective_samples(sizes: pd.Series, labels: pd.Series) -> float:
    """Effective sample size of the importance weights (Kong 1992), averaged as in :func:`inll`.

    Few mean that a handful of samples carry the estimate of the likelihood, which is then too low.
    """
    return _mean_over_perturbations(sizes, labels)


def _mean_over_perturbations(scores: pd.Series, labels: pd.Series) -> float:
    cells = pd.DataFrame({"score": scores, "perturbation": labels}).dropna()
    groups = cells.groupby("perturbation", observed=True)["score"]
    return float(groups.mean()[groups.size() > MIN_CELLS].mean())
