"""Train a model of scvi-tools, and write down what it knows of all cells."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scvi

from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, held_out_cells
from svae.errors import unknown
from svae.methods.expected import drawn_like_shown_cells
from svae.methods.linear import mean_shifts
from svae.methods.options import chosen_options
from svae.methods.scvi_tools.scarches import TrainedScArches
from svae.methods.scvi_tools.screen import Screen
from svae.methods.scvi_tools.trained import Trained, TrainedContrastiveVI, TrainedSCANVI, TrainedSCVI
from svae.words import CONTROL

logger = logging.getLogger(__name__)

MODELS: Mapping[str, Callable[[Screen, Mapping[str, Any], str], Trained]] = {
    "scvi": TrainedSCVI,
    "scanvi": TrainedSCANVI,
    "contrastive_vi": TrainedContrastiveVI,
    "scarches": TrainedScArches,
}
NEED_CONTROL: Mapping[str, str] = {
    "contrastive_vi": "it tells perturbed cells from control cells",
    "scarches": "it predicts what control cells would be under a perturbation",
}
"""Methods that have nothing to do without control cells, and why."""


def fit_scvi_tools(
    method: str,
    dataset: ad.AnnData,
    split: pd.DataFrame,
    setting: Setting,
    likelihood_samples: int = 250,
    accelerator: str = "auto",
    model_folder: Path | None = None,
) -> Fit:
    """Train a model of scvi-tools on the parts train and validation; latents of all cells.

    Shifts are differences of mean latents (:func:`svae.methods.linear.mean_shifts`). Only scArches adapts to
    a held-out perturbation; for the others, all three protocols score its cells alike.

    Parameters
    ----------
    method
        ``scvi``, ``scanvi``, ``contrastive_vi`` or ``scarches``.
    dataset
        Counts of all cells, cells × genes.
    split
        One row per cell: ``cell``, ``perturbation``, ``part``.
    setting
        Its options are ``n_latent``, arguments of the model class, and some of its ``train``.
    likelihood_samples
        Samples per cell of the likelihood, drawn from the encoder's posterior.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    model_folder
        Where to save the trained model, by the library's ``save``; by default it is not saved.

    Returns
    -------
    Fit
        `not_applicable` if the method needs control cells and there are none.

    Raises
    ------
    BenchmarkError
        If there is no such method, or an option is unknown or out of range.
    """
    if method not in MODELS:
        raise unknown("method of scvi-tools", method, MODELS, "fit_scvi_tools")
    options = chosen_options(method, setting).model_dump(exclude_none=True)
    screen = Screen.of(dataset, split)
    if method in NEED_CONTROL and CONTROL not in set(screen.seen.obs["perturbation"]):
        message = f"{NEED_CONTROL[method]}, and there are no control cells"
        return Fit.failed(
            dataset.obs_names, "not_applicable", message, setting=setting.name, seed=setting.seed
        )
    scvi.settings.seed = setting.seed
    logger.info("training %s on %d cells", method, len(screen.training))
    trained = MODELS[method](screen, options, accelerator)
    if model_folder is not None:
        trained.learner.save(str(model_folder), overwrite=True)
    # The library writes into the dataset that it is asked about.
    cells = ad.AnnData(dataset.X, dataset.obs.copy(), dataset.var)
    latents = trained.latents(cells)
    history = trained.history()
    selection = {"validation_likelihood": -float(history["validation"].iloc[-1])}
    return Fit(
        cells=dataset.obs_names,
        latents=latents,
        scores=_scores(trained, cells, split, likelihood_samples),
        predictions=trained.predictions(cells, split),
        generated=drawn_like_shown_cells(trained.draw, cells, split) if trained.draws else None,
        shifts=mean_shifts(latents, dataset.obs_names, split),
        history=history,
        selection=selection if len(screen.validation) else {},
        run=Run(setting=setting.name, seed=setting.seed),
        # Last, so that its draws leave all other numbers as they are.
        differential=trained.differential(),
    )


def _scores(
    trained: Trained, dataset: ad.AnnData, split: pd.DataFrame, n_samples: int
) -> pd.DataFrame | None:
    """Log-likelihood of held-out cells after each protocol that the model has; None if it has none."""
    held_out = dataset[dataset.obs_names.isin(held_out_cells(split).index)].copy()
    values = trained.log_likelihood(held_out, n_samples) if held_out.n_obs else None
    if values is None:
        return None
    is_test = held_out.obs_names.isin(cells_of(split, "test").index)
    columns = {
        f"log_likelihood_{protocol}": np.where(is_test, values, np.nan) if protocol == "clean" else values
        for protocol in trained.protocols
    }
    return pd.DataFrame(columns, held_out.obs_names).reindex(dataset.obs_names)
