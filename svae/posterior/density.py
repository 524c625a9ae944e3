"""Log-density of the negative binomial, stable in single precision up to its Poisson limit.

With mean μ and inverse dispersion θ (variance μ + μ²/θ), and summed over genes by the caller,

    log NB(x; μ, θ) = log Γ(x + θ)/Γ(θ) − log x! + x log μ/(μ + θ) + θ log θ/(μ + θ).

Where θ is large, the counts are Poisson and two differences cancel: log Γ(x + θ) − log Γ(θ), and
x log μ − (x + θ) log(μ + θ) against θ log θ. ``torch.distributions`` and ``scvi.distributions`` compute
them as they stand, and in single precision are wrong by thousands of nats at θ = 10⁹. Here x log θ is
taken from the one and given to the other, which leaves two terms that stay small:

    constant = [log Γ(x + θ)/Γ(θ) − x log θ] − log x!      (does not depend on μ)
    kernel   = x log μ − (x + θ) log(1 + μ/θ)

The bracket is a difference of two Stirling series. They are taken four steps up, at x + θ + 4 and θ + 4,
where one term of the series is enough, and come down by Γ(z + 4) = z (z + 1)(z + 2)(z + 3) Γ(z). The form
of the series about z − ½ is the one of Abramowitz & Stegun (1964), 6.1.40 and 6.1.18.
"""

import torch
from torch import Tensor

SMALLEST_DISPERSION, LARGEST_DISPERSION = 1e-4, 1e9
"""Range of θ over which the density is tested. At its end the negative binomial is a Poisson: even at a
mean of 10⁵ the variances differ by one in ten thousand."""


def constant(x: Tensor, log_dispersion: Tensor) -> Tensor:
    """Terms of log NB(x; μ, θ) that do not depend on μ.

    Parameters
    ----------
    x
        Counts, … × genes.
    log_dispersion
        log θ of each gene, between the logarithms of 1e-4 and 1e9.

    Returns
    -------
    Nats, of the shape of `x`.
    """
    theta = log_dispersion.exp()
    raised, total = theta + 3.5, x + theta
    # Of each gene alone; the steps down from θ + 4 and the first term of its series are among them.
    per_gene = _log_four_steps(theta) + 1 / (24 * raised)
    per_count = torch.log1p(3.5 / theta) - 1
    series = (total + 3.5) * torch.log1p(x / raised) - (1 / 24) / (total + 3.5)
    return torch.addcmul(per_gene - torch.lgamma(x + 1), x, per_count) + series - _log_four_steps(total)


def kernel(x: Tensor, log_mean: Tensor, log_dispersion: Tensor) -> Tensor:
    """Terms of log NB(x; μ, θ) that depend on μ: x log μ − (x + θ) log(1 + μ/θ).

    Parameters
    ----------
    x
        Counts, … × genes.
    log_mean
        log μ; leading axes broadcast over those of `x`.
    log_dispersion
        log θ of each gene.

    Returns
    -------
    Nats, of the shape of `log_mean` and `x` together.
    """
    excess = torch.log1p(torch.exp(log_mean - log_dispersion))
    return x * log_mean - (x + log_dispersion.exp()) * excess


def _log_four_steps(z: Tensor) -> Tensor:
    """The logarithm of z (z + 1)(z + 2)(z + 3)."""
    outer = z * (z + 3)
    return torch.log(outer * (outer + 2))
