"""What `make docs` writes into README.md and docs/: tables and drawings of what other files already say."""

from docs.generate import breaking, comparisons, drawings, guides, results

WRITERS = {
    "results of simulation": results.of_simulation,
    "results of papalexi": results.of_papalexi,
    "rotation of simulation": results.rotation,
    "draws of simulation": comparisons.draws,
    "answers of simulation": comparisons.of_simulation,
    "losses of robustness": breaking.losses,
    "averages of robustness": breaking.averages,
    "penalties of robustness": breaking.penalties,
    "units of papalexi": comparisons.units_of_papalexi,
    "answers of papalexi": comparisons.of_papalexi,
    "validation likelihood against UDR": comparisons.of_rules,
    "distance to the limits": comparisons.distance_to_the_limits,
    "modes": comparisons.modes,
    "coverage": comparisons.coverage,
    "margins": comparisons.margins,
    "failed starts": results.failed_starts,
    "metrics of simulated cells": results.of_simulated_cells,
    "fidelity": results.fidelity,
    "presets": results.presets,
    "small screens": results.small_screens,
    "number of latents": results.number_of_latents,
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
