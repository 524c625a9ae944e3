"""Splits: what each cell is used for, once it is clear which perturbations are held out.

The cells of a trained perturbation are ``train`` or ``validation``; those of a held-out one are ``adapt`` or
``test``, half and half; those of combinations that the plan leaves out are ``unused``. Cells are drawn within
each perturbation from a seed of its own name, so that a perturbation more or less leaves the cells of the
others where they were. Only a batch whose cells would all validate, or validate and test, is trained on with
the former.
"""

import logging

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.split import HELD_OUT_PARTS
from svae.datasets.held_out import FEWEST_HELD_OUT, choose_held_out, choose_unused, refuse_few_cells
from svae.datasets.split_plan import SplitPlan
from svae.errors import BenchmarkError
from svae.seeds import seed_from

logger = logging.getLogger(__name__)


def split_dataset(dataset: ad.AnnData, plan: SplitPlan, seed: int, where: str = "split") -> pd.DataFrame:
    """Split the cells of a dataset; what :func:`split` needs beside the labels is computed here.

    Parameters
    ----------
    dataset
        A prepared or simulated dataset.
    plan
        What to hold out.
    seed
        Seed from which those of effect sizes, perturbations and cells follow.
    where
        Name of dataset and split, for error messages.

    Returns
    -------
    One row per cell, in the dataset's order: ``cell``, ``perturbation``, ``part``.

    Raises
    ------
    BenchmarkError
        As :func:`split`, and if a batch occurs in held-out cells alone.
    """
    effects = None
    if plan.kind == "largest_effect":
        from svae.datasets.effects import effect_sizes  # here, because it imports scikit-learn

        effects = effect_sizes(dataset, seed=seed_from(seed, "effects"), where=where)
    table = split(dataset.obs["perturbation"], plan, seed, effects, where=where)
    if "batch" not in dataset.obs:
        return table
    batches = dataset.obs["batch"].astype(str).to_numpy()
    table = _with_all_batches_trained(table, batches)
    _refuse_untrained_batches(dataset, table, batches, where)
    return table


def split(
    labels: pd.Series,
    plan: SplitPlan,
    seed: int,
    effects: pd.Series | None = None,
    min_cells_held_out: int = FEWEST_HELD_OUT,
    min_cells_trained: int = 2,
    where: str = "split",
) -> pd.DataFrame:
    """Split cells by their labels.

    Parameters
    ----------
    labels
        Perturbation of each cell, indexed by cell.
    plan
        What to hold out.
    seed
        Of the perturbations (``random``, ``combinations``) and of the cells.
    effects
        Effect size per perturbation (``largest_effect``), from :func:`svae.datasets.effects.effect_sizes`.
    min_cells_held_out, min_cells_trained
        Fewest cells of a perturbation for which the halves (or training and validation) mean anything.
    where
        Name of dataset and split, for error messages.

    Returns
    -------
    One row per cell, in the order of `labels`: ``cell``, ``perturbation``, ``part``.

    Raises
    ------
    BenchmarkError
        If the perturbations cannot be held out, nothing is left to train on, or one has too few cells.
    """
    labels = labels.astype(str)
    held_out = set(choose_held_out(labels, plan, seed, effects, where))
    unused = set(choose_unused(labels, plan, held_out, seed, where))
    sizes = labels.value_counts(sort=False)
    refuse_few_cells(sizes.to_dict(), held_out, unused, min_cells_held_out, min_cells_trained, where)
    parts = pd.Series(index=labels.index, dtype=object)
    for name, rows in labels.groupby(labels.to_numpy()).indices.items():
        shuffled = np.random.default_rng(seed_from(seed, "cells", name)).permutation(rows)
        if name in held_out:
            # Of an odd number of cells, the one over goes to the half that is scored.
            half = len(rows) // 2
            parts.iloc[shuffled[:half]] = "adapt"
            parts.iloc[shuffled[half:]] = "test"
        elif name in unused:
            parts.iloc[rows] = "unused"
        else:
            size = _validation_cells(len(rows), plan.validation)
            parts.iloc[shuffled[:size]] = "validation"
            parts.iloc[shuffled[size:]] = "train"
    columns = {"cell": labels.index.astype(str), "perturbation": labels.to_numpy(), "part": parts.to_numpy()}
    return pd.DataFrame(columns)


def _with_all_batches_trained(table: pd.DataFrame, batches: np.ndarray) -> pd.DataFrame:
    """Train on validation cells of batches that have no other cell to train on: models know no such batch."""
    parts = table["part"].to_numpy()
    moved = (parts == "validation") & ~np.isin(batches, batches[parts == "train"])
    if moved.any():
        logger.info("%d validation cells are trained on, since their batches have no others", moved.sum())
    return table.assign(part=np.where(moved, "train", parts))


def _refuse_untrained_batches(
    dataset: ad.AnnData, table: pd.DataFrame, batches: np.ndarray, where: str
) -> None:
    """Raise if a held-out cell is of a batch that no model is trained on."""
    parts = table["part"].to_numpy()
    strange = np.isin(parts, HELD_OUT_PARTS) & ~np.isin(batches, batches[parts == "train"])
    if strange.any():
        row = table.iloc[np.flatnonzero(strange)[0]]
        column = dataset.uns.get("dataset", {}).get("batch") or "batch"
        raise BenchmarkError(
            f"{where}: batch '{batches[strange][0]}' of obs['{column}'] has held-out cells (of perturbation "
            f"'{row['perturbation']}'), but none to train on; hold out others, or correct for no batch"
        )


def _validation_cells(n_cells: int, fraction: float) -> int:
    """Return how many cells of a trained perturbation are set aside; at least one remains to train on."""
    if fraction == 0:
        return 0
    return min(max(1, round(fraction * n_cells)), n_cells - 1)
