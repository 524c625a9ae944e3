"""How a model is trained: every number of the optimisation in one place."""

from dataclasses import replace
from typing import Literal

from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

from svae.values import BatchSize, Count, Fraction, NonNegative, Positive, ProperFraction, WholeNonNegative

SMALLEST_BATCH = 64  # below it, the statistics of BatchNorm are mostly noise

OF_VALIDATION = {"patience": None, "keep": "last"}
"""Fields that look at validation cells, and the value of each that does not."""

OF_MUON = ("momentum", "matrix_decay")
"""Fields of the plan that have an effect only with a learning rate of matrices."""

FEW_CELLS = 2000
"""Up to so many cells to train on, the decay of weight matrices is what the plan says."""


@dataclass(frozen=True, config=ConfigDict(strict=True))
class TrainingPlan:
    """Optimiser, schedule and stages of one training; the types say the range of each number.

    Attributes
    ----------
    max_epochs, refit_epochs
        Epochs of the first stage, and of the second one with binarised masks.
    refit_rate
        Learning rates of the second stage, as a share of those of the first.
    learning_rate
        Adam's step size.
    matrix_learning_rate, momentum, matrix_decay
        Muon's step size, momentum and decoupled weight decay, for the weight matrices of all layers
        (:mod:`svae.training.muon`); without a step size they are left to Adam. The decay is that for up to
        2,000 cells to train on, and falls in proportion for more: few cells are soon learnt by heart.
    mask_travel
        How far Adam can move a mask logit in all steps together, which sets its step size: see
        :meth:`mask_learning_rate`. ``None``: the step size of all else.
    eps, weight_decay
        Adam's other constants; the decay is added to the gradient.
    batch_size, min_steps
        Cells per step, and steps per epoch at the least: see :meth:`cells_per_step`. An incomplete last
        batch of an epoch is left out.
    warmup_epochs
        Epochs of the first stage over which the weight of the KL terms grows linearly from 0 to 1.
    dense
        First fraction of the first stage, in which all masks stay open. At its end the optimiser begins
        anew; a model with masks is rotated to where its shifts are sparsest, and only then its masks move.
    decay
        Last fraction of a stage, over which the learning rates fall linearly towards 0.
    patience
        Epochs without a better validation −ELBO, after the dense ones, before a module stops; ``None`` never
        stops.
    keep
        Weights to end with: those of the ``last`` epoch or of the ``best`` one in validation.
    objective
        ``mean`` minimises the loss per cell, ``sum`` the one of all cells. Adam does not care
        about the scale of a loss except through `eps` and `weight_decay`.
    """

    max_epochs: Count = 200
    refit_epochs: Count = 60
    refit_rate: Positive = 1.0
    learning_rate: Positive = 1e-3
    matrix_learning_rate: Positive | None = None
    momentum: ProperFraction = 0.95
    matrix_decay: NonNegative = 0.0
    mask_travel: NonNegative | None = None
    eps: Positive = 1e-8
    weight_decay: NonNegative = 0.0
    batch_size: BatchSize = 128
    min_steps: Count = 1
    warmup_epochs: WholeNonNegative = 50
    dense: Fraction = 0.0
    decay: Fraction = 0.0
    patience: Count | None = None
    keep: Literal["last", "best"] = "last"
    objective: Literal["mean", "sum"] = "mean"

    def for_cells(self, n_cells: int) -> "TrainingPlan":
        """Return the plan for `n_cells` to train on, whose loss is per cell and whose steps are the same.

        What depends on the number of cells is worked out: the weight decays, and Adam's eps.
        """
        matrix_decay = self.matrix_decay * min(1.0, FEW_CELLS / n_cells)
        plan = replace(self, matrix_decay=matrix_decay)
        if self.objective == "mean":
            return plan
        return replace(
            plan, objective="mean", eps=self.eps / n_cells, weight_decay=self.weight_decay / n_cells
        )

    @property
    def dense_epochs(self) -> int:
        """Epochs of the first stage in which masks stay open."""
        return round(self.dense * self.max_epochs)

    def mask_learning_rate(self, steps_per_epoch: int) -> float | None:
        """Adam's step size for mask logits, or None where it is that of all else.

        Adam moves a parameter by about its step size per step, however small the gradient is. So a mask
        whose logit starts at 5 cannot close if the step sizes of all steps sum up to less than 5, however
        strong its penalty is. Here they sum up to `mask_travel`, whether there are few steps or many.
        """
        if self.mask_travel is None:
            return None
        epochs = range(self.dense_epochs, self.max_epochs)
        full_steps = steps_per_epoch * sum(self.rate_left(epoch + 0.5) for epoch in epochs)
        return self.mask_travel / full_steps if full_steps else 0.0

    def cells_per_step(self, n_cells: int) -> int:
        """Batch size for `n_cells` to train on: smaller for few, so that epochs have enough steps."""
        return min(self.batch_size, max(SMALLEST_BATCH, n_cells // self.min_steps), n_cells)

    def for_refit(self) -> "TrainingPlan":
        """Return the plan of the second stage, which goes on from a trained model: nothing is warmed up.

        Masks are fixed, so that they neither move nor have dense epochs.
        """
        of_matrices = self.matrix_learning_rate
        return replace(
            self,
            learning_rate=self.refit_rate * self.learning_rate,
            matrix_learning_rate=None if of_matrices is None else self.refit_rate * of_matrices,
            max_epochs=self.refit_epochs,
            warmup_epochs=0,
            dense=0.0,
            mask_travel=0.0,
        )

    def kl_weight(self, epoch: int) -> float:
        """Weight of the KL terms in an epoch, the first of which is 1; as in scvi-tools, it begins with 0."""
        return min(1.0, (epoch - 1) / self.warmup_epochs) if self.warmup_epochs else 1.0

    def rate_left(self, epochs_done: float) -> float:
        """Share of the learning rates that is left: 1, then a straight line towards 0."""
        if self.decay == 0:
            return 1.0
        return min(1.0, (1 - epochs_done / self.max_epochs) / self.decay)


FIELDS = tuple(TrainingPlan.__dataclass_fields__)
OF_FIRST_STAGE = tuple(name for name in FIELDS if name not in ("refit_epochs", "refit_rate"))
OF_SECOND_STAGE = tuple(
    name for name in FIELDS if name not in ("max_epochs", "warmup_epochs", "dense", "mask_travel")
)
"""Fields of the plan that have an effect in a stage."""
