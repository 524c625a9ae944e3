"""What a scope can say of the methods that are no model classes; light to load, unlike the methods.

The seed decides `random_state`, so it is no option. Arguments that do not change numbers (`copy`), and
those that a config file cannot hold (`w_init`), are none either.
"""

from typing import Any, Literal

from svae.options import Options
from svae.values import Count, NonNegative, Number, WholeNonNegative

SCIKIT_LEARNS: Any = None
"""Stands for a default, which is that of scikit-learn or the method's own; it is never handed on."""


class PCAOptions(Options):
    """Arguments of :class:`sklearn.decomposition.PCA`, the number of components as `n_latent`."""

    n_latent: Count = SCIKIT_LEARNS
    whiten: bool = SCIKIT_LEARNS
    svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"] = SCIKIT_LEARNS
    tol: NonNegative = SCIKIT_LEARNS
    iterated_power: WholeNonNegative | Literal["auto"] = SCIKIT_LEARNS
    n_oversamples: Count = SCIKIT_LEARNS
    power_iteration_normalizer: Literal["auto", "QR", "LU", "none"] = SCIKIT_LEARNS


class ContrastOptions(Options):
    """The constant of the contrast function `logcosh`, between 1 and 2."""

    alpha: Number = SCIKIT_LEARNS


class ICAOptions(Options):
    """Arguments of :class:`sklearn.decomposition.FastICA`, the number of components as `n_latent`."""

    n_latent: Count = SCIKIT_LEARNS
    algorithm: Literal["parallel", "deflation"] = SCIKIT_LEARNS
    whiten: Literal["unit-variance", "arbitrary-variance"] = SCIKIT_LEARNS
    fun: Literal["logcosh", "exp", "cube"] = SCIKIT_LEARNS
    fun_args: ContrastOptions = SCIKIT_LEARNS
    max_iter: Count = SCIKIT_LEARNS
    tol: NonNegative = SCIKIT_LEARNS
    whiten_solver: Literal["svd", "eigh"] = SCIKIT_LEARNS


class RandomOptions(Options):
    """The lower anchor has as many latents as it is told."""

    n_latent: Count


class OracleOptions(Options):
    """The oracle knows the truth: there is nothing to choose."""


OPTIONS: dict[str, type[Options]] = {
    "pca": PCAOptions,
    "ica": ICAOptions,
    "random": RandomOptions,
    "oracle": OracleOptions,
}
"""Options by method."""
