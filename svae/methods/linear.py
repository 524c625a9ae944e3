"""Linear baselines: principal and independent components of log-normalised counts."""

from collections.abc import Mapping
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA, FastICA

from svae.contracts.fit import Fit, Run
from svae.contracts.setting import Setting
from svae.contracts.split import seen_cells, shown_cells
from svae.errors import unknown
from svae.expression import log_normalised
from svae.methods.options import chosen_options, most_components, refuse_useless
from svae.seeds import seed_of_32_bits

METHODS = {"pca": PCA, "ica": FastICA}
DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "pca": {},
    "ica": {"whiten": "unit-variance", "max_iter": 1000, "tol": 1e-3},
}
FEW_GENES = 2000
"""Up to so many, PCA decomposes the covariance of all pairs of genes, whose time grows with their cube."""


def fit_linear(method: str, dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Fit components on the cells of parts train and validation; latents of all cells.

    Counts are scaled to the median library and log(1 + x) is taken. Shifts are those of
    :func:`mean_shifts`. There is no likelihood. Both solvers of PCA find the same
    components: that of few genes decomposes their covariance, that of many takes Lanczos steps on the cells.

    Parameters
    ----------
    method
        ``pca`` (Pearson 1901) or ``ica`` (FastICA, Hyvärinen & Oja 2000).
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are ``n_latent``, the number of components, and arguments of the scikit-learn class.

    Returns
    -------
    Fit
        `failed` if more components are asked for than there are genes, or than cells to fit them on.

    Raises
    ------
    BenchmarkError
        If there is no such linear method, or an option is unknown, out of range, or does nothing.
    """
    if method not in METHODS:
        raise unknown("linear method", method, METHODS, "fit_linear")
    seen = dataset.obs_names.isin(seen_cells(split).index)
    expression = log_normalised(dataset, float(np.median(np.asarray(dataset.X[seen].sum(axis=1)))))
    options = chosen_options(method, setting).model_dump(exclude_unset=True)
    refuse_useless(method, options, f"method '{method}', setting '{setting.name}'")
    arguments = {**DEFAULTS[method], **options}
    n_latent, (n_cells, n_genes) = arguments.pop("n_latent"), expression[seen].shape
    if n_latent > most_components(arguments, n_cells, n_genes):
        problem = (
            f"{n_latent} latents of {n_cells} cells to fit and {n_genes} genes; there are fewer components"
        )
        return Fit.missing(dataset.obs_names, setting, "failed", problem)
    if method == "pca":
        arguments["svd_solver"] = arguments.get("svd_solver") or pca_solver(n_latent, n_cells, n_genes)
    model = METHODS[method](n_components=n_latent, random_state=seed_of_32_bits(setting.seed), **arguments)
    model.fit(expression[seen])
    latents = model.transform(expression)
    return Fit(
        cells=dataset.obs_names,
        latents=latents.astype(np.float32),
        shifts=mean_shifts(latents, dataset.obs_names, split),
        run=Run(setting=setting.name, seed=setting.seed),
    )


def pca_solver(n_latent: int, n_cells: int, n_genes: int) -> str:
    """Name the solver of PCA for a shape: time and memory of the first grow with the square of the genes."""
    if n_genes <= FEW_GENES:
        return "covariance_eigh"
    return "arpack" if n_latent < min(n_cells, n_genes) else "full"


def mean_shifts(latents: np.ndarray, cells: pd.Index, split: pd.DataFrame) -> pd.DataFrame:
    """Mean latents of each perturbation less those of all cells trained on, perturbation × latent.

    Means of a held-out perturbation are over its part ``adapt``.

    Parameters
    ----------
    latents
        Of all cells, cells × latents.
    cells
        Names of these cells.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    """
    table = pd.DataFrame(latents, cells, [f"z{j + 1}" for j in range(latents.shape[1])])
    shown = shown_cells(split)
    from_mean = table.loc[shown.index] - table.loc[seen_cells(split).index].mean()
    return from_mean.groupby(shown.to_numpy()).mean().rename_axis("perturbation")
