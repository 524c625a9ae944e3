"""Fit a linear factor model with sparse shifts, and hand back what a benchmark asks of it."""

from collections.abc import Callable, Mapping

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.combinations import multi_hot
from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, trained_perturbations
from svae.errors import unknown
from svae.methods.factors.expression import PseudoCells, Standardisation, design_of
from svae.methods.factors.gsfa import sample
from svae.methods.factors.model import Posterior, first_factors, latent_means
from svae.methods.factors.perturbvi import climb
from svae.methods.factors.predictions import Decoder, adapted_shifts, predictions
from svae.methods.options import GSFAOptions, PerturbVIOptions, chosen_options, most_components


def fit_factors(method: str, dataset: ad.AnnData, split: pd.DataFrame, setting: Setting) -> Fit:
    """Fit a linear factor model on the cells of parts train and validation; latents of all cells.

    Parameters
    ----------
    method
        ``gsfa`` (Zhou et al. 2023) or ``perturbvi``.
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are those of :class:`~svae.methods.options.GSFAOptions` or
        :class:`~svae.methods.options.PerturbVIOptions`.

    Returns
    -------
    Fit
        ``latents`` are posterior means given the counts alone, as if no cell had a shift, so that they
        compare with those of an encoder; ``latent_modes`` know the perturbation, too. ``targets`` are
        posterior inclusion probabilities; those of a combination say that it has one of its parts' shifts,
        and its shifts are sums. The fit is `failed` if there are more latents than genes, or than
        cells to fit them on.

    Raises
    ------
    BenchmarkError
        If there is no such method, or an option is unknown or out of range.
    """
    if method not in METHODS:
        raise unknown("factor method", method, METHODS, "fit_factors")
    options = chosen_options(method, setting)
    design = design_of(split)
    seen = dataset[design.index]
    most = most_components({}, *seen.shape)
    if options.n_latent > most:
        problem = (
            f"{options.n_latent} latents of {seen.n_obs} cells to fit and {seen.n_vars} genes; at most {most}"
        )
        return Fit.missing(dataset.obs_names, setting, "failed", problem)
    scale = Standardisation.of(seen)
    expression = scale.apply(dataset)
    of_seen = expression[dataset.obs_names.get_indexer(design.index)]
    cells = PseudoCells.of(of_seen, design.to_numpy())
    posterior = METHODS[method](cells, options, setting.seed)

    factors = posterior.factors
    trained = multi_hot(trained_perturbations(split).sort_values()).reindex(columns=design.columns)
    latents = [f"z{j + 1}" for j in range(options.n_latent)]
    design_of_all = design.reindex(dataset.obs_names, fill_value=0.0).to_numpy()
    means = factors.baseline + design_of_all @ factors.shifts
    means_of_seen = factors.baseline + design.to_numpy() @ factors.shifts
    decoder = Decoder.of(scale, factors, of_seen, means_of_seen)
    adapted = adapted_shifts(posterior, scale, dataset, cells_of(split, "adapt"))
    of_trained = pd.DataFrame(trained.to_numpy() @ factors.shifts, trained.index)
    return Fit(
        cells=dataset.obs_names,
        latents=latent_means(expression, factors.baseline, factors).astype(np.float32),
        latent_modes=latent_means(expression, means, factors).astype(np.float32),
        targets=pd.DataFrame(any_part(trained.to_numpy(), posterior.inclusion), trained.index, latents),
        shifts=pd.concat([of_trained, adapted]).set_axis(latents, axis=1),
        predictions=predictions(decoder, adapted, design.columns, dataset.var_names, split) or None,
        history=_history(posterior.losses),
        run=Run(setting=setting.name, seed=setting.seed),
    )


def any_part(parts: np.ndarray, inclusion: np.ndarray) -> np.ndarray:
    """Probability that one part at least has a shift, perturbations × latents.

    Parameters
    ----------
    parts
        Perturbations × parts, 1 for a part of the perturbation and 0 elsewhere.
    inclusion
        Probability that a part has a shift, parts × latents.
    """
    return 1 - np.prod(1 - parts[:, :, None] * inclusion, axis=1)


def _fit_gsfa(cells: PseudoCells, options: GSFAOptions, seed: int) -> Posterior:
    start = first_factors(cells, options.n_latent, seed)
    return sample(cells, start, options.sweeps, options.burn_in, seed)


def _fit_perturbvi(cells: PseudoCells, options: PerturbVIOptions, seed: int) -> Posterior:
    start = first_factors(cells, options.n_latent, seed)
    return climb(cells, start, options.effects, options.iterations, options.tolerance)


METHODS: Mapping[str, Callable[..., Posterior]] = {"gsfa": _fit_gsfa, "perturbvi": _fit_perturbvi}


def _history(losses: list[float]) -> pd.DataFrame:
    """Losses by iteration; no cell is set aside for validation."""
    epochs = range(1, len(losses) + 1)
    return pd.DataFrame({"epoch": epochs, "train": losses, "validation": np.nan})
