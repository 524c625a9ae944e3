"""Train several models of the same data at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from svae.errors import BenchmarkError, unknown
from svae.models.priors import MaskedShift
from svae.training import fleet
from svae.training.plan import TrainingPlan
from svae.training.presets import plan_with

if TYPE_CHECKING:
    from svae.models.base import PerturbationModel


def train_together(
    models: Sequence["PerturbationModel"],
    seeds: Sequence[int],
    training: np.ndarray,
    validation: np.ndarray,
    accelerator: str = "auto",
    plans: Sequence[TrainingPlan] | None = None,
    fleet_size: int | None = None,
    progress: fleet.Progress = fleet.say,
) -> list[fleet.Training]:
    """Train models of the same data as fleets; those alike in shape and plan go together.

    Each ends as if its own :meth:`PerturbationModel.train` had been called. Parameters are those of
    :func:`svae.training.fleet.train`; plans may differ in any field.
    """
    plans = list(plans or [model.training_plan() for model in models])
    device = _device(accelerator)
    cells = models[0]._cells(None)[0].to(device)
    results: list[fleet.Training | None] = [None] * len(models)
    groups: dict[Any, list[int]] = {}
    for i, (model, plan) in enumerate(zip(models, plans, strict=True)):
        groups.setdefault((_shape(model), plan_with(plan, learning_rate=0.0)), []).append(i)
    for members in groups.values():
        trained = fleet.train(
            [models[i].module for i in members],
            [seeds[i] for i in members],
            cells,
            training,
            validation,
            plans[members[0]],
            [plans[i].learning_rate for i in members],
            fleet_size,
            progress,
        )
        for i, result in zip(members, trained, strict=True):
            results[i] = result
            models[i]._remember_training(training, validation)
            models[i].history_ = _history(result)
    return [result for result in results if result is not None]


def refit_together(
    models: Sequence["PerturbationModel"],
    seeds: Sequence[int],
    accelerator: str = "auto",
    plans: Sequence[TrainingPlan] | None = None,
    fleet_size: int | None = None,
    progress: fleet.Progress = fleet.say,
) -> list[fleet.Training]:
    """Run stage 2 of several models at once; see :meth:`PerturbationModel.refit`."""
    for model in models:
        if isinstance(model.module.prior, MaskedShift):
            model.module.prior.binarise()
    plans = [plan.for_refit() for plan in plans or [model.training_plan() for model in models]]
    training, validation = models[0].train_indices, models[0].validation_indices
    return train_together(models, seeds, training, validation, accelerator, plans, fleet_size, progress)


def _device(accelerator: str) -> torch.device:
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


def _shape(model: "PerturbationModel") -> tuple:
    state = model.module.state_dict()
    return type(model), tuple((name, tuple(t.shape)) for name, t in state.items()), model.module.dropout_rate


def _history(result: fleet.Training) -> dict[str, pd.DataFrame]:
    table = result.table().set_index("epoch")
    return {"train_loss_epoch": table[["train"]], "elbo_validation": table[["validation"]]}
