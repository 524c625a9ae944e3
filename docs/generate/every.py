"""What every method does on one small simulated screen: the committed results of the scope `everything`."""

from docs.generate.comparisons import Chosen, Question
from docs.generate.results import labels

RUN, RULE = "everything", "validation_likelihood"
UNSEEN, PAIRS = (RUN, "simulated", RULE, "unseen"), (RUN, "simulated", RULE, "pairs")

SIZES = ("perturbations", "combinations", "cells_per_perturbation", "latents", "genes")
OF_TRUTH = ["mcc_pearson", "target_f1", "target_average_precision"]
OF_LIKELIHOOD = ["inll_zero_shot", "inll_clean"]
OF_GENES = [
    "pearson_delta_zero_shot_calibrated",
    "pearson_delta_adapted_calibrated",
    "weighted_r2_adapted_calibrated",
    "discrimination_adapted_calibrated",
]
OF_PAIRS = [
    "inll_zero_shot",
    "pearson_delta_combination_calibrated",
    "weighted_r2_combination_calibrated",
]

ABOUT_UNSEEN = (
    Question("Do masks do better than knowing the perturbations alone?", "svae_plus", "ivae", "mcc_pearson"),
    Question("", "svae_plus", "ivae", "target_f1"),
    Question("Is a sparse prior needed, or does a rotation do?", "ivae_rotated", "svae_plus", "mcc_pearson"),
    Question("", "ivae_rotated", "svae_plus", "target_f1"),
    Question("Is the neural network needed?", "svae_plus", "gsfa", "mcc_pearson"),
    Question("", "svae_plus", "gsfa", "target_f1"),
    Question("", "svae_plus", "gsfa", "weighted_r2_adapted_calibrated"),
    Question("Do shifts help to predict cells?", "ivae", "vae", "inll_clean"),
    Question("Does sparsity help?", "svae_plus", "ivae", "inll_clean"),
)
ABOUT_PAIRS = (
    Question("Does knowing the parts of pairs help to predict cells?", "cpa_vae", "ivae", "inll_zero_shot"),
    Question("Are pairs more than the sum of their parts to a model?", "cpa_vae", "additive", OF_PAIRS[1]),
    Question("", "sams_vae", "additive", OF_PAIRS[1]),
    Question("", "gsfa", "additive", OF_PAIRS[1]),
    Question("", "latent_additive", "additive", OF_PAIRS[1]),
)


def answers() -> str:
    """Answer the questions that the methods are compared for."""
    return "\n\n".join([Chosen(*UNSEEN).answers(ABOUT_UNSEEN), Chosen(*PAIRS).answers(ABOUT_PAIRS)])


def what_it_is() -> str:
    """Say how large the screen is, and how often each method was fitted on a draw of it."""
    run = Chosen(*UNSEEN)
    facts = {name: int(float(run.facts[name])) for name in SIZES}
    pairs = facts["combinations"]
    fitted = run.values.groupby("method", sort=False)["replicate"].nunique()
    draws = [f"n = {fitted.max()} draws of the data"]
    for n, methods in fitted[fitted < fitted.max()].groupby(fitted):
        draws.append(f"{n} of them for {', '.join(labels()[methods.index])}")
    cells, latents, genes = facts["cells_per_perturbation"], facts["latents"], facts["genes"]
    size = f"{facts['perturbations'] - pairs} perturbations and {pairs} pairs of them, {cells} cells of each"
    return f"{size}, {latents} latents, {genes} genes. {'; '.join(draws)}."
