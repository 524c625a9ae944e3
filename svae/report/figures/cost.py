"""What a fit costs, and what it scores."""

import pandas as pd

from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.dots import Panel, dot_plot, metric_panels
from svae.report.tables import Tables
from svae.report.values import FACET, RUN, chosen_values, measured, summarise

OF_CELLS = ("mcc_pearson", "inll_clean")
"""A score of latents and one of likelihood; both have room only where nothing is predicted."""
OF_GENES = ("pearson_delta_adapted", "pearson_delta_combination")
"""Scores of predictions, which need neither latents nor likelihoods."""
COSTS = {
    "seconds": Panel("Run time (s per fit)", "lower", logarithmic=True),
    "peak_memory_mb": Panel("Peak memory (MB)", "lower", logarithmic=True),
}


@figure(needs="a fit that ended well and noted what it cost")
def cost(tables: Tables) -> Drawn | None:
    """Draw the run time of a fit and its peak memory beside its scores."""
    costs = _costs(tables)
    if costs["value"].isna().all():
        return None
    of_genes = measured(tables, OF_GENES)
    scores = [*measured(tables, OF_CELLS)[: 1 if of_genes else 2], *of_genes]
    table = pd.concat([chosen_values(tables, scores), costs], ignore_index=True)
    return Drawn(dot_plot(tables, table, metric_panels(tables, scores) | COSTS), table)


def _costs(tables: Tables) -> pd.DataFrame:
    """Cost per fit of each run, averaged over its settings: those that were trained together share it."""
    status = tables.status[tables.status["method"].isin(tables.order)]
    runs = status.groupby(RUN, sort=False)["status"].agg(_outcome).rename("outcome").reset_index()
    fits = status[status["status"] == "ok"].groupby(RUN, sort=False)
    costs = fits.agg({"seconds": "mean", "peak_memory_mb": "mean", "device": "first"}).reset_index()
    runs = runs.merge(costs, on=RUN, how="left").assign(rule=tables.rule)
    table = runs.melt([*RUN, "rule", "outcome", "device"], list(COSTS), "metric")
    by = [*FACET, "metric", "method"]
    return table.merge(summarise(table, by), on=by)


def _outcome(statuses: pd.Series) -> str:
    """How a run ended as a whole. No rule has to choose anything here: all fits that ended well count."""
    if (statuses == "ok").any():
        return "chosen"
    return "not_applicable" if (statuses == "not_applicable").all() else "failed"
