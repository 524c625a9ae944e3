"""Train several models of the same data at once."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import torch

from svae.errors import BenchmarkError, unknown
from svae.models.priors import MaskedShift
from svae.training import fleet
from svae.training.plan import TrainingPlan
from svae.training.presets import plan_with
from svae.training.record import Training

if TYPE_CHECKING:
    from svae.models.model import PerturbationModel


def train_together(
    models: Sequence["PerturbationModel"],
    seeds: Sequence[int],
    training: np.ndarray,
    validation: np.ndarray,
    accelerator: str = "auto",
    plans: Sequence[TrainingPlan] | None = None,
    fleet_size: int | None = None,
) -> list[Training]:
    """Run the first stage of models of the same data as fleets.

    Each ends as if its own :meth:`~svae.models.model.PerturbationModel.train` had been called. Models
    that are alike in shape and plan, but for the learning rate, go together.

    Parameters
    ----------
    models
        Built on the same data.
    seeds
        One per model, of its noise and the order of its data.
    training, validation
        Indices of cells.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    plans
        One per model; by default those of their presets.
    fleet_size
        Train at most so many at a time, for when memory is short.

    Returns
    -------
    list[Training]
        One per model.

    Raises
    ------
    BenchmarkError
        If the accelerator is unknown, or a GPU where there is none.
    """
    plans = list(plans or [model.training_plan() for model in models])
    results = _train(models, seeds, training, validation, accelerator, plans, fleet_size)
    for model, seed, result in zip(models, seeds, results, strict=True):
        if not result.diverged:
            model.end_first_stage(seed)
    return results


def refit_together(
    models: Sequence["PerturbationModel"],
    seeds: Sequence[int],
    accelerator: str = "auto",
    plans: Sequence[TrainingPlan] | None = None,
    fleet_size: int | None = None,
) -> list[Training]:
    """Run the second stage: masks are fixed at their more probable values, and all else trains on.

    Each ends as if its own :meth:`~svae.models.model.PerturbationModel.refit` had been called.

    Parameters
    ----------
    models
        Trained on the same cells.
    seeds
        One per model; not those of the first stage, or its noise is drawn again.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    plans
        One per model; by default those of their presets.
    fleet_size
        Train at most so many at a time, for when memory is short.

    Returns
    -------
    list[Training]
        One per model.
    """
    plans = [plan.for_refit() for plan in plans or [model.training_plan() for model in models]]
    for model in models:
        if isinstance(model.module.prior, MaskedShift):
            model.module.prior.binarise()
    training, validation = models[0].train_indices, models[0].validation_indices
    return _train(models, seeds, training, validation, accelerator, plans, fleet_size)


def _train(
    models: Sequence["PerturbationModel"],
    seeds: Sequence[int],
    training: np.ndarray,
    validation: np.ndarray,
    accelerator: str,
    plans: Sequence[TrainingPlan],
    fleet_size: int | None,
) -> list[Training]:
    """Train one stage: a fleet for each group of models that are alike."""
    cells = models[0].read_cells()[0].to(device_of(accelerator))
    results: dict[int, Training] = {}
    for members in _alike(models, plans):
        trained = fleet.train(
            [models[i].module for i in members],
            [seeds[i] for i in members],
            cells,
            training,
            validation,
            plans[members[0]],
            [plans[i].learning_rate for i in members],
            fleet_size,
        )
        results |= dict(zip(members, trained, strict=True))
    for i, model in enumerate(models):
        model.remember_training(training, validation)
        model.is_trained_ = not results[i].diverged
        model.history_ = _history(results[i])
    return [results[i] for i in range(len(models))]


def _alike(models: Sequence["PerturbationModel"], plans: Sequence[TrainingPlan]) -> Iterable[list[int]]:
    """Group the places of models that can share a fleet: of one shape, with one plan but for its rate."""
    groups: dict[tuple, list[int]] = {}
    for i, (model, plan) in enumerate(zip(models, plans, strict=True)):
        shapes = tuple((name, tuple(t.shape)) for name, t in model.module.state_dict().items())
        alike = (
            type(model),
            shapes,
            model.module.dropout_rate,
            model.module.decoder.slope,
            plan_with(plan, learning_rate=1.0),
        )
        groups.setdefault(alike, []).append(i)
    return groups.values()


def device_of(accelerator: str) -> torch.device:
    """Return the device of an accelerator name; asking for a GPU where there is none is an error."""
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if accelerator in ("cuda", "gpu"):
        if not torch.cuda.is_available():
            raise BenchmarkError("accelerator: a GPU was asked for, but torch sees none")
        return torch.device("cuda")
    if accelerator != "cpu":
        raise unknown("accelerator", accelerator, ["auto", "cpu", "cuda"], "accelerator")
    return torch.device("cpu")


def refuse_divergence(model: "PerturbationModel", plan: TrainingPlan, stage: str) -> None:
    """Raise if a stage left a model without finite weights, which then counts as untrained.

    Parameters
    ----------
    model
        After the stage.
    plan
        The optimisation that it went through.
    stage
        Name of the method that ran it.

    Raises
    ------
    BenchmarkError
        If the loss became NaN or infinite, or the weights are.
    """
    finite = all(tensor.isfinite().all() for tensor in model.module.state_dict().values())
    if model.is_trained and finite:
        return
    model.is_trained_ = False
    raise BenchmarkError(
        f"{stage}: the loss of {type(model).__name__} became NaN or infinite, so the model is not trained; "
        f"train it anew with a learning_rate below {plan.learning_rate:g}, and look for extreme counts"
    )


def _history(result: Training) -> dict[str, pd.DataFrame]:
    """Learning curves as scvi-tools keeps them."""
    table = result.table().set_index("epoch")
    return {"train_loss_epoch": table[["train"]], "elbo_validation": table[["validation"]]}
