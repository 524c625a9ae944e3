"""How well each method does: latents, targets, guides and likelihoods, one row per method."""

from collections.abc import Mapping

from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.dots import dot_plot, metric_panels
from svae.report.tables import Tables
from svae.report.values import chosen_values, measured

LATENTS = ("mcc_pearson", "mcc_spearman", "r2", "dci_disentanglement")
TARGETS = ("target_precision", "target_recall", "target_f1", "target_average_precision")
GUIDES = (
    "sibling_auroc",
    "sibling_average_precision",
    "non_targeting_with_target",
    "guides_with_target",
)
DISENTANGLEMENT = ("smi_best", "smi_matching", "smi_gap")
PATHWAYS = ("pathway_auroc", "pathway_average_precision", "pathway_rand", "pathway_p")
# Without a shift the true generator is no floor: a model with a wider prior can do better.
LIKELIHOODS = {
    "inll_zero_shot": "true generator",
    "inll_same_cells": "floor: true generator",
    "inll_clean": "floor: true generator",
}


@figure(needs="the true latents, which only a simulated dataset has")
def latent_recovery(tables: Tables) -> Drawn | None:
    """Draw how well each method recovers the true latents."""
    return _draw_scores(tables, dict.fromkeys(LATENTS, ""))


@figure(needs="latents of real cells")
def disentanglement(tables: Tables) -> Drawn | None:
    """Draw how much latents tell about perturbations, where nobody knows the true latents."""
    return _draw_scores(tables, dict.fromkeys(DISENTANGLEMENT, ""))


@figure(needs="the true targets, which only a simulated dataset has")
def target_identification(tables: Tables) -> Drawn | None:
    """Draw how well each method names the latents that a perturbation shifts."""
    return _draw_scores(tables, dict.fromkeys(TARGETS, ""))


@figure(needs="a dataset in which each guide is a perturbation of its own (`each_guide`)")
def sibling_guides(tables: Tables) -> Drawn | None:
    """Draw whether guides for one gene are found alike, and whether those for none do nothing."""
    return _draw_scores(tables, dict.fromkeys(GUIDES, ""))


@figure(needs="gene sets of a real dataset (`gene_sets`) that hold its perturbed genes")
def pathway_agreement(tables: Tables) -> Drawn | None:
    """Draw whether perturbations of genes of one pathway are found alike."""
    return _draw_scores(tables, dict.fromkeys(PATHWAYS, ""))


@figure(needs="likelihoods of held-out perturbations")
def likelihood(tables: Tables) -> Drawn | None:
    """Draw the negative log-likelihood of held-out perturbations, and that of the true generator."""
    return _draw_scores(tables, LIKELIHOODS)


def _draw_scores(tables: Tables, metrics: Mapping[str, str]) -> Drawn | None:
    """Draw those `metrics` that have a value; the text of each says what the oracle's line means."""
    known = measured(tables, metrics)
    if not known:
        return None
    table = chosen_values(tables, known)
    return Drawn(dot_plot(tables, table, metric_panels(tables, known, metrics)), table)
