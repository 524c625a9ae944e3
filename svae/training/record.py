"""What became of one module of a fleet: its learning curve, and when it is done."""

import math
from dataclasses import dataclass, field

import pandas as pd

from svae.training.plan import TrainingPlan


@dataclass
class Training:
    """Learning curve of one module, and how its training ended.

    Attributes
    ----------
    history
        One entry per epoch: epoch, train (loss), validation (−ELBO); nats per cell.
    diverged
        Whether the loss became NaN or infinite.
    best, best_epoch
        Lowest validation −ELBO, and when it was reached.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    diverged: bool = False
    best: float = float("inf")
    best_epoch: int = 0

    def table(self) -> pd.DataFrame:
        """Learning curve: epoch, train (loss), validation (−ELBO), all in nats per cell."""
        return pd.DataFrame(self.history, columns=["epoch", "train", "validation"])

    def add(
        self, train: float, validation: float | None, plan: TrainingPlan, dense: bool
    ) -> tuple[bool, bool]:
        """Take note of an epoch, and decide what follows from it.

        Parameters
        ----------
        train, validation
            Losses of the epoch in nats per cell; `validation` is None where there are no cells for it.
        plan
            Says when to stop and which weights to keep.
        dense
            Whether the epoch had all masks open: then it is not yet the model that is asked for, so it is
            kept, and nothing is stopped.

        Returns
        -------
        Whether to keep the weights of this epoch, and whether to stop.
        """
        epoch = len(self.history) + 1
        shown = math.nan if validation is None else validation
        self.history.append({"epoch": epoch, "train": train, "validation": shown})
        if not math.isfinite(train):
            self.diverged = True
            return False, True
        if dense:
            self.best_epoch = epoch
            return True, False
        improved = validation is None or validation < self.best
        if improved:
            self.best, self.best_epoch = shown, epoch
        stop = plan.patience is not None and epoch - self.best_epoch >= plan.patience
        return improved or plan.keep == "last", stop
