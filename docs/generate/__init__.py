"""What `make docs` writes into README.md and docs/: tables and drawings of what other files already say."""

from collections.abc import Callable
from functools import partial

from docs.generate import breaking, comparisons, drawings, every, guides, metrics, results, screen
from docs.generate.results import leaderboard_of

WRITERS: dict[str, Callable[[], str]] = {
    "results of simulation": partial(leaderboard_of, results.SIMULATION, results.MAIN),
    "rotation of simulation": results.rotation,
    "draws of simulation": comparisons.draws,
    "answers of simulation": comparisons.of_simulation,
    "losses of robustness": breaking.losses,
    "averages of robustness": breaking.averages,
    "penalties of robustness": breaking.penalties,
    "screen of papalexi": screen.what_it_is,
    "overview of papalexi": screen.overview,
    "guides of papalexi": partial(leaderboard_of, screen.GUIDES, screen.OF_GUIDES),
    "likelihoods of papalexi": partial(leaderboard_of, screen.SCREEN, results.LIKELIHOOD),
    "predictions of papalexi": partial(leaderboard_of, screen.SCREEN, screen.OF_GENES),
    "answers of papalexi": screen.answers,
    "units of papalexi": screen.units,
    "screen of everything": every.what_it_is,
    "truth of everything": partial(leaderboard_of, every.UNSEEN, every.OF_TRUTH),
    "likelihoods of everything": partial(leaderboard_of, every.UNSEEN, every.OF_LIKELIHOOD),
    "predictions of everything": partial(leaderboard_of, every.UNSEEN, every.OF_GENES),
    "pairs of everything": partial(leaderboard_of, every.PAIRS, every.OF_PAIRS),
    "answers of everything": every.answers,
    "validation likelihood against UDR": comparisons.of_rules,
    "distance to the limits": comparisons.distance_to_the_limits,
    "modes": comparisons.modes,
    "coverage": comparisons.coverage,
    "margins": comparisons.margins,
    "failed starts": results.failed_starts,
    "metrics of simulated cells": partial(metrics.table_of, metrics.of_simulated_cells),
    "metrics without a truth": partial(metrics.table_of, metrics.without_truth),
    "metrics of guides": partial(metrics.table_of, metrics.of_guides),
    "metrics of pathways": partial(metrics.table_of, metrics.of_pathways),
    "metrics of likelihood": partial(metrics.table_of, metrics.of_likelihood),
    "metrics of moved genes": partial(metrics.table_of, metrics.of_moved_genes),
    "scores of predictions": metrics.scores_of_predictions,
    "fidelity": results.fidelity,
    "presets": results.presets,
    "small screens": results.small_screens,
    "number of latents": results.number_of_latents,
    "independence": results.independence,
    "package of perturbVI": results.factor_package,
    "speed": results.speed,
    "exact likelihood": results.exact_likelihood,
    "differential": results.differential,
    "where to change what": guides.where_to_change_what,
    "rules": drawings.rules,
    "rooms": drawings.rooms,
    "what each room is": drawings.what_each_room_is,
}
"""Function that writes the text of a generated block, by the name that pages give to the block."""
