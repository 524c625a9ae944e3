"""Combinations: the label ``A+B`` says that a cell was given the perturbations A and B.

Files hold one label per cell. A method that treats each label as a perturbation of its own needs nothing of
this; one for which combinations are made of parts reads them by :func:`parts_of` or :func:`multi_hot`.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from svae.words import CONTROL

if TYPE_CHECKING:
    import pandas as pd

JOINT = "+"
"""What joins the parts of a combination."""


def parts_of(perturbation: str) -> tuple[str, ...]:
    """Return the single perturbations that a label stands for; the control has none.

    A label whose ``+`` does not join different parts, such as ``CD8+``, is a single perturbation.

    >>> parts_of("A+B"), parts_of("A"), parts_of("CD8+"), parts_of("control")
    (('A', 'B'), ('A',), ('CD8+',), ())
    """
    parts = [part for part in perturbation.split(JOINT) if part != CONTROL]
    joins = all(part.strip() for part in parts) and len(set(parts)) == len(parts)
    return tuple(parts) if joins else (perturbation,)


def is_combination(perturbation: str) -> bool:
    """Say whether a label stands for more than one perturbation."""
    return len(parts_of(perturbation)) > 1


def combined(parts: Iterable[str]) -> str:
    """Return the label of a combination: its parts in order; the control, if there are none.

    >>> combined(["B", "A"]), combined([])
    ('A+B', 'control')
    """
    return JOINT.join(sorted(parts)) or CONTROL


def multi_hot(perturbations: Iterable[str]) -> "pd.DataFrame":
    """Return which single perturbations each label stands for.

    Parameters
    ----------
    perturbations
        Labels; repetitions do no harm.

    Returns
    -------
    Perturbation × part, 1.0 for a part of the perturbation and 0.0 elsewhere: one row per different label, in
    the order of their first mention, and one column per part, in the order of the names. The row of the
    control is all zero.
    """
    import pandas as pd  # here, because simulators, which are light to load, read labels too

    parts = {label: parts_of(label) for label in perturbations}
    columns = sorted({part for of_label in parts.values() for part in of_label})
    table = pd.DataFrame(0.0, pd.Index(list(parts), name="perturbation"), columns)
    for row, of_label in enumerate(parts.values()):
        table.iloc[row, table.columns.get_indexer(list(of_label))] = 1.0
    return table


def sums_of_parts(perturbations: Iterable[str], of_parts: "pd.DataFrame") -> "pd.DataFrame":
    """Add up what the parts of each perturbation have, as additive models do.

    Parameters
    ----------
    perturbations
        Labels; repetitions do no harm.
    of_parts
        Part × anything, with a row for each part of `perturbations`.

    Returns
    -------
    A row per different label, in the order of their first mention, with the columns of `of_parts`; 0 for the
    control.
    """
    parts = multi_hot(perturbations)
    return (parts @ of_parts.loc[parts.columns]).rename_axis(index=None)


def genes_aimed_at(perturbation: str, aims: "pd.Series") -> tuple[str, ...]:
    """Name what a perturbation perturbs: the parts of its name or, if it is a guide, of what it aims at.

    Parameters
    ----------
    perturbation
        Its label.
    aims
        What each guide aims at, indexed by guide; empty if the perturbations are no guides.
    """
    return parts_of(str(aims.get(perturbation, perturbation)))
