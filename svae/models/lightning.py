"""The trainer of scvi-tools as an alternative to fleets, where it can do what is asked of it."""

from typing import TYPE_CHECKING

import numpy as np
from scvi.model.base import UnsupervisedTrainingMixin

from svae.errors import BenchmarkError
from svae.training.plan import TrainingPlan

if TYPE_CHECKING:
    from svae.models.model import PerturbationModel

IDLE = {"dense": 0.0, "decay": 0.0, "mask_travel": None, "matrix_learning_rate": None, "keep": "last"}
"""Fields of the plan that the trainer does not know, with the values that ask nothing of it."""


def train_with_lightning(
    model: "PerturbationModel",
    training: np.ndarray,
    validation: np.ndarray,
    accelerator: str,
    plan: TrainingPlan,
) -> None:
    """Train `model` with the Lightning trainer of scvi-tools.

    Parameters
    ----------
    model
        What to train, in place.
    training, validation
        Indices of the cells to train on and to validate with.
    accelerator
        As the trainer takes it: ``cpu``, ``cuda`` or ``auto``.
    plan
        The optimisation.

    Raises
    ------
    BenchmarkError
        If the plan asks for something that the trainer cannot do.
    """
    refuse_what_is_not_honoured(plan)
    plan = plan.for_cells(len(training))
    UnsupervisedTrainingMixin.train(
        model,
        max_epochs=plan.max_epochs,
        accelerator=accelerator,
        batch_size=plan.cells_per_step(len(training)),
        early_stopping=plan.patience is not None and len(validation) > 0,
        early_stopping_patience=plan.patience or 45,
        check_val_every_n_epoch=1 if len(validation) else None,
        datasplitter_kwargs={"external_indexing": [training, validation]},
        plan_kwargs={
            "lr": plan.learning_rate,
            "eps": plan.eps,
            "weight_decay": plan.weight_decay,
            "n_epochs_kl_warmup": plan.warmup_epochs or None,
        },
    )


def refuse_what_is_not_honoured(plan: TrainingPlan) -> None:
    """Raise a :class:`BenchmarkError` that names the options which the trainer would ignore."""
    ignored = [option for option, idle in IDLE.items() if getattr(plan, option) != idle]
    if ignored:
        asked = ", ".join(f"{option}={getattr(plan, option)!r}" for option in ignored)
        idle = ", ".join(f"{option}={IDLE[option]!r}" for option in ignored)
        raise BenchmarkError(
            f"train: the Lightning trainer cannot honour {asked}; pass {idle}, or train with trainer='fleet'"
        )
