"""The perturbation of each cell, by the names that the benchmark uses."""

import numpy as np
import pandas as pd

from svae.contracts.combinations import combined
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
    if preparation.separator is not None and not any(preparation.separator in text for text in categories):
        raise BenchmarkError(
            f"{file.path}: obs['{preparation.label}']: the separator '{preparation.separator}' is in no label"
        )
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
        If a label reads like a missing one, like a control or like another label, if a separator joins
        nothing in it, or if cells labelled ``control`` would be pooled with those of the named control.
    """
    where = f"{file.path}: obs['{preparation.label}']"
    sizes = file.column(preparation.label)[cells].astype(str).value_counts()
    sizes = sizes[sizes > 0]
    for label, size in sizes.items():
        problem = _what_is_unclear(str(label), preparation, sizes.index)
        if problem is not None:
            raise BenchmarkError(f"{where}: {size:,} cells are labelled '{label}', {problem}")


def _what_is_unclear(label: str, preparation: Preparation, labels: pd.Index) -> str | None:
    """Say what is unclear about one of the labels; nothing, if it is clear."""
    control, separator = preparation.control, preparation.separator
    parts = _parts(label, separator)
    if control not in (None, CONTROL) and CONTROL in parts:
        return (
            f"beside those of the control '{control}', which becomes '{CONTROL}'; "
            "leave one of the two out with `filters`, or correct the file"
        )
    if label in (control, *(preparation.perturbations or [])):
        return None
    way_out = "leave them out by a list of `perturbations`, or correct the file"
    if label in MISSING:
        return f"which reads like a missing label; {way_out}"
    if not all(part.strip() for part in parts):
        return f"in which the separator '{separator}' joins nothing; name another separator, or {way_out}"
    controls = {CONTROL, (control or CONTROL).casefold()}
    if label.strip().casefold() in controls and label != CONTROL:
        return f"which reads like a control; name it as `control`, or {way_out}"
    twins = [other for other in labels if other != label and other.strip() == label.strip()]
    if twins:
        return f"and others '{twins[0]}', which differ by spaces alone; {way_out}"
    return None


def rename(label: str, control: str | None, separator: str | None) -> str:
    """Put the parts of a combination in order, without the control.

    >>> rename("B_ctrl_A", "ctrl", "_"), rename("ctrl", "ctrl", "_")
    ('A+B', 'control')
    """
    return combined(part for part in _parts(label, separator) if part != control)


def _parts(label: str, separator: str | None) -> list[str]:
    return [label] if separator is None else label.split(separator)
