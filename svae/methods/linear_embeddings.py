"""Linear embeddings: genes and perturbations are points, and effects are linear in both."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.combinations import multi_hot
from svae.contracts.fit import Fit, Run
from svae.contracts.setting import Setting
from svae.contracts.split import held_out_cells, trained_cells, trained_perturbations
from svae.expression import profiles_of
from svae.methods.options import EmbeddingsOptions, chosen_options


def fit_linear_embeddings(dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Predict a held-out perturbation from where the gene that it perturbs lies among all genes.

    Y (genes × trained perturbations) holds profiles less their mean. A gene's embedding, a row of A, is its
    scores on the first principal components of Y. A perturbation's, a row of B, is the embedding of its own
    gene, or the sum of those of its parts. The map K between them is the ridge solution of Ahlmann-Eltze et
    al. (2025):

        K = (AᵀA + λI)⁻¹ Aᵀ Y B (BᵀB + λI)⁻¹,    prediction = mean + A K b.

    Parameters
    ----------
    dataset
        Counts of all cells, cells × genes; those of parts train and validation are looked at. Perturbations
        are called after genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.EmbeddingsOptions`; ``n_latent``, which every
        method is handed, is passed over.

    Returns
    -------
    Fit
        With predictions on the basis ``zero_shot`` for all held-out perturbations; that of a perturbation
        whose gene is not measured is the mean. `not_applicable` if fewer than two trained perturbations, or
        none of the held-out ones, are called after measured genes.

    Raises
    ------
    BenchmarkError
        If an option is unknown or out of range.
    """
    options: EmbeddingsOptions = chosen_options("linear_embeddings", setting)
    trained, held_out = trained_perturbations(split).sort_values(), sorted(held_out_cells(split).unique())
    measured = {name: _is_measured(name, dataset.var_names) for name in [*trained, *held_out]}
    known = [name for name in trained if measured[name]]
    problem = None
    if len(known) < 2:
        problem = f"{len(known)} trained perturbations are called after measured genes, but two are needed"
    elif not any(measured[name] for name in held_out):
        problem = "no held-out perturbation is called after a measured gene"
    if problem is not None:
        return Fit.missing(dataset.obs_names, setting, "not_applicable", problem)

    profiles = profiles_of(dataset, trained_cells(split))
    mean = profiles.mean()
    Y = (profiles - mean).T
    A = gene_embeddings(Y, options.components)
    B = perturbation_embeddings(known, A)
    K = _ridge(A, options.ridge) @ A.T @ Y[known] @ B @ _ridge(B, options.ridge)
    changes = perturbation_embeddings(held_out, A) @ K.T.to_numpy() @ A.T.to_numpy()
    predicted = (changes.set_axis(dataset.var_names, axis=1) + mean).clip(lower=0)
    run = Run(setting=setting.name, seed=setting.seed)
    return Fit(dataset.obs_names, predictions={"zero_shot": predicted}, run=run)


def gene_embeddings(changes: pd.DataFrame, components: int) -> pd.DataFrame:
    """Return the scores of genes on the first principal components of changes, genes × perturbations."""
    left, sizes, _ = np.linalg.svd(changes.to_numpy(), full_matrices=False)
    return pd.DataFrame((left * sizes)[:, :components], changes.index)


def perturbation_embeddings(perturbations: list[str], genes: pd.DataFrame) -> pd.DataFrame:
    """Return the sum of the embeddings of the genes that each perturbation is called after; 0 without any."""
    parts = multi_hot(perturbations)
    return parts @ genes.reindex(parts.columns, fill_value=0.0)


def _is_measured(perturbation: str, genes: pd.Index) -> bool:
    """Whether all parts of a perturbation are called after genes of the dataset."""
    return multi_hot([perturbation]).columns.isin(genes).all()


def _ridge(embeddings: pd.DataFrame, ridge: float) -> np.ndarray:
    """Inverse of the products of embeddings, with `ridge` on the diagonal."""
    return np.linalg.inv(
        embeddings.T.to_numpy() @ embeddings.to_numpy() + ridge * np.eye(embeddings.shape[1])
    )
