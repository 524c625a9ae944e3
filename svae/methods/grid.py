"""Train the whole grid of a method on one dataset and split, and write down what each setting gave."""

import logging
import resource
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

from svae.contracts.fit import Fit, Run
from svae.contracts.fit_parts import CHANGES
from svae.contracts.setting import Setting
from svae.contracts.split import cells_of, held_out_cells, seen_cells
from svae.errors import unknown
from svae.methods.held_out import predict_held_out, score_held_out, what_is_impossible
from svae.methods.linear import mean_shifts
from svae.models.given import arguments_of
from svae.models.model import PerturbationModel
from svae.models.priors import MaskedShift
from svae.models.together import refit_together, train_together
from svae.seeds import seed_from
from svae.training.plan import TrainingPlan
from svae.training.record import Training

logger = logging.getLogger(__name__)


def fit_grid(
    model_class: type[PerturbationModel],
    dataset: ad.AnnData,
    split: pd.DataFrame,
    settings: Sequence[Setting],
    likelihood_samples: int = 250,
    accelerator: str = "auto",
    fleet_size: int | None = None,
    model_folders: Mapping[str, Path] | None = None,
) -> dict[str, Fit]:
    """Train every setting at once, adapt each to the held-out perturbations, and score their cells.

    Latents, targets and shifts are those of the first stage, before the masks are fixed, as in
    Lopez et al. (2023); likelihoods, and shifts of held-out perturbations, which are adapted to their part
    ``adapt``, are those after the second. Weights, training, second stage and
    likelihood have seeds of their own, which follow from the setting's by name.

    Parameters
    ----------
    model_class
        Class of :mod:`svae.models`.
    dataset
        Raw counts, as :mod:`svae.contracts.dataset` has them.
    split
        The part of each cell, as :mod:`svae.contracts.split` has it.
    settings
        What to train. Options are arguments of the model class and fields of
        :class:`svae.training.plan.TrainingPlan`, mixed.
    likelihood_samples
        Samples per cell of the likelihood.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    fleet_size
        Train at most so many models at a time.
    model_folders
        Folder to save each model in that ended well, by name of the setting; by default none is saved.

    Returns
    -------
    dict[str, Fit]
        By name of the setting. A setting that diverged, or whose likelihoods are impossible, says so in its
        status.

    Raises
    ------
    BenchmarkError
        If an option is unknown; it names the nearest one.
    """
    start = time.perf_counter()
    grid = _Grid(model_class, dataset, split, settings, accelerator, fleet_size)
    grid.train()
    fits = grid.fits()
    if grid.held_out.n_obs:
        grid.refit(fits)
        grid.score(fits, likelihood_samples)
    if model_folders:
        grid.save(fits, model_folders)
    for fit in fits.values():
        fit.run.seconds = (time.perf_counter() - start) / len(settings)
        fit.run.peak_memory_mb = peak_memory_mb(grid.device)
        fit.run.device = str(grid.device)
    return fits


class _Grid:
    """The models of a grid, and the stages that they go through together."""

    def __init__(
        self,
        model_class: type[PerturbationModel],
        dataset: ad.AnnData,
        split: pd.DataFrame,
        settings: Sequence[Setting],
        accelerator: str,
        fleet_size: int | None,
    ):
        self.dataset, self.split, self.settings = dataset, split, settings
        seen = dataset[dataset.obs_names.isin(seen_cells(split).index)].copy()
        seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
        self.training = np.flatnonzero(seen.obs_names.isin(cells_of(split, "train").index))
        self.validation = np.flatnonzero(seen.obs_names.isin(cells_of(split, "validation").index))
        self.held_out = dataset[dataset.obs_names.isin(held_out_cells(split).index)].copy()
        self.may_adapt = self.held_out.obs_names.isin(cells_of(split, "adapt").index)
        model_class.setup_anndata(seen, "perturbation", "batch" if "batch" in seen.obs else None)
        self.models = [build(model_class, seen, setting) for setting in settings]
        self.plans = [
            model.training_plan(**plan_options(setting.options))
            for model, setting in zip(self.models, settings, strict=True)
        ]
        self.accelerator, self.fleet_size = accelerator, fleet_size

    @property
    def device(self) -> torch.device:
        """Where the models are."""
        return self.models[0].module.device

    def seeds(self, purpose: str) -> list[int]:
        """One seed per setting for one purpose, such as the weights or the likelihood."""
        return [seed_from(setting.seed, purpose) for setting in self.settings]

    def train(self) -> None:
        """Run the first stage."""
        logger.info("training %d models on %d cells", len(self.models), len(self.training))
        self.trained = train_together(
            self.models,
            self.seeds("training"),
            self.training,
            self.validation,
            self.accelerator,
            self.plans,
            self.fleet_size,
        )

    def fits(self) -> dict[str, Fit]:
        """Fits as they are after the first stage, by name of the setting."""
        parts = zip(self.models, self.settings, self.trained, strict=True)
        return {setting.name: fit_of(model, self.dataset, setting, done) for model, setting, done in parts}

    def refit(self, fits: Mapping[str, Fit]) -> None:
        """Run the second stage, with masks fixed."""
        logger.info("training on with fixed masks")
        results = refit_together(
            self.models, self.seeds("refit"), self.accelerator, self.plans, self.fleet_size
        )
        for setting, result in zip(self.settings, results, strict=True):
            if result.diverged:
                _mark_diverged(fits[setting.name], "the second stage met a NaN")

    def score(self, fits: Mapping[str, Fit], n_samples: int) -> None:
        """Score the cells of held-out perturbations, and predict these, with each model that is well."""
        for model, setting in zip(self.models, self.settings, strict=True):
            fit = fits[setting.name]
            if fit.run.status != "ok":
                continue
            logger.info("likelihood of setting %s", setting.name)
            seed = seed_from(setting.seed, "likelihood")
            scores = score_held_out(model, self.held_out, self.may_adapt, n_samples, seed)
            predictions, cells = predict_held_out(model, self.held_out, self.may_adapt, setting.seed)
            problem = what_is_impossible(scores, predictions)
            if problem:
                _mark_diverged(fit, problem)
            else:
                fit.scores = scores.reindex(self.dataset.obs_names)
                fit.predictions, fit.generated = predictions, cells
                if fit.shifts is not None:
                    fit.shifts = pd.concat([fit.shifts, self.shifts_of_held_out(model, fit)])

    def shifts_of_held_out(self, model: PerturbationModel, fit: Fit) -> pd.DataFrame:
        """Shifts adapted to the part ``adapt``, or what the latents of a model without shifts show of it."""
        shown = sorted(self.held_out.obs["perturbation"][self.may_adapt].unique())
        if model.adapted_:
            return model.get_shifts().loc[shown]
        assert fit.latents is not None
        return mean_shifts(fit.latents, self.dataset.obs_names, self.split).loc[shown]

    def save(self, fits: Mapping[str, Fit], folders: Mapping[str, Path]) -> None:
        """Save each model whose fit is well, as it is after the last stage."""
        for model, setting in zip(self.models, self.settings, strict=True):
            if fits[setting.name].run.status == "ok":
                model.save(str(folders[setting.name]), overwrite=True)


