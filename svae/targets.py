"""Read targets off shifts, by one rule for every method that has no masks."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from svae.words import CONTROL

THRESHOLD = 0.5
"""A latent is a target above this probability (Lopez et al. 2023)."""


def targets_from_shifts(
    shifts: pd.DataFrame,
    latents: np.ndarray,
    labels: Sequence[str] | pd.Series,
    control: str = CONTROL,
) -> pd.DataFrame:
    """Read targets off the shifts of a method without masks, by a rule that needs no truth.

    A Gaussian mixture of two components on |shift| says which shifts are large. The components share
    their variance, so that the probability rises with |shift|: with separate variances or on
    log |shift|, noise around zero splits in two and dense shifts are all called targets.

    Parameters
    ----------
    shifts
        Perturbation × latent, of trained perturbations. Each latent is centred at its median, since the
        place of zero is arbitrary for a method that does not know the unperturbed state, and most
        perturbations leave a given latent alone.
    latents
        Cells × latent, of the trained cells. Shifts are measured in units of the standard deviation
        between cells of one perturbation, so that latents on different scales (principal components,
        say) compare.
    labels
        Perturbation of each of those cells.
    control
        The label of unperturbed cells. It has no targets, and its row in `shifts`, if there is one, does
        not bear on those of the others.

    Returns
    -------
    Perturbation × latent, as `shifts`: posterior probability of the component with the larger mean; zeros
    if all shifts are equally large, so that none stands out.
    """
    from sklearn.mixture import GaussianMixture  # here, because it takes a second to import

    # In the order of the names, so that the mixture starts alike whatever the order of the rows.
    perturbed = shifts.drop(index=control, errors="ignore").sort_index()
    size = (perturbed - perturbed.median()).abs().to_numpy(dtype=float)
    spread = within_spread(latents, labels)
    size = np.divide(size, spread, out=np.zeros_like(size), where=spread > 0)
    values = size.reshape(-1, 1)
    probabilities = np.zeros(len(values))
    if len(values) and np.ptp(values) > 1e-12:
        # A fixed seed: the mixture is part of the rule, not of the experiment.
        mixture = GaussianMixture(2, covariance_type="tied", n_init=5, random_state=0)
        mixture.fit(values / values.max())
        probabilities = mixture.predict_proba(values / values.max())[:, mixture.means_.argmax()]
    targets = pd.DataFrame(probabilities.reshape(size.shape), perturbed.index, perturbed.columns)
    return targets.reindex(shifts.index, fill_value=0.0)


def within_spread(latents: np.ndarray, labels: Sequence[str] | pd.Series) -> np.ndarray:
    """Pooled standard deviation of each latent between cells of the same perturbation.

    Parameters
    ----------
    latents
        Cells × q.
    labels
        Perturbation of each of those cells.

    Returns
    -------
    One value per latent, in its unit.
    """
    cells = pd.DataFrame(np.asarray(latents, dtype=float))
    means = cells.groupby(np.asarray(labels), observed=True).transform("mean")
    return np.sqrt(((cells - means) ** 2).mean()).to_numpy()
