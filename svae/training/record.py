"""What becomes of one module of a fleet: its learning curve, and where it stands in the plan."""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

from svae.training.plan import TrainingPlan


class Verdict(NamedTuple):
    """What follows from an epoch, for one module.

    Attributes
    ----------
    keep
        Whether to keep the weights of this epoch.
    turn
        Whether the dense epochs end here.
    stop
        Whether training ends here.
    """

    keep: bool
    turn: bool
    stop: bool


@dataclass
class Training:
    """Learning curve of one module, and how its training goes and ended.

    Attributes
    ----------
    plan
        Says how long to train, when the dense epochs end, and which weights to keep.
    history
        One entry per epoch: epoch, train (loss), validation (−ELBO); nats per cell.
    diverged
        Whether the loss became NaN or infinite.
    best, best_epoch
        Lowest validation −ELBO since the dense epochs, and when it was reached.
    """

    plan: TrainingPlan
    history: list[dict[str, float]] = field(default_factory=list)
    diverged: bool = False
    best: float = float("inf")
    best_epoch: int = 0

    def __post_init__(self) -> None:
        self.is_dense = self.plan.dense_epochs > 0

    def table(self) -> pd.DataFrame:
        """Learning curve: epoch, train (loss), validation (−ELBO), all in nats per cell."""
        return pd.DataFrame(self.history, columns=["epoch", "train", "validation"])

    def mask_learning_rate(self, steps_per_epoch: int) -> float | None:
        """Adam's step size for mask logits in the epochs to come, or None where it is that of all else.

        Adam moves a parameter by about its step size per step, however small the gradient is. So a mask
        whose logit starts at 5 cannot close if the step sizes of all steps sum up to less than 5, however
        strong its penalty is. Here they sum up to ``mask_travel``, whether there are few steps or many.
        """
        if self.plan.mask_travel is None:
            return None
        to_come = range(len(self.history), self.plan.max_epochs)
        full_steps = steps_per_epoch * sum(self.plan.rate_left(epoch + 0.5) for epoch in to_come)
        return self.plan.mask_travel / full_steps if full_steps else 0.0

    def add(self, train: float, validation: float | None) -> Verdict:
        """Take note of an epoch, and decide what follows from it.

        Parameters
        ----------
        train, validation
            Losses of the epoch in nats per cell; `validation` is None where there are no cells for it.
        """
        epoch = len(self.history) + 1
        shown = math.nan if validation is None else validation
        self.history.append({"epoch": epoch, "train": train, "validation": shown})
        if not math.isfinite(train):
            self.diverged = True
            return Verdict(keep=False, turn=False, stop=True)
        improved = validation is None or validation < self.best
        if improved:
            self.best, self.best_epoch = shown, epoch
        is_last = epoch == self.plan.max_epochs
        if self.is_dense:
            # Not yet the model that is asked for: it is neither the best one, nor a reason to stop.
            self.is_dense = epoch < self.plan.dense_epochs
            self.best, self.best_epoch = math.inf, epoch
            return Verdict(keep=True, turn=not self.is_dense, stop=is_last)
        patience = self.plan.patience
        waited = patience is not None and epoch - self.best_epoch >= patience
        return Verdict(improved or self.plan.keep == "last", turn=False, stop=is_last or waited)
