"""The perturbation of each cell, by the names that the benchmark uses."""

import pandas as pd

from svae.datasets.preparation import Preparation
from svae.datasets.published import PublishedFile
from svae.errors import unknown
from svae.words import CONTROL


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


def rename(label: str, control: str | None, separator: str | None) -> str:
    """Put the parts of a combination in order, without the control.

    >>> rename("B_ctrl_A", "ctrl", "_"), rename("ctrl", "ctrl", "_")
    ('A+B', 'control')
    """
    parts = label.split(separator) if separator is not None else [label]
    return "+".join(sorted(part for part in parts if part != control)) or CONTROL
