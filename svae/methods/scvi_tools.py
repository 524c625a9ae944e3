"""Models of scvi-tools as they are: scVI, scANVI and contrastiveVI, with the library's own training."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import scvi
from scipy import sparse
from scvi.external import ContrastiveVI
from scvi.model import SCANVI, SCVI

from svae.contracts.fit import Fit
from svae.contracts.run import Run
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, held_out_cells, seen_cells
from svae.errors import unknown
from svae.methods.expected import drawn_like_shown_cells, expected_of_shown_cells
from svae.methods.linear import mean_shifts
from svae.methods.options import OPTIONS
from svae.options import checked
from svae.words import CONTROL

logger = logging.getLogger(__name__)

UNKNOWN = "unknown"
"""What scANVI calls cells whose label it is not told."""

OF_TRAINING = ("max_epochs", "batch_size", "early_stopping")
"""Options that belong to the training; all others are arguments of the model class."""


@dataclass(frozen=True, eq=False)
class Screen:
    """The cells of a dataset as a model of scvi-tools takes them.

    Attributes
    ----------
    seen
        Cells of the trained perturbations and the control, which the model is built on.
    training, validation
        Indices of those cells.
    batch_key
        Column of ``obs`` that holds the batches; None if there are none.
    """

    seen: ad.AnnData
    training: np.ndarray
    validation: np.ndarray
    batch_key: str | None

    @classmethod
    def of(cls, dataset: ad.AnnData, split: pd.DataFrame) -> "Screen":
        """Select the cells that a method may train on."""
        seen = dataset[dataset.obs_names.isin(seen_cells(split).index)].copy()
        seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
        return cls(
            seen,
            np.flatnonzero(seen.obs_names.isin(cells_of(split, "train").index)),
            np.flatnonzero(seen.obs_names.isin(cells_of(split, "validation").index)),
            "batch" if "batch" in seen.obs else None,
        )

    def training_arguments(self, options: Mapping[str, Any], accelerator: str) -> dict[str, Any]:
        """Arguments of ``train`` that make it keep to the split, and validate after each epoch."""
        parts = [self.training, self.validation, np.array([], dtype=int)]
        return {
            **{name: value for name, value in options.items() if name in OF_TRAINING},
            "datasplitter_kwargs": {"external_indexing": parts},
            "accelerator": "gpu" if accelerator == "cuda" else accelerator,
            "devices": 1,
            "check_val_every_n_epoch": 1 if len(self.validation) else None,
            "enable_progress_bar": False,
        }


class Trained(ABC):
    """A trained model of scvi-tools, asked for what a fit holds."""

    model: Any
    cells_per_loss = 1
    """Of how many cells the library's loss is the sum."""
    draws = True
    """Whether the library draws cells from the model."""

    @abstractmethod
    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents."""

    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Expected share of each gene in the counts of each cell, cells × genes."""
        # At one sample of the latents of each cell.
        return self.model.get_normalized_expression(cells, library_size=1, return_numpy=True)

    def draw(self, cells: ad.AnnData) -> sparse.csr_matrix:
        """Counts drawn from the posterior predictive distribution of each cell, cells × genes."""
        return self.model.posterior_predictive_sample(cells, n_samples=1).to_scipy_sparse().tocsr()

    def log_likelihood(self, cells: ad.AnnData, n_samples: int) -> np.ndarray | None:
        """Log p(x) of each cell in nats, by samples of the encoder's posterior; None if there is none."""
        return None

    def history(self) -> pd.DataFrame:
        """Columns ``epoch``, ``train`` and ``validation``: −ELBO in nats per cell."""
        train = self.model.history["elbo_train"]["elbo_train"].to_numpy(dtype=float)
        validation = np.full(len(train), np.nan)
        if "elbo_validation" in self.model.history:
            validation = self.model.history["elbo_validation"]["elbo_validation"].to_numpy(dtype=float)
        losses = {"train": train / self.cells_per_loss, "validation": validation / self.cells_per_loss}
        return pd.DataFrame({"epoch": np.arange(1, len(train) + 1), **losses})


