"""Linear baselines: principal and independent components of log-normalised counts."""

from collections.abc import Mapping, Sequence
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA, FastICA

from svae.contracts.fit import Fit, Run
from svae.contracts.setting import Setting
from svae.contracts.split import seen_cells
from svae.errors import unknown
from svae.expression import log_normalised

METHODS = {"pca": PCA, "ica": FastICA}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "pca": {"svd_solver": "covariance_eigh"},
    "ica": {"whiten": "unit-variance", "max_iter": 1000, "tol": 1e-3},
}


def fit_linear(method: str, dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Fit components on the cells of parts train and validation; latents of all cells.

    Counts are scaled to the median library and log(1 + x) is taken. Shifts are differences of mean
    latents to the mean of all cells. There is no likelihood.

    Parameters
    ----------
    method
        ``pca`` (Pearson 1901) or ``ica`` (FastICA, Hyvärinen & Oja 2000).
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are ``n_latent``, the number of components (at most the number of genes), and arguments
        of the scikit-learn class.

    Raises
    ------
    BenchmarkError
        If there is no such linear method.
    """
    if method not in METHODS:
        raise unknown("linear method", method, METHODS, "fit_linear")
    seen = dataset.obs_names.isin(seen_cells(split).index)
    expression = log_normalised(dataset, float(np.median(np.asarray(dataset.X[seen].sum(axis=1)))))
    arguments = {**OPTIONS[method], **setting.options}
    n_latent = arguments.pop("n_latent")
    model = METHODS[method](n_components=n_latent, random_state=setting.seed % 2**32, **arguments)
    model.fit(expression[seen])
    latents = model.transform(expression)
    return Fit(
        cells=dataset.obs_names,
        latents=latents.astype(np.float32),
        shifts=mean_shifts(latents[seen], dataset.obs["perturbation"].astype(str)[seen]),
        run=Run(setting=setting.name, seed=setting.seed),
    )


def mean_shifts(latents: np.ndarray, labels: pd.Series | Sequence[str]) -> pd.DataFrame:
    """Mean latents of each perturbation less those of all cells, perturbation × latent."""
    table = pd.DataFrame(latents, columns=[f"z{j + 1}" for j in range(latents.shape[1])])
    means = (table - table.mean()).groupby(np.asarray(labels)).mean()
    return means.rename_axis("perturbation")
