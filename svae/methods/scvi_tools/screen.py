"""The cells of a dataset as the models of scvi-tools take them, and what their training is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.split import cells_of, seen_cells

OF_TRAINING = ("max_epochs", "batch_size", "early_stopping")
"""Options that belong to the training; all others are arguments of the model class."""

NO_CELLS = np.array([], dtype=int)


@dataclass(frozen=True, eq=False)
class Screen:
    """The cells that a model may look at while it is trained.

    Attributes
    ----------
    seen
        Cells of the trained perturbations and the control, which the model is built on.
    training, validation
        Indices of those cells.
    adapt
        Cells of the held-out perturbations that a trained model may adapt to.
    batch_key
        Column of ``obs`` that holds the batches; None if there are none.
    """

    seen: ad.AnnData
    training: np.ndarray
    validation: np.ndarray
    adapt: ad.AnnData
    batch_key: str | None

    @classmethod
    def of(cls, dataset: ad.AnnData, split: pd.DataFrame) -> "Screen":
        """Select the cells of each use."""
        seen, adapt = _copy_of(dataset, seen_cells(split)), _copy_of(dataset, cells_of(split, "adapt"))
        return cls(
            seen,
            np.flatnonzero(seen.obs_names.isin(cells_of(split, "train").index)),
            np.flatnonzero(seen.obs_names.isin(cells_of(split, "validation").index)),
            adapt,
            "batch" if "batch" in seen.obs else None,
        )

    def training_arguments(self, options: Mapping[str, Any], accelerator: str) -> dict[str, Any]:
        """Arguments of ``train`` that make it keep to the split, and validate after each epoch."""
        return training_arguments(options, accelerator, self.training, self.validation)


def training_arguments(
    options: Mapping[str, Any],
    accelerator: str,
    training: np.ndarray,
    validation: np.ndarray = NO_CELLS,
) -> dict[str, Any]:
    """Arguments of ``train``.

    Parameters
    ----------
    options
        Those of a setting; only some belong to the training.
    accelerator
        ``cpu``, ``cuda`` or ``auto``.
    training, validation
        Indices of cells; the latter are looked at after each epoch.
    """
    return {
        **{name: value for name, value in options.items() if name in OF_TRAINING},
        "datasplitter_kwargs": {"external_indexing": [training, validation, NO_CELLS]},
        "accelerator": lightning_name(accelerator),
        "devices": 1,
        "check_val_every_n_epoch": 1 if len(validation) else None,
        "enable_progress_bar": False,
    }


def model_arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a model class."""
    return {name: value for name, value in options.items() if name not in OF_TRAINING}


def lightning_name(accelerator: str) -> str:
    """What scvi-tools calls an accelerator."""
    return "gpu" if accelerator == "cuda" else accelerator


def relabelled(cells: ad.AnnData, labels: str | pd.Series) -> ad.AnnData:
    """Return cells with other labels of their perturbation, or one label for all of them."""
    return ad.AnnData(cells.X, cells.obs.assign(perturbation=labels), cells.var)


def _copy_of(dataset: ad.AnnData, labels: pd.Series) -> ad.AnnData:
    """Copy some cells; perturbations that have none of them are no categories."""
    cells = dataset[dataset.obs_names.isin(labels.index)].copy()
    cells.obs["perturbation"] = cells.obs["perturbation"].cat.remove_unused_categories()
    return cells
