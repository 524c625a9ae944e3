"""The perturbation of each cell, by the names that the benchmark uses."""

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from svae.contracts.combinations import combined
from svae.datasets.guides import Guides
from svae.datasets.preparation import Preparation, listed
from svae.datasets.published import PublishedTables
from svae.errors import BenchmarkError, unknown
from svae.words import CONTROL

MISSING = ("nan", "NaN", "NAN", "<NA>", "NaT")
"""How programs write a label that is missing, when they make it a text."""

NUMBER_OF_A_GUIDE = re.compile(r"(g|sg|guide|sgrna|grna)?[-.]?[0-9]+", re.IGNORECASE)
"""How the numbers of guides are written: 1, g1, sg1, guide-1."""

WAY_OUT = "leave them out by a list of `perturbations`, or correct the file"


NOT_MERGED = Guides()


@dataclass(frozen=True)
class Naming:
    """How labels of a file become names of perturbations.

    Attributes
    ----------
    guides
        Which target each guide aims at.
    controls
        Labels and targets of unperturbed cells; a target that a pattern or table calls ``control`` is one.
    control_pattern
        Pattern of further labels of unperturbed cells.
    separator
        What joins the parts of a combination.
    """

    guides: Guides = NOT_MERGED
    controls: tuple[str, ...] = ()
    control_pattern: str | None = None
    separator: str | None = None

    @classmethod
    def of(cls, preparation: Preparation) -> "Naming":
        """Return the naming that a preparation asks for."""
        return cls(
            Guides.of(preparation),
            tuple(listed(preparation.control)),
            preparation.control_pattern,
            preparation.separator,
        )

    def parts(self, label: str) -> list[str]:
        """Return the parts of a label as the file writes them."""
        return [label] if self.separator is None else label.split(self.separator)

    def is_control(self, part: str) -> bool:
        """Say whether a part of a label stands for no perturbation."""
        if self.control_pattern is not None and re.fullmatch(self.control_pattern, part):
            return True
        target = self.guides.target(part)
        return part in self.controls or target in self.controls or (target == CONTROL and target != part)

    def name(self, label: str) -> str:
        """Return the name of a perturbation: the targets of its parts in order, without the control.

        >>> Naming(controls=("ctrl",), separator="_").name("B_ctrl_A")
        'A+B'
        >>> Naming(Guides("(.+)g[0-9]+"), controls=("NT",)).name("NTg7")
        'control'
        """
        parts = [part for part in self.parts(label) if not self.is_control(part)]
        if not self.guides.are_merged:
            return combined(parts)
        return combined({self.guides.target(part) or part for part in parts})


def read_labels(file: PublishedTables, preparation: Preparation) -> pd.Series:
    """Return the perturbation of each cell of the file, indexed by cell; missing where there is none.

    Raises
    ------
    BenchmarkError
        If a control is not in the file, or the separator or the pattern of controls fits no label.
    """
    naming, where = Naming.of(preparation), file.place(listed(preparation.label))
    found = file.texts(listed(preparation.label))
    labels = list(found.cat.categories)
    parts = {part for label in labels for part in naming.parts(label)}
    targets = {naming.guides.target(part) for part in parts} - {None}
    for control in naming.controls:
        if control not in parts | targets | set(labels):
            raise unknown("control label", control, targets | set(labels), where)
    if preparation.control_pattern is not None and not any(
        re.fullmatch(preparation.control_pattern, part) for part in parts
    ):
        raise BenchmarkError(f"{where}: the control_pattern '{preparation.control_pattern}' matches no label")
    if preparation.separator is not None and not any(preparation.separator in label for label in labels):
        raise BenchmarkError(f"{where}: the separator '{preparation.separator}' is in no label")
    return found.astype(object).map({label: naming.name(label) for label in labels})


def read_guides(file: PublishedTables, preparation: Preparation) -> pd.Series | None:
    """Return the guide of each cell of the file, missing where there is none; None if it is not known."""
    if preparation.guide is not None:
        return file.texts(listed(preparation.guide)).astype(object)
    return file.texts(listed(preparation.label)).astype(object) if preparation.merges_guides else None


def refuse_unclear_labels(file: PublishedTables, preparation: Preparation, cells: np.ndarray) -> None:
    """Raise if what a label of the chosen cells means is not clear.

    Parameters
    ----------
    file
        The published file.
    preparation
        What it says of labels, and its ``perturbations``, tell what is meant.
    cells
        One boolean per cell of the file.

    Raises
    ------
    BenchmarkError
        If a label reads like a missing one, like a control, like another label or like a guide that has a
        number, if a separator joins nothing in it, if nothing says which target it aims at, or if cells
        labelled ``control`` would be pooled with those of the named control.
    """
    columns, naming = listed(preparation.label), Naming.of(preparation)
    sizes = file.texts(columns)[cells].astype(str).value_counts()
    for label, size in sizes.items():
        problem = _what_is_unclear(str(label), naming, preparation.perturbations or [], sizes.index)
        if problem is not None:
            raise BenchmarkError(f"{file.place(columns)}: {size:,} cells are labelled '{label}', {problem}")


def _what_is_unclear(label: str, naming: Naming, asked_for: list[str], labels: pd.Index) -> str | None:
    """Say what is unclear about one of the labels; nothing, if it is clear."""
    parts = naming.parts(label)
    named = [*naming.controls, *([naming.control_pattern] if naming.control_pattern else [])]
    if named and CONTROL in parts and not naming.is_control(CONTROL):
        return (
            f"beside those of the control '{named[0]}', which becomes '{CONTROL}'; "
            "leave one of the two out with `filters`, or correct the file"
        )
    if naming.is_control(label) or label in asked_for:
        return None
    if label in MISSING:
        return f"which reads like a missing label; {WAY_OUT}"
    if not all(part.strip() for part in parts):
        separator = naming.separator
        return f"in which the separator '{separator}' joins nothing; name another separator, or {WAY_OUT}"
    if label.strip().casefold() in {CONTROL, *(name.casefold() for name in named)} and label != CONTROL:
        return f"which reads like a control; name it as `control`, or {WAY_OUT}"
    twins = [other for other in labels if other != label and other.strip() == label.strip()]
    if twins:
        return f"and others '{twins[0]}', which differ by spaces alone; {WAY_OUT}"
    return _which_guide_is_unclear(parts, naming, labels)


def _which_guide_is_unclear(parts: list[str], naming: Naming, labels: pd.Index) -> str | None:
    """Say which part of a label has no target, or is what a separator has cut off a guide."""
    unknown_guides = [
        part for part in parts if naming.guides.target(part) is None and not naming.is_control(part)
    ]
    if unknown_guides:
        verb = "is not in" if naming.guides.table is not None else "is not matched by"
        return (
            f"but '{unknown_guides[0]}' {verb} {naming.guides.source}; name it as `control`, add it there, "
            f"or {WAY_OUT}"
        )
    if naming.guides.are_merged or all(NUMBER_OF_A_GUIDE.fullmatch(part) for part in parts):
        return None
    numbers = [part for part in parts if NUMBER_OF_A_GUIDE.fullmatch(part) and part not in labels]
    if numbers:
        pattern = f"(.+){re.escape(str(naming.separator))}{re.sub('[0-9]+', '[0-9]+', numbers[0])}"
        return (
            f"of which the separator '{naming.separator}' makes a perturbation '{numbers[0]}', which reads "
            f"like the number of a guide; to merge guides, give `guide_pattern: {pattern}` instead of "
            f"`separator`, or {WAY_OUT}"
        )
    return None
