"""Read targets off shifts, by one rule for every method that has no masks."""

import numpy as np
import pandas as pd

THRESHOLD = 0.5
"""A latent is a target above this probability (Lopez et al. 2023)."""


def targets_from_shifts(shifts: pd.DataFrame, scale: np.ndarray | None = None) -> pd.DataFrame:
    """Read targets off the shifts of a method without masks, by a rule that needs no truth.

    A Gaussian mixture of two components on |shift| says which shifts are large. The components share
    their variance, so that the probability rises with |shift|: with separate variances or on
    log |shift|, noise around zero splits in two and dense shifts are all called targets.

    Parameters
    ----------
    shifts
        Perturbation × latent. Each latent is centred at its median, since the place of zero is
        arbitrary for a method that does not know the unperturbed state, and most perturbations leave
        a given latent alone.
    scale
        Per latent, the standard deviation between the cells of one perturbation: makes latents
        on different scales (principal components, say) comparable. Left out: all are on one scale.

    Returns
    -------
    Perturbation × latent, posterior probability of the component with the larger mean; zeros if all
    shifts are equally large, so that none stands out.
    """
    from sklearn.mixture import GaussianMixture

    size = (shifts - shifts.median()).abs().to_numpy(dtype=float)
    if scale is not None:
        size = np.divide(size, scale, out=np.zeros_like(size), where=np.asarray(scale) > 0)
    values = size.reshape(-1, 1)
    probabilities = np.zeros(len(values))
    if np.ptp(values) > 1e-12:
        # A fixed seed: the mixture is part of the rule, not of the experiment.
        mixture = GaussianMixture(2, covariance_type="tied", n_init=5, random_state=0)
        mixture.fit(values / values.max())
        probabilities = mixture.predict_proba(values / values.max())[:, mixture.means_.argmax()]
    return pd.DataFrame(probabilities.reshape(size.shape), index=shifts.index, columns=shifts.columns)


def within_spread(latents: np.ndarray, labels: pd.Series) -> np.ndarray:
    """Pooled standard deviation of each latent between cells of the same perturbation.

    `latents` is cells × q and `labels` the perturbation of each of those cells; q values.
    """
    cells = pd.DataFrame(np.asarray(latents, dtype=float))
    means = cells.groupby(labels.to_numpy(), observed=True).transform("mean")
    return np.sqrt(((cells - means) ** 2).mean()).to_numpy()
