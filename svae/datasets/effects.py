"""How strongly a perturbation changes cells, to hold out those with the largest effect."""

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from svae.errors import BenchmarkError
from svae.expression import log_normalised
from svae.words import CONTROL


def effect_sizes(
    dataset: ad.AnnData, n_components: int = 50, seed: int = 0, where: str = "split"
) -> pd.Series:
    """Squared distance of each perturbation's mean to that of the control, largest first.

    In the first principal components of log-normalised counts, where it is the maximum mean
    discrepancy with a linear kernel, as in the script of Lopez et al. (2023) for Norman et al. (2019).
    """
    labels = dataset.obs["perturbation"].astype(str).to_numpy()
    if CONTROL not in labels:
        raise BenchmarkError(
            f"{where}: the kind 'largest_effect' needs control cells, and the dataset has none"
        )
    expression = log_normalised(dataset, float(np.median(np.asarray(dataset.X.sum(axis=1)))))
    n_components = min(n_components, *(size - 1 for size in expression.shape))
    components = PCA(n_components, random_state=seed).fit_transform(expression)
    means = pd.DataFrame(components).groupby(labels).mean()
    distances = ((means - means.loc[CONTROL]) ** 2).sum(axis=1).drop(CONTROL)
    return distances.sort_values(ascending=False, kind="stable").rename("effect")
