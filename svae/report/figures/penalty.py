"""What the penalty of sVAE+ does to its targets."""

import math
from typing import Any

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from svae.evaluation.selection import RULES
from svae.report.figures.axes import divide, label_log_axis, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.style import GREY, INK, PALE, SMALL, WIDTH
from svae.report.outcomes import FALLBACK
from svae.report.tables import Tables
from svae.report.values import FACET, by_setting, facets

METHOD = "svae_plus"  # its penalty is the s of a Beta(1, s) prior
SCORES = ("target_precision", "target_recall", "target_f1")


@figure(needs="sVAE+ at several penalties on a dataset with true targets")
def targets_against_penalty(tables: Tables) -> Drawn | None:
    """Draw the targets' precision, recall and F1 against the penalty of sVAE+, and what each rule chose."""
    table = by_setting(tables, "penalty", SCORES, [METHOD])
    shown = list(facets(table, "mean"))
    if not shown:
        return None
    rules = [rule for rule in RULES if rule in set(tables.selected["rule"])]
    chosen = _chosen_penalties(tables)
    columns = min(3, len(shown))
    strip_height = 0.17 * len(rules) + 0.05
    page = matplotlib.figure.Figure(
        figsize=(
            min(WIDTH, 1.7 + 2.9 * columns),
            math.ceil(len(shown) / columns) * (2.5 + strip_height) + 0.2,
        )
    )
    for place, (part, (facet, group)) in enumerate(
        zip(divide(page, len(shown), columns), shown, strict=True)
    ):
        write_title(part, tables.title(*facet))
        ax, strip = part.subplots(2, 1, sharex=True, height_ratios=[1.75, strip_height])
        _draw_scores(ax, group, _number_of_perturbations(tables, facet[0]), tables.colour(METHOD))
        _draw_choices(strip, chosen[(chosen[FACET] == facet).all(axis=1)], rules, tables)
        label_log_axis(strip, sorted(group["x"].unique()))
        strip.set_xlabel("Penalty s")
        ax.set_ylabel("Score (1 is best)")
        if place == 0:
            handles, labels = ax.get_legend_handles_labels()
    page.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return Drawn(page, pd.concat([table, chosen], ignore_index=True))


def _draw_scores(ax: Axes, table: pd.DataFrame, perturbations: float, colour: str) -> None:
    """Draw a line and a band per score, and where the penalty is the number of perturbations."""
    looks: dict[str, dict[str, Any]] = {
        "target_precision": {"label": "precision", "marker": "^", "ls": "--", "color": GREY, "lw": 1.0},
        "target_recall": {"label": "recall", "marker": "v", "ls": ":", "color": GREY, "lw": 1.2},
        "target_f1": {"label": "F1", "marker": "o", "ls": "-", "color": colour, "lw": 1.8},
    }
    for score, look in looks.items():
        rows = table[table["metric"] == score]
        ax.fill_between(rows["x"], rows["low"], rows["high"], color=look["color"], alpha=0.15, lw=0)
        ax.plot(rows["x"], rows["mean"], ms=4, **look)
    if np.isfinite(perturbations):
        ax.axvline(perturbations, color=INK, lw=0.6, zorder=0)
        ax.text(
            perturbations,
            1.01,
            f"s = K = {perturbations:g}",
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=SMALL,
        )
    ax.set_ylim(-0.03, 1.05)
    ax.tick_params(bottom=False, labelbottom=False)


def _chosen_penalties(tables: Tables) -> pd.DataFrame:
    """Count the replicates of sVAE+ that each rule gave each penalty, by outcome."""
    penalties = tables.settings[tables.settings["parameter"] == "penalty"]
    penalties = penalties.assign(x=pd.to_numeric(penalties["value"], errors="coerce"))
    chosen = tables.selected[tables.selected["method"] == METHOD]
    chosen = chosen.merge(penalties[["method", "setting", "x"]], on=["method", "setting"])
    keys = [*FACET, "method", "rule", "outcome", "x"]
    return chosen.groupby(keys, sort=False).size().rename("chosen").reset_index()


def _draw_choices(ax: Axes, chosen: pd.DataFrame, rules: list[str], tables: Tables) -> None:
    """Draw a row per rule with a dot at each penalty it chose; its area is the number of replicates.

    A dot is hollow where the rule made no choice and the fixed setting was taken.
    """
    most = max(chosen["chosen"], default=1)
    for row, rule in enumerate(rules):
        ax.axhline(row, color=PALE, lw=0.5, zorder=0)
        colour = GREY if RULES[rule].sees_truth else INK
        if rule == tables.rule:
            colour = tables.colour(METHOD)
        for dot in chosen[chosen["rule"] == rule].itertuples():
            inside = "white" if dot.outcome == FALLBACK else colour
            ax.scatter(dot.x, row, s=40 * dot.chosen / most, color=inside, ec=colour, lw=0.8)
    ax.set_yticks(range(len(rules)), [RULES[rule].label for rule in rules], fontsize=SMALL)
    ax.set_ylim(len(rules) - 0.4, -0.6)
    ax.tick_params(left=False)


def _number_of_perturbations(tables: Tables, dataset: str) -> float:
    """K of a dataset, or NaN if the run does not tell it."""
    facts = tables.datasets[tables.datasets["dataset"] == dataset].set_index("parameter")["value"]
    return float(pd.to_numeric(facts.get("perturbations", np.nan), errors="coerce"))
