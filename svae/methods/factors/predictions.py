"""Profiles of held-out perturbations: their latents, decoded."""

from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.combinations import sums_of_parts
from svae.contracts.split import combinations_of_trained, held_out_cells
from svae.expression import memberships, profile
from svae.methods.factors.expression import Standardisation
from svae.methods.factors.model import Factors, Posterior, latent_precision
from svae.words import Basis


@dataclass(frozen=True)
class Decoder:
    """From the mean latents of a perturbation to its profile.

    The model predicts logarithms, y, but a profile is made of counts. The mean of exp(y) is exp of the mean
    times the mean of exp(residual). This factor is measured gene by gene on the cells of training (smearing,
    Duan 1983), and residuals of held-out cells are taken to be like these.

    Attributes
    ----------
    scale
        How expression was standardised.
    factors
        What was fitted.
    smearing
        Factor of each gene.
    """

    scale: Standardisation
    factors: Factors
    smearing: np.ndarray

    @classmethod
    def of(
        cls, scale: Standardisation, factors: Factors, expression: np.ndarray, means: np.ndarray
    ) -> "Decoder":
        """Measure the residuals of cells of training.

        Parameters
        ----------
        scale
            How `expression` was standardised.
        factors
            What was fitted.
        expression
            Cells × genes.
        means
            Mean latents of the perturbation of each cell, cells × latents.
        """
        residuals = (expression - means @ factors.loadings.T) * scale.sd
        return cls(scale, factors, np.exp(residuals).mean(axis=0))

    def profiles(self, shifts: pd.DataFrame, genes: pd.Index) -> pd.DataFrame:
        """Decode shifts, perturbations × latents, into profiles, perturbations × genes."""
        means = self.factors.baseline + shifts.to_numpy()
        logarithms = means @ self.factors.loadings.T * self.scale.sd + self.scale.mean
        counts = np.maximum(np.exp(logarithms) * self.smearing - 1, 0.0)
        return profile(pd.DataFrame(counts, shifts.index, genes))


def predictions(
    decoder: Decoder, adapted: pd.DataFrame, parts: pd.Index, genes: pd.Index, split: pd.DataFrame
) -> dict[Basis, pd.DataFrame]:
    """Predict profiles of held-out perturbations, on every basis that there is.

    Parameters
    ----------
    decoder
        From shifts to profiles.
    adapted
        Shifts that :func:`adapted_shifts` found, held-out perturbations × latents.
    parts
        Names of the single perturbations, in the order of the fitted shifts.
    genes
        Those of the dataset.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    """
    held_out = sorted(held_out_cells(split).unique())
    if not held_out:
        return {}
    known = pd.DataFrame(decoder.factors.shifts, parts)
    shifts: dict[Basis, pd.DataFrame] = {
        "zero_shot": pd.DataFrame(0.0, held_out, known.columns),
        "adapted": adapted,
    }
    combinations = combinations_of_trained(split)
    if len(combinations):
        shifts["combination"] = sums_of_parts(combinations, known)
    return {basis: decoder.profiles(table, genes) for basis, table in shifts.items()}


def adapted_shifts(
    posterior: Posterior, scale: Standardisation, dataset: ad.AnnData, labels: pd.Series
) -> pd.DataFrame:
    """Estimate shifts of held-out perturbations from some of their cells; perturbations × latents.

    Given the loadings, the mean expression of n cells is normal around W (c + β) with the covariance
    (W Wᵀ + diag(ψ)) / n. The prior of β is the slab of the trained shifts. The estimate is the posterior
    mean.

    Parameters
    ----------
    posterior
        What was fitted.
    scale
        How expression was standardised.
    dataset
        Has the cells.
    labels
        Perturbation of each of these cells, indexed by cell.
    """
    factors = posterior.factors
    excess = scale.apply(dataset[labels.index]) - factors.loadings @ factors.baseline
    covariance = np.linalg.inv(latent_precision(factors))  # of the latents of a cell given its expression
    evidence = excess @ (factors.loadings / factors.noise[:, None]) @ covariance
    membership, names = memberships(labels)
    counts = np.asarray(membership.sum(axis=1)).ravel()
    of_cell, of_prior = np.eye(len(covariance)) - covariance, np.diag(1 / posterior.slab)
    precisions = counts[:, None, None] * of_cell + of_prior
    shifts = np.linalg.solve(precisions, (membership @ evidence)[..., None])[..., 0]
    return pd.DataFrame(shifts, names)
