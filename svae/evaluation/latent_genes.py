"""Which genes the latents of a fit move, as a tidy table."""

import pandas as pd

from svae.contracts.fit import Fit

COLUMNS = ("latent", "gene", "probability", "log2_fold_change")


def tidy_latent_genes(fit: Fit) -> pd.DataFrame:
    """Set the genes of the latents of a fit in long form.

    Returns
    -------
    ``latent`` (numbered from 1, in the order of the fit), ``gene``, ``probability`` that the latent moves the
    gene, and the median ``log2_fold_change`` if it grows by 1. Empty if the fit does not tell.
    """
    if fit.latent_genes is None:
        return pd.DataFrame(columns=COLUMNS)
    long = {
        name: table.set_axis(range(1, len(table) + 1)).stack() for name, table in fit.latent_genes.items()
    }
    return pd.DataFrame(long).rename_axis(["latent", "gene"]).reset_index()[list(COLUMNS)]
