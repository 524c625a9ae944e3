"""Guides: do those that aim at one gene act alike, and do those that aim at none do nothing.

A truth that real screens have, if each guide is a perturbation of its own
(:func:`svae.datasets.each_guide.label_by_guide`). Sibling guides aim at one target. Non-targeting guides aim
at none, and some of them are treated as if each were a perturbation. A metric is the mean over the targets,
or over these non-targeting guides, which are the units of replication. What a random fit scores is .5 for
`sibling_auroc`, and the share of siblings among all pairs for `sibling_average_precision`.
"""

from functools import partial

import numpy as np
import pandas as pd

from svae.evaluation.alike import directions, similarity
from svae.evaluation.comparison import Comparison
from svae.evaluation.metric import metric
from svae.targets import THRESHOLD
from svae.words import CONTROL

MARGIN = 0.05
"""Methods that differ by less are called equal: some twenty targets do not tell more."""

of_guides = partial(metric, question="targets", low=0, high=1)
"""Registers a metric of guides."""


def auroc_by_target(comparison: Comparison) -> pd.Series:
    """Share of all other pairs that are less alike than two siblings, for each target."""
    pairs = comparison.shared(pairs_of_guides)
    is_sibling = pairs["target"].notna()
    others, siblings = np.sort(pairs.loc[~is_sibling, "similarity"]), pairs[is_sibling]
    if not len(others):
        return pd.Series(dtype=float)
    below, up_to = (np.searchsorted(others, siblings["similarity"], side) for side in ("left", "right"))
    return _mean_by_target(siblings, (below + up_to) / 2 / len(others))  # equal ones count half


@of_guides(
    label="Sibling guides, AUROC",
    direction="higher",
    needs=("guides", "latents"),
    headline=True,
    margin=MARGIN,
    of_each=auroc_by_target,
)
def sibling_auroc(comparison: Comparison) -> float:
    """Probability that two guides for one gene are more alike than two guides for different genes.

    Guides are alike if their shifts have a small angle (:mod:`svae.evaluation.alike`).
    """
    return float(auroc_by_target(comparison).mean())


def precision_by_target(comparison: Comparison) -> pd.Series:
    """Share of siblings among the pairs that are at least as alike as two siblings, for each target."""
    pairs = comparison.shared(pairs_of_guides)
    siblings = pairs[pairs["target"].notna()]
    as_alike, siblings_as_alike = (
        len(table) - np.searchsorted(np.sort(table["similarity"]), siblings["similarity"])
        for table in (pairs, siblings)
    )
    return _mean_by_target(siblings, siblings_as_alike / as_alike)


@of_guides(
    label="Sibling guides, average precision",
    direction="higher",
    needs=("guides", "latents"),
    of_each=precision_by_target,
)
def sibling_average_precision(comparison: Comparison) -> float:
    """Average precision of finding the pairs of guides for one gene by how alike they are."""
    return float(precision_by_target(comparison).mean())


def calls_of_targeting(comparison: Comparison) -> pd.Series:
    """Share of its guides that have a target latent, for each target."""
    calls = comparison.shared(has_target)
    aims = comparison.guides[comparison.guides != CONTROL]
    return calls[aims.index].groupby(aims.to_numpy()).mean()


@of_guides(
    label="Guides with a target latent",
    direction="higher",
    needs=("guides", "targets|shifts"),
    of_each=calls_of_targeting,
)
def guides_with_target(comparison: Comparison) -> float:
    """Share of the guides that aim at a gene for which the method names a latent that they shift.

    Not all of them need to do something. It says what a low share of non-targeting guides was paid with.
    """
    return float(calls_of_targeting(comparison).mean())


def calls_of_non_targeting(comparison: Comparison) -> pd.Series:
    """Whether each non-targeting guide has a target latent, 0 or 1."""
    calls = comparison.shared(has_target)
    return calls[comparison.guides.index[comparison.guides == CONTROL]]


@of_guides(
    label="Non-targeting guides with a target latent",
    direction="lower",
    needs=("guides", "targets|shifts"),
    headline=True,
    margin=MARGIN,
    of_each=calls_of_non_targeting,
)
def non_targeting_with_target(comparison: Comparison) -> float:
    """False-positive rate: share of non-targeting guides for which the method names a latent that they shift.

    NaN if no non-targeting guide is treated as a perturbation.
    """
    return float(calls_of_non_targeting(comparison).mean())


def has_target(comparison: Comparison) -> pd.Series:
    """Whether each guide has a latent that is a target with a probability above one half, 0 or 1.

    Where a method has no masks, targets are read off its shifts (:func:`svae.targets.targets_from_shifts`).
    """
    return (comparison.targets > THRESHOLD).any(axis=1).astype(float)


def pairs_of_guides(comparison: Comparison) -> pd.DataFrame:
    """All pairs of guides that aim at a gene: ``target``, missing where they are no siblings, ``similarity``.

    The similarity is that of :func:`svae.evaluation.alike.similarity`.
    """
    aims = comparison.guides[comparison.guides != CONTROL]
    alike = similarity(directions(comparison, aims.index))
    first, second = np.triu_indices(len(aims), k=1)
    targets = aims.to_numpy()
    are_siblings = targets[first] == targets[second]
    return pd.DataFrame(
        {
            "target": np.where(are_siblings, targets[first], None),
            "similarity": alike[first, second],
        }
    )


def _mean_by_target(siblings: pd.DataFrame, values: np.ndarray) -> pd.Series:
    """Average the values of the pairs of siblings of each target."""
    return pd.Series(values, siblings["target"].to_numpy(), dtype=float).groupby(level=0).mean()
