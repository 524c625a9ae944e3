"""Presets: the released code's choices beside ours (docs/training.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from svae.errors import unknown
from svae.options import sentence_of
from svae.training.plan import TrainingPlan
from svae.values import one_of


@dataclass(frozen=True)
class Preset:
    """A training plan, and the choices of architecture that belong to it.

    Attributes
    ----------
    plan
        The optimisation.
    networks
        Arguments of :class:`svae.models.module.PerturbationVAE` by name: depth, dropout, and the slope and
        normalisation of the layers.
    initial_logit
        Where the mask logits start.
    """

    plan: TrainingPlan
    networks: Mapping[str, Any]
    initial_logit: float


PRESETS = {
    # Lopez et al. (2023), released code: Adam with eps 0.01, early stopping that keeps the last weights.
    "original": Preset(
        TrainingPlan(
            max_epochs=300,
            refit_epochs=300,
            learning_rate=1e-3,
            eps=0.01,
            weight_decay=1e-6,
            warmup_epochs=50,
            patience=45,
        ),
        networks={"n_layers": 2, "dropout_rate": 0.1, "slope": 0.0, "batch_norm": True},
        initial_logit=5.0,
    ),
    "tuned": Preset(
        TrainingPlan(
            max_epochs=80,
            refit_epochs=10,
            refit_rate=0.3,
            learning_rate=3e-2,
            matrix_learning_rate=2e-2,
            matrix_decay=1.0,
            mask_travel=20.0,
            eps=1e-6,
            batch_size=512,
            min_steps=32,
            warmup_epochs=5,
            dense=0.6,
            decay=0.8,
        ),
        networks={"n_layers": 3, "dropout_rate": 0.0, "slope": 0.2, "batch_norm": False},
        initial_logit=5.0,
    ),
}


DEFAULT_PRESET = "tuned"
"""What a model takes where nothing else is asked for."""

PresetName = one_of("preset", PRESETS)
"""Type of an option that names a preset."""


def named_preset(name: str) -> Preset:
    """Return the preset called `name`, or raise naming the nearest one."""
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS, "preset")
    return PRESETS[name]


def plan_with(plan: TrainingPlan, **changes: Any) -> TrainingPlan:
    """Return `plan` with some fields changed; an error names an unknown field, or a value out of range."""
    for field in changes:
        if field not in TrainingPlan.__dataclass_fields__:
            raise unknown("training option", field, TrainingPlan.__dataclass_fields__, "training")
    try:
        return replace(plan, **changes)
    except ValidationError as error:
        raise sentence_of(error, changes, "training") from None
