"""Posterior predictive checks: generated cells should have the means, variances and zeros of real ones."""

import numpy as np
import pandas as pd
from scipy import sparse

from svae.contracts.fit import Fit
from svae.evaluation.response import Response
from svae.expression import COUNT_STATISTICS, count_statistics

COLUMNS = ("statistic", "gene", "generated", "real")


def predictive_checks(fit: Fit, response: Response | None) -> pd.DataFrame:
    """Compare generated cells of held-out perturbations with real ones, gene by gene.

    Parameters
    ----------
    fit
        Its generated cells that saw most of the perturbations count: those adapted, if there are any.
    response
        What real cells of part ``test`` do.

    Returns
    -------
    ``statistic``, ``gene``, and its value in ``generated`` and in ``real`` cells, averaged over held-out
    perturbations. Empty if the fit has no generated cells, or not on the scale of counts.
    """
    if response is None or not response.counts or not fit.generated:
        return pd.DataFrame(columns=COLUMNS)
    cells = fit.generated.get("adapted") or next(iter(fit.generated.values()))
    counts = sparse.csr_matrix(cells.counts)
    if (counts.data != np.floor(counts.data)).any():
        return pd.DataFrame(columns=COLUMNS)
    drawn = count_statistics(counts, pd.Series(cells.perturbation), response.genes)
    tables = [
        pd.DataFrame(
            {
                "statistic": statistic,
                "generated": drawn[statistic].mean(),
                "real": response.counts[statistic].loc[drawn[statistic].index].mean(),
            }
        )
        for statistic in COUNT_STATISTICS
    ]
    return pd.concat(tables).rename_axis("gene").reset_index()[list(COLUMNS)]
