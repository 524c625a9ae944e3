"""Train the whole grid of a method on one dataset and split, and write down what each setting gave."""

import inspect
import resource
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import torch

from svae.contracts.fit import LIKELIHOODS, Fit, Run
from svae.contracts.split import cells_of, held_out_cells, seen_cells
from svae.errors import unknown
from svae.models import transfer
from svae.models.base import PerturbationModel
from svae.models.priors import MaskedShift
from svae.models.together import refit_together, train_together
from svae.training import fleet
from svae.training.plan import TrainingPlan
from svae.words import PROTOCOLS


@dataclass(frozen=True)
class Setting:
    """One point of a method's grid, and one restart of it.

    Attributes
    ----------
    name
        Unique among the settings of the method.
    seed
        Seed of the weights, the noise and the order of the data.
    options
        Arguments of the model class and fields of :class:`svae.training.plan.TrainingPlan`, mixed.
    restart
        Settings that differ only here are restarts of each other.
    """

    name: str
    seed: int
    options: Mapping[str, Any] = field(default_factory=dict)
    restart: int = 0


def fit_grid(
    model_class: type[PerturbationModel],
    dataset: ad.AnnData,
    split: pd.DataFrame,
    settings: Sequence[Setting],
    likelihood_samples: int = 1000,
    accelerator: str = "auto",
    fleet_size: int | None = None,
    progress: fleet.Progress = fleet.say,
) -> dict[str, Fit]:
    """Train every setting at once, adapt each to the held-out perturbations, and score their cells.

    Latents, targets and shifts are those of the first stage, before the masks are fixed, as in
    Lopez et al. (2023); likelihoods are those after the second.

    Parameters
    ----------
    dataset, split
        Checked by :mod:`svae.datasets`; the split names the part of each cell.
    settings
        What to train.
    likelihood_samples
        Monte-Carlo samples per cell of the importance-weighted likelihood.

    Returns
    -------
    dict[str, Fit]
        By name of the setting.
    """
    start = time.perf_counter()
    seen = dataset[dataset.obs_names.isin(seen_cells(split).index)].copy()
    seen.obs["perturbation"] = seen.obs["perturbation"].cat.remove_unused_categories()
    held_out = dataset[dataset.obs_names.isin(held_out_cells(split).index)].copy()
    is_training = seen.obs_names.isin(cells_of(split, "train").index)
    training, validation = np.flatnonzero(is_training), np.flatnonzero(~is_training)

    model_class.setup_anndata(seen, "perturbation", "batch" if "batch" in seen.obs else None)
    models = [build(model_class, seen, setting) for setting in settings]
    plans = [
        model.training_plan(**plan_options(s.options)) for model, s in zip(models, settings, strict=True)
    ]
    seeds = [setting.seed for setting in settings]
    run: dict[str, Any] = {
        "accelerator": accelerator,
        "plans": plans,
        "fleet_size": fleet_size,
        "progress": progress,
    }

    progress(f"training {len(models)} {model_class.__name__} on {len(training)} cells")
    trained = train_together(models, seeds, training, validation, **run)
    fits = {s.name: _fit(m, dataset, s, t) for m, s, t in zip(models, settings, trained, strict=True)}

    if held_out.n_obs:
        progress(f"refitting with fixed masks, then adapting to {held_out.n_obs} held-out cells")
        refit = refit_together(models, [seed + 1 for seed in seeds], **run)
        for model, setting, result in zip(models, settings, refit, strict=True):
            progress(f"likelihood of setting {setting.name}")
            fit = fits[setting.name]
            if result.diverged:
                fit.run.status, fit.run.message = "diverged", "the second stage met a NaN"
            if fit.run.status == "ok":
                scores = score_held_out(model, held_out, split, likelihood_samples, setting.seed)
                fit.scores = scores.reindex(dataset.obs_names)

    seconds = (time.perf_counter() - start) / len(settings)
    for fit in fits.values():
        fit.run.seconds, fit.run.peak_memory_mb = seconds, _peak_memory_mb()
        fit.run.device = str(models[0].module.device)
    return fits


