"""Which latents the design of a screen can tell apart, by the criterion of Lachapelle et al. (2022).

What is known of the latents is which perturbations act on which. Latent i may be mixed with latent j as long
as every perturbation that acts on i acts on j as well: no perturbation then shifts i alone. This is a fact of
the true targets of the trained perturbations. Methods have no part in it.
"""

import numpy as np


def inseparable(targets: np.ndarray) -> np.ndarray:
    """Say for each pair of latents whether the first may be mixed with the second.

    With A = 1 where a perturbation acts on a latent, C_ij = 1 if, and only if, Σ_k A_ki (1 − A_kj) = 0: no
    perturbation acts on latent i and spares latent j. A latent on which none acts may be mixed with all.

    Parameters
    ----------
    targets
        Trained perturbations × p latents, true (or 1) where the perturbation acts on the latent.

    Returns
    -------
    C, p × p, boolean; true on the diagonal.

    References
    ----------
    Lachapelle et al., Disentanglement via mechanism sparsity regularization, CLeaR 2022; the pattern C of
    their released code (github.com/slachapelle/disentanglement_via_mechanism_sparsity, metrics.py).
    """
    acts = np.asarray(targets, dtype=bool).astype(int)
    return acts.T @ (1 - acts) == 0


def identifiable(targets: np.ndarray) -> np.ndarray:
    """Say which latents meet the graph criterion of Lachapelle et al. (2022).

    Latent i does if the perturbations that act on it have no other target in common: it may then be mixed
    with no other latent.

    Parameters
    ----------
    targets
        As for :func:`inseparable`.

    Returns
    -------
    One boolean for each of the p latents. The criterion is sufficient: a latent that misses it may be found
    all the same, for instance because latents are known to be uncorrelated within a perturbation.
    """
    return inseparable(targets).sum(axis=1) == 1