def build(model_class: type[PerturbationModel], adata: ad.AnnData, setting: Setting) -> PerturbationModel:
    """Build the model of a setting, its weights drawn from a seed that follows from the setting's.

    Parameters
    ----------
    model_class
        Class of :mod:`svae.models`.
    adata
        Cells to train on, registered with the class.
    setting
        Options of model and training plan, and a seed.

    Raises
    ------
    BenchmarkError
        If an option is unknown; it names the nearest one.
    """
    of_model, of_plan = set(arguments_of(model_class)), set(TrainingPlan.__dataclass_fields__)
    for name in setting.options:
        if name not in of_model | of_plan:
            place = f"setting '{setting.name}' of {model_class.__name__}"
            raise unknown("option", name, of_model | of_plan, place)
    torch.manual_seed(seed_from(setting.seed, "weights"))
    return model_class(adata, **{name: v for name, v in setting.options.items() if name in of_model})


def plan_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a setting's options that belong to the training plan."""
    return {name: value for name, value in options.items() if name in TrainingPlan.__dataclass_fields__}


def fit_of(model: PerturbationModel, dataset: ad.AnnData, setting: Setting, training: Training) -> Fit:
    """Write down what a model knows after its first stage.

    Parameters
    ----------
    model
        Trained on part of the dataset.
    dataset
        All cells, whose latents belong to a fit.
    setting
        What the model was asked to be.
    training
        How that went.

    Returns
    -------
    Fit
        Without scores; `diverged` if training met a NaN, or what it ended with is not finite.
    """
    if training.diverged:
        problem = f"the loss became NaN in epoch {len(training.history)}"
        return Fit.missing(dataset.obs_names, setting, "diverged", problem)
    seed = seed_from(setting.seed, "elbo")
    latents, shifts = model.get_latent_representation(dataset), model.get_shifts()
    modes = model.get_posterior_modes(dataset)
    selection = {}
    if len(model.validation_indices):
        selection["validation_likelihood"] = model.get_elbo(indices=model.validation_indices, seed=seed)
    found = (latents, modes, shifts.to_numpy(), *selection.values())
    if not all(np.isfinite(values).all() for values in found):
        problem = "latents, shifts or the validation likelihood are not finite"
        return Fit.missing(dataset.obs_names, setting, "diverged", problem)
    masked = isinstance(model.module.prior, MaskedShift)
    differential = None
    if model.control_ in model.trained_ and len(model.trained_) > 1:
        changes = model.get_gene_changes(seed=seed_from(setting.seed, "differential"))
        differential = dict(zip(CHANGES, changes, strict=True))
    of_latents = model.get_gene_changes_of_latents(seed=seed_from(setting.seed, "latent genes"))
    return Fit(
        cells=dataset.obs_names,
        latents=latents,
        latent_modes=modes,
        targets=model.get_targets() if masked else None,
        shifts=shifts if model.moves_latents else None,
        history=training.table(),
        selection=selection,
        run=Run(setting=setting.name, seed=setting.seed),
        differential=differential,
        latent_genes=dict(zip(CHANGES, of_latents, strict=True)),
    )


def peak_memory_mb(device: torch.device) -> float:
    """Peak memory in MB of a job on `device`: of the GPU, or else of this process (its resident set)."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _mark_diverged(fit: Fit, message: str) -> None:
    if fit.run.status == "ok":
        fit.run.status, fit.run.message = "diverged", message