def build(model_class: type[PerturbationModel], adata: ad.AnnData, setting: Setting) -> PerturbationModel:
    """Build the model of a setting, its weights drawn from the setting's seed."""
    valid = _arguments(model_class) | set(TrainingPlan.__dataclass_fields__)
    for name in setting.options:
        if name not in valid:
            raise unknown("option", name, valid, f"setting '{setting.name}' of {model_class.__name__}")
    torch.manual_seed(setting.seed)
    return model_class(adata, **{n: v for n, v in setting.options.items() if n in _arguments(model_class)})


def plan_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a setting's options that belong to the training plan."""
    return {name: value for name, value in options.items() if name in TrainingPlan.__dataclass_fields__}


def score_held_out(
    model: PerturbationModel, held_out: ad.AnnData, split: pd.DataFrame, n_samples: int, seed: int
) -> pd.DataFrame:
    """Log-likelihood of held-out cells after each protocol, and their reconstruction error.

    ``zero_shot`` scores all of them without a shift; ``same_cells`` adapts to the very cells it then
    scores (Lopez et al. 2023); ``clean`` adapts to the part ``adapt`` and scores the part ``test``.

    Returns
    -------
    pandas.DataFrame
        Cells × (log_likelihood_zero_shot, …_paper, …_clean, reconstruction), nats, and effective_samples, the
    effective sample size of the ``same_cells`` estimate; NaN where not scored.
    """
    may_adapt = held_out.obs_names.isin(cells_of(split, "adapt").index)
    cells, names = model._cells(held_out)
    means = {"zero_shot": model._prior_means(names)}
    for protocol, adapting in (("same_cells", None), ("clean", np.flatnonzero(may_adapt))):
        model.adapted_ = {}
        model.adapt(held_out, adapting)
        means[protocol] = model._prior_means(names)
    estimates, reconstruction = transfer.marginal_log_likelihood(model.module, cells, means, n_samples, seed)
    values = [estimates[protocol].log_likelihood.cpu().numpy() for protocol in PROTOCOLS]
    scores = pd.DataFrame(dict(zip(LIKELIHOODS, values, strict=True)), index=held_out.obs_names)
    scores.loc[may_adapt, "log_likelihood_clean"] = np.nan
    return scores.assign(
        reconstruction=reconstruction.cpu().numpy(),
        effective_samples=estimates["same_cells"].effective_samples.cpu().numpy(),
    )


def _fit(model: PerturbationModel, dataset: ad.AnnData, setting: Setting, training: fleet.Training) -> Fit:
    run = Run(setting=setting.name, seed=setting.seed)
    if training.diverged:
        message = f"the loss became NaN in epoch {len(training.history)}"
        return Fit.failed(dataset.obs_names, "diverged", message, setting=setting.name, seed=setting.seed)
    masked = isinstance(model.module.prior, MaskedShift)
    validation_likelihood = model.get_elbo(indices=model.validation_indices, seed=setting.seed)
    return Fit(
        cells=dataset.obs_names,
        latents=model.get_latent_representation(dataset),
        targets=model.get_targets() if masked else None,
        shifts=model.get_shifts(),
        history=training.table(),
        selection={"validation_likelihood": validation_likelihood},
        run=run,
    )


def _arguments(model_class: type[PerturbationModel]) -> set[str]:
    """Names of all keyword arguments of a model class and its bases."""
    classes = [c for c in model_class.__mro__ if issubclass(c, PerturbationModel)]
    parameters = [p for c in classes for p in inspect.signature(c.__init__).parameters.values()]
    return {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - {"self", "adata"}


def _peak_memory_mb() -> float:
    """Peak of this process: of the GPU where one is used, else of the resident set."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
