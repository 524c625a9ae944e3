"""Pathways: do perturbations of genes of one pathway act more alike than others do.

Gene sets are no truth: genes of one pathway may do different things, and nobody wrote all pathways down. A
method that finds biology should be better than permuted labels all the same.
"""

from functools import partial

import numpy as np
import pandas as pd

from svae.evaluation.alike import directions, similarity
from svae.evaluation.comparison import Comparison
from svae.evaluation.metric import metric
from svae.seeds import seed_from
from svae.targets import THRESHOLD

PERMUTATIONS = 1000

of_pathways = partial(metric, question="targets", low=0, high=1, needs=("pathways", "latents"))
"""Registers a metric of the pathways that perturbed genes belong to."""


@of_pathways(label="Pairs of one pathway, AUROC", direction="higher")
def pathway_auroc(comparison: Comparison) -> float:
    """Probability that two perturbations that share a gene set are more alike than two that share none.

    It is .5 for a random fit. NaN if all pairs share a set, or none does.
    """
    return comparison.shared(_agreement)["auroc"]


@of_pathways(label="Pairs of one pathway, average precision", direction="higher")
def pathway_average_precision(comparison: Comparison) -> float:
    """Average precision of finding the pairs of perturbations that share a gene set by how alike they are.

    A random fit has the share of these pairs. NaN if all pairs share a set, or none does.
    """
    return comparison.shared(_agreement)["average_precision"]


@metric(
    label="Target sets and pathways, adjusted Rand index",
    question="targets",
    direction="higher",
    low=-1,
    high=1,
    needs=("pathways", "latents", "targets|shifts"),
    citation="Hubert & Arabie 1985",
)
def pathway_rand(comparison: Comparison) -> float:
    """Agreement of the pairs that share a gene set and the pairs with the same target latents, less chance.

    It is 0 on average for permuted labels, and 1 if the pairs are the same. The index compares partitions;
    gene sets overlap, and so its formula is applied to the pairs. NaN if all pairs share a set and have the
    same targets, or none does either.
    """
    shared = share_a_set(comparison.pathways)
    targets = (comparison.targets.loc[shared.index] > THRESHOLD).to_numpy()
    same = (targets[:, None, :] == targets[None, :, :]).all(axis=2)
    pairs = np.triu_indices(len(shared), k=1)
    return adjusted_rand(shared.to_numpy()[pairs], same[pairs])


@of_pathways(label="Pairs of one pathway, p of permutations", direction="lower", decimals=3)
def pathway_p(comparison: Comparison) -> float:
    """How often permuted labels of perturbations agree as well with the gene sets as the fit does.

    The statistic is the AUROC; labels are permuted a thousand times, so that no p is below .001.
    """
    return comparison.shared(_agreement)["p"]


def _agreement(comparison: Comparison) -> dict[str, float]:
    """Compute AUROC, average precision and p from all pairs of the perturbations that any gene set holds."""
    from sklearn.metrics import average_precision_score  # here, because it takes a second to import

    shared = share_a_set(comparison.pathways)
    alike = similarity(directions(comparison, shared.index))
    pairs = np.triu_indices(len(shared), k=1)
    ranks = pd.Series(alike[pairs]).rank().to_numpy()
    related = shared.to_numpy()
    found = _auroc(ranks, related[pairs])
    if np.isnan(found):
        return {"auroc": np.nan, "average_precision": np.nan, "p": np.nan}
    random = np.random.default_rng(seed_from(comparison.seed, "pathways"))
    permuted = []
    for _ in range(PERMUTATIONS):
        order = random.permutation(len(shared))
        permuted.append(_auroc(ranks, related[np.ix_(order, order)][pairs]))
    return {
        "auroc": found,
        "average_precision": float(average_precision_score(related[pairs], alike[pairs])),
        "p": (1 + np.sum(np.array(permuted) >= found)) / (1 + PERMUTATIONS),
    }


def share_a_set(pathways: pd.DataFrame) -> pd.DataFrame:
    """Say which pairs of perturbations share a gene set, perturbation × perturbation, booleans.

    Parameters
    ----------
    pathways
        One row per perturbation and set that holds it: ``perturbation``, ``gene_set``.
    """
    member = pd.crosstab(pathways["perturbation"], pathways["gene_set"])
    return (member @ member.T) > 0


def adjusted_rand(one: np.ndarray, other: np.ndarray) -> float:
    """Adjusted Rand index of two relations, each given by whether it holds for a pair; NaN if undefined."""
    both, neither = np.sum(one & other), np.sum(~one & ~other)
    only_one, only_other = np.sum(one & ~other), np.sum(~one & other)
    most = (both + only_one) * (only_one + neither) + (both + only_other) * (only_other + neither)
    return float(2 * (both * neither - only_one * only_other) / most) if most else np.nan


def _auroc(ranks: np.ndarray, related: np.ndarray) -> float:
    """Area under the curve by the statistic of Mann & Whitney, from the ranks of all pairs."""
    n, others = related.sum(), (~related).sum()
    if n == 0 or others == 0:
        return np.nan
    return float((ranks[related].sum() - n * (n + 1) / 2) / (n * others))