class TrainedSCVI(Trained):
    """scVI (Lopez et al. 2018): one prior for all cells; it is never told the perturbation."""

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        SCVI.setup_anndata(screen.seen, batch_key=screen.batch_key)
        self.model = SCVI(screen.seen, **_of_model(options))
        self.model.train(**screen.training_arguments(options, accelerator))

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents."""
        return self.model.get_latent_representation(cells)

    def log_likelihood(self, cells: ad.AnnData, n_samples: int) -> np.ndarray:
        """Log p(x) of each cell in nats."""
        found = self.model.get_marginal_ll(cells, n_mc_samples=n_samples, return_mean=False)
        return np.asarray(found, dtype=float)


class TrainedSCANVI(Trained):
    """scANVI (Xu et al. 2021): scVI, then trained on with a classifier of perturbations."""

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        SCVI.setup_anndata(screen.seen, labels_key="perturbation", batch_key=screen.batch_key)
        before = SCVI(screen.seen, **_of_model(options))
        arguments = screen.training_arguments(options, accelerator)
        before.train(**arguments)
        self.model = SCANVI.from_scvi_model(before, unlabeled_category=UNKNOWN)
        # How long scANVI trains follows from how long scVI did, by the library's own rule.
        self.model.train(**{name: value for name, value in arguments.items() if name != "max_epochs"})

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means, cells × latents; the encoder is not told the label."""
        return self.model.get_latent_representation(_unlabelled(cells))

    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Expected share of each gene in the counts of each cell, whose label it is not told."""
        return super().shares(_unlabelled(cells))

    def draw(self, cells: ad.AnnData) -> sparse.csr_matrix:
        """Counts drawn from the posterior predictive distribution of each cell, which has no label."""
        return super().draw(_unlabelled(cells))


class TrainedContrastiveVI(Trained):
    """contrastiveVI (Weinberger et al. 2023): latents that all cells share, and salient ones of targets."""

    cells_per_loss = 2  # each step takes pairs of a control cell and a perturbed one
    draws = False

    def __init__(self, screen: Screen, options: Mapping[str, Any], accelerator: str):
        ContrastiveVI.setup_anndata(screen.seen, batch_key=screen.batch_key)
        arguments = {name: value for name, value in _of_model(options).items() if name != "n_latent"}
        self.model = ContrastiveVI(screen.seen, n_salient_latent=options["n_latent"], **arguments)
        is_control = (screen.seen.obs["perturbation"] == CONTROL).to_numpy()
        self.model.train(
            background_indices=np.flatnonzero(is_control).tolist(),
            target_indices=np.flatnonzero(~is_control).tolist(),
            **screen.training_arguments(options, accelerator),
        )

    def latents(self, cells: ad.AnnData) -> np.ndarray:
        """Posterior means of the salient latents, cells × latents."""
        return self.model.get_latent_representation(cells, representation_kind="salient")

    def shares(self, cells: ad.AnnData) -> np.ndarray:
        """Expected share of each gene in the counts of each cell, salient latents included."""
        return self.model.get_normalized_expression(cells, library_size=1, return_numpy=True)["salient"]


MODELS: Mapping[str, Callable[[Screen, Mapping[str, Any], str], Trained]] = {
    "scvi": TrainedSCVI,
    "scanvi": TrainedSCANVI,
    "contrastive_vi": TrainedContrastiveVI,
}
NEED_CONTROL = ("contrastive_vi",)


def fit_scvi_tools(
    method: str,
    dataset: ad.AnnData,
    split: pd.DataFrame,
    setting: Setting,
    likelihood_samples: int = 250,
    accelerator: str = "auto",
) -> Fit:
    """Train a model of scvi-tools on the parts train and validation; latents of all cells.

    Shifts are differences of mean latents to the mean of all cells that were trained on. None of these models
    has a shift that could adapt to a held-out perturbation, so all three protocols score its cells alike.

    Parameters
    ----------
    method
        ``scvi``, ``scanvi`` or ``contrastive_vi``.
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
    where = f"method '{method}', setting '{setting.name}'"
    options = checked(OPTIONS[method], setting.options, where).model_dump(exclude_unset=True)
    screen = Screen.of(dataset, split)
    if method in NEED_CONTROL and CONTROL not in set(screen.seen.obs["perturbation"]):
        message = "it tells perturbed cells from control cells, and there are no control cells"
        return Fit.failed(
            dataset.obs_names, "not_applicable", message, setting=setting.name, seed=setting.seed
        )
    scvi.settings.seed = setting.seed
    logger.info("training %s on %d cells", method, len(screen.training))
    trained = MODELS[method](screen, options, accelerator)
    # The library writes into the dataset that it is asked about.
    cells = ad.AnnData(dataset.X, dataset.obs.copy(), dataset.var)
    latents = trained.latents(cells)
    history = trained.history()
    is_seen = dataset.obs_names.isin(screen.seen.obs_names)
    selection = {"validation_likelihood": -float(history["validation"].iloc[-1])}
    return Fit(
        cells=dataset.obs_names,
        latents=latents,
        scores=_scores(trained, cells, split, likelihood_samples),
        predictions=expected_of_shown_cells(trained.shares, cells, split),
        generated=drawn_like_shown_cells(trained.draw, cells, split) if trained.draws else None,
        shifts=mean_shifts(latents[is_seen], dataset.obs["perturbation"].astype(str)[is_seen]),
        history=history,
        selection=selection if len(screen.validation) else {},
        run=Run(setting=setting.name, seed=setting.seed),
    )


def _of_model(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in OF_TRAINING}


def _unlabelled(cells: ad.AnnData) -> ad.AnnData:
    """Give all cells the label of cells that have none, because the library asks for one."""
    return ad.AnnData(cells.X, cells.obs.assign(perturbation=UNKNOWN), cells.var)


def _scores(
    trained: Trained, dataset: ad.AnnData, split: pd.DataFrame, n_samples: int
) -> pd.DataFrame | None:
    """Log-likelihood of held-out cells after each protocol; None if the model has none."""
    held_out = dataset[dataset.obs_names.isin(held_out_cells(split).index)].copy()
    values = trained.log_likelihood(held_out, n_samples) if held_out.n_obs else None
    if values is None:
        return None
    is_test = held_out.obs_names.isin(cells_of(split, "test").index)
    columns = {
        "log_likelihood_zero_shot": values,
        "log_likelihood_same_cells": values,
        "log_likelihood_clean": np.where(is_test, values, np.nan),
    }
    return pd.DataFrame(columns, held_out.obs_names).reindex(dataset.obs_names)
