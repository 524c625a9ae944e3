"""The perturbation of each cell, by the names that the benchmark uses."""

import numpy as np
import pandas as pd

from svae.datasets.preparation import Preparation
from svae.datasets.published import PublishedFile
from svae.errors import BenchmarkError, unknown
from svae.words import CONTROL

MISSING = ("nan", "NaN", "NAN", "<NA>", "NaT")
"""How programs write a label that is missing, when they make it a text."""


def read_labels(file: PublishedFile, preparation: Preparation) -> pd.Series:
    """Return the perturbation of each cell of the file, indexed by cell; missing where there is none."""
    found = file.column(preparation.label).astype("category")
    categories = [str(category) for category in found.cat.categories]
    if preparation.control is not None and preparation.control not in categories:
        where = f"{file.path}: obs['{preparation.label}']"
        raise unknown("control label", preparation.control, categories, where)
    renamed = {
        category: rename(text, preparation.control, preparation.separator) if text.strip() else None
        for category, text in zip(found.cat.categories, categories, strict=True)
    }
    return found.astype(object).map(renamed)


def refuse_unclear_labels(file: PublishedFile, preparation: Preparation, cells: np.ndarray) -> None:
    """Raise if what a label of the chosen cells means is not clear.

    Parameters
    ----------
    file
        The published file.
    preparation
        Its ``control`` and ``perturbations`` say what is meant.
    cells
        One boolean per cell of the file.

    Raises
    ------
    BenchmarkError
        If a label reads like a missing one, or cells labelled ``control`` would be pooled with those of the
        label that is named as control.
    """
    control, where = preparation.control, f"{file.path}: obs['{preparation.label}']"
    sizes = file.column(preparation.label)[cells].astype(str).value_counts()
    asked_for = {control, *(preparation.perturbations or [])}
    for label, size in sizes[sizes > 0].items():
        if label in MISSING and label not in asked_for:
            raise BenchmarkError(
                f"{where}: {size:,} cells are labelled '{label}', which reads like a missing label; "
                "leave them out by a list of `perturbations`, or correct the file"
            )
        if control not in (None, CONTROL) and CONTROL in _parts(str(label), preparation.separator):
            raise BenchmarkError(
                f"{where}: {size:,} cells are labelled '{label}', beside those of the control '{control}', "
                f"which becomes '{CONTROL}'; leave one of the two out with `filters`, or correct the file"
            )


def rename(label: str, control: str | None, separator: str | None) -> str:
    """Put the parts of a combination in order, without the control.

    >>> rename("B_ctrl_A", "ctrl", "_"), rename("ctrl", "ctrl", "_")
    ('A+B', 'control')
    """
    return "+".join(sorted(part for part in _parts(label, separator) if part != control)) or CONTROL


def _parts(label: str, separator: str | None) -> list[str]:
    return [label] if separator is None else label.split(separator)
