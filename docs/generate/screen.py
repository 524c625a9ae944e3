"""What a real screen tells: the committed results of the scope `papalexi`."""

from docs.generate.comparisons import Chosen, Question
from docs.generate.results import REFERENCE, Leaderboard, headings, markdown
from svae.files import read_table

RUN, RULE = "papalexi", "validation_likelihood"
SCREEN, GUIDES = (RUN, "papalexi", RULE), (RUN, "papalexi_guides", RULE)

OF_GUIDES = [
    "sibling_auroc",
    "sibling_average_precision",
    "guides_with_target",
    "non_targeting_with_target",
]
OF_GENES = [
    "weighted_r2_zero_shot_calibrated",
    "weighted_r2_adapted_calibrated",
    "discrimination_adapted_calibrated",
    "energy_distance_adapted_calibrated",
]
OVERVIEW = [
    (GUIDES, "sibling_auroc"),
    (GUIDES, "non_targeting_with_target"),
    (SCREEN, "inll_clean"),
    (SCREEN, "weighted_r2_adapted_calibrated"),
]
"""The dataset and the metric of each column of the short table."""

ABOUT_SCREEN = (
    Question("Does sparsity help to predict held-out knock-outs?", "svae_plus", "ivae", "inll_clean"),
    Question("Do shifts help to predict them?", "ivae", "vae", "inll_clean"),
    Question(
        "Is the neural network needed to predict genes?",
        "svae_plus",
        "gsfa",
        "weighted_r2_adapted_calibrated",
    ),
)
ABOUT_GUIDES = (
    Question("Does sparsity help to find sibling guides?", "svae_plus", "ivae", "sibling_auroc"),
    Question("Does a rotation do better than masks?", "ivae_rotated", "svae_plus", "sibling_auroc"),
    Question("Do neural networks do better than ICA?", "ivae", "ica", "sibling_auroc"),
)


def overview() -> str:
    """Tabulate one metric for each question about the screen and its guides, a row per method."""
    boards = {place: Leaderboard(*place) for place in (SCREEN, GUIDES)}
    columns = [(boards[place], metric) for place, metric in OVERVIEW]
    methods = dict.fromkeys(method for board, metric in columns for method in board.methods([metric]))
    screen = boards[SCREEN]
    rows = [[screen.name(m), *(board.cell(m, metric) for board, metric in columns)] for m in methods]
    table = markdown(rows, ["", *headings(metric for _, metric in columns)])
    return screen.with_note(table, methods)


def answers() -> str:
    """Answer the questions that the screen and its guides are looked at for."""
    return "\n\n".join([Chosen(*SCREEN).answers(ABOUT_SCREEN), Chosen(*GUIDES).answers(ABOUT_GUIDES)])


def units() -> str:
    """Say over what the differences are taken."""
    screen, of_guides = Chosen(*SCREEN), Chosen(*GUIDES)
    knock_outs = screen.of_metric("inll_clean").index.nunique()
    targets = of_guides.of_metric("sibling_auroc").index.nunique()
    non_targeting = of_guides.of_metric("non_targeting_with_target").index.nunique()
    return (
        f"Differences of likelihoods and predictions are over n = {knock_outs} held-out knock-outs. Those of "
        f"sibling guides are over n = {targets} targets, and those of non-targeting guides over "
        f"n = {non_targeting} of them."
    )


def what_it_is() -> str:
    """Say how large the screen is."""
    facts = read_table(REFERENCE / RUN / "datasets.tsv", dtype=str)
    of_screen = facts[facts["dataset"] == "papalexi"].set_index("parameter")["value"]
    perturbations, cells, genes = (
        int(float(of_screen[name])) for name in ("perturbations", "cells", "genes")
    )
    return f"{perturbations} knock-outs in {cells:,} THP-1 cells, on {genes} genes (Papalexi et al. 2021)."
