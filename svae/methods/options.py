"""What a scope can say of the methods that are no model classes; light to load, unlike the methods.

The seed decides `random_state`, so it is no option. Arguments that do not change numbers (`copy`), and
those that a config file cannot hold (`w_init`), are none either.
"""

from typing import Literal

from svae.options import Options
from svae.values import Count, NonNegative, Number, WholeNonNegative


class PCAOptions(Options):
    """Arguments of :class:`sklearn.decomposition.PCA`, the number of components as `n_latent`."""

    n_latent: Count | None = None
    whiten: bool | None = None
    svd_solver: Literal["auto", "full", "covariance_eigh", "arpack", "randomized"] | None = None
    tol: NonNegative | None = None
    iterated_power: WholeNonNegative | Literal["auto"] | None = None
    n_oversamples: Count | None = None
    power_iteration_normalizer: Literal["auto", "QR", "LU", "none"] | None = None


class ContrastOptions(Options):
    """The constant of the contrast function `logcosh`, between 1 and 2."""

    alpha: Number = 1.0


class ICAOptions(Options):
    """Arguments of :class:`sklearn.decomposition.FastICA`, the number of components as `n_latent`."""

    n_latent: Count | None = None
    algorithm: Literal["parallel", "deflation"] | None = None
    whiten: Literal["unit-variance", "arbitrary-variance"] | None = None
    fun: Literal["logcosh", "exp", "cube"] | None = None
    fun_args: ContrastOptions | None = None
    max_iter: Count | None = None
    tol: NonNegative | None = None
    whiten_solver: Literal["svd", "eigh"] | None = None


class RandomOptions(Options):
    """The lower anchor has as many latents as it is told."""

    n_latent: Count | None = None


class OracleOptions(Options):
    """The oracle knows the truth: there is nothing to choose."""


OPTIONS: dict[str, type[Options]] = {
    "pca": PCAOptions,
    "ica": ICAOptions,
    "random": RandomOptions,
    "oracle": OracleOptions,
}
"""Options by method."""
