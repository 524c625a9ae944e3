"""What each perturbation of a real screen does, and what the reference method says of it, as an HTML page."""

from typing import Any

import numpy as np
import pandas as pd

from svae.report.effects import nearest_of_held_out
from svae.report.numbers import DASH, number, percentage, signed
from svae.report.tables import Tables
from svae.report.templates import render
from svae.report.values import RUN, first_fits
from svae.targets import THRESHOLD

NEIGHBOURS = 3
FIDELITY = "direction_fidelity_adapted"
HEADS = {
    "perturbation": "Perturbation",
    "cells": "Cells",
    "effect": "Effect size",
    "own_change": "Own transcript",
    "responding": "Responding cells",
    "differential": "Differential genes",
    "called": "Called moved (of these)",
    "targets": "Targets",
    "held_out": "Held out",
    "nearest": "Most like",
    "fidelity": "Direction fidelity",
}


def perturbations_html(tables: Tables) -> str:
    """Write what is known of each perturbation as a page that needs no other file and no network."""
    known = tables.perturbations[tables.perturbations["method"] == tables.reference]
    return render(
        "perturbations.html",
        method=tables.label(tables.reference),
        sections=[_section(tables, of_fit) for of_fit in first_fits(known)],
    )


def describe_perturbations(tables: Tables, of_fit: pd.DataFrame) -> pd.DataFrame:
    """Put together what the tables of a run say of each perturbation of a dataset.

    Parameters
    ----------
    tables
        Of the run.
    of_fit
        Rows of the table of perturbations for one fit.

    Returns
    -------
    One row per perturbation, the largest effects first: the columns of `of_fit`, ``targets`` (latents of this
    fit, with the direction of the shift), ``held_out`` (where it was held out first, or `never`), ``nearest``
    (the trained perturbations that it was most like there, with their cosines) and ``fidelity`` (the mean of
    :data:`FIDELITY` over all fits that held it out). NaN where nothing is known.
    """
    fit = ["dataset", "split", "replicate", "method", "setting"]
    first = of_fit.iloc[0]
    of_method = tables.targets[
        (tables.targets["dataset"] == first["dataset"]) & (tables.targets["method"] == first["method"])
    ]
    targets = of_method.merge(of_fit[fit].drop_duplicates())
    facts = {
        "targets": _targets(targets[targets["part"] == "trained"]),
        "held_out": _where_held_out(tables, first),
        "nearest": _nearest(of_method),
        "fidelity": _fidelity(tables, first),
    }
    table = of_fit.assign(**{name: of_fit["perturbation"].map(values) for name, values in facts.items()})
    table["held_out"] = table["held_out"].fillna("never")
    return table.sort_values("effect", ascending=False, kind="stable", ignore_index=True)


def _targets(targets: pd.DataFrame) -> pd.Series:
    """Number the targets of each perturbation, and name them with the directions of their shifts."""
    told = targets.dropna(subset="probability")
    arrows = told["shift"].map(np.sign).map({1.0: " ↑", -1.0: " ↓"}).fillna("")
    named = (told["latent"].astype(str) + arrows).where(told["probability"] > THRESHOLD)
    return named.groupby(told["perturbation"]).agg(_counted)


def _counted(names: pd.Series) -> str:
    """Write how many names there are, and which."""
    there = list(names.dropna())
    return f"{len(there)} ({', '.join(there)})" if there else "0"


def _where_held_out(tables: Tables, fit: pd.Series) -> pd.Series:
    """Name the first replicate that held each perturbation out, with its split if there are several."""
    known = tables.perturbations
    rows = known[(known["dataset"] == fit["dataset"]) & (known["method"] == fit["method"])]
    first = rows[rows["part"] == "held_out"].drop_duplicates("perturbation").set_index("perturbation")
    place = "replicate " + first["replicate"].astype(str)
    return place if rows["split"].nunique() == 1 else first["split"] + ", " + place


def _nearest(targets: pd.DataFrame) -> pd.Series:
    """List the trained perturbations that each held-out one is most like, with their cosines, if above 0."""
    nearest = nearest_of_held_out(targets, NEIGHBOURS)
    first = nearest.groupby("perturbation")["split"].transform("first")
    nearest = nearest[(nearest["split"] == first) & (nearest["similarity"] > 0)]
    listed = nearest["other"] + " (" + nearest["similarity"].map("{:.2f}".format) + ")"
    return listed.groupby(nearest["perturbation"]).agg(", ".join)


def _fidelity(tables: Tables, fit: pd.Series) -> pd.Series:
    """Average what the fits that held a perturbation out predict of its differential genes."""
    chosen = tables.selected.loc[tables.selected["rule"] == tables.rule, [*RUN, "setting"]]
    rows = tables.held_out[tables.held_out["metric"] == FIDELITY].merge(chosen)
    rows = rows[(rows["dataset"] == fit["dataset"]) & (rows["method"] == fit["method"])]
    return rows.groupby("perturbation")["value"].mean()


def _section(tables: Tables, of_fit: pd.DataFrame) -> dict[str, Any]:
    """Heads and rows of one dataset; a column of which nothing is known is left out."""
    first = of_fit.iloc[0]
    table = describe_perturbations(tables, of_fit)
    shown = pd.DataFrame(
        {
            "perturbation": table["perturbation"],
            "cells": [number(value, 0) for value in table["cells"]],
            "effect": [number(value, 2) for value in table["effect"]],
            "own_change": [signed(value, 2) for value in table["own_change"]],
            "responding": [percentage(value) for value in table["responding"]],
            "differential": [number(value, 0) for value in table["differential"]],
            "called": [_calls(*row) for row in zip(table["called"], table["agreed"], strict=True)],
            "targets": table["targets"].fillna(DASH),
            "held_out": table["held_out"],
            "nearest": table["nearest"].fillna(DASH),
            "fidelity": [number(value, 2) for value in table["fidelity"]],
        }
    )
    shown = shown.loc[:, (shown != DASH).any()]
    return {
        "title": first["dataset"],
        "fit": f"{first['split']}, replicate {first['replicate']}, {first['setting']}",
        "heads": [HEADS[name] for name in shown],
        "rows": shown.to_numpy().tolist(),
    }


def _calls(called: float, agreed: float) -> str:
    """Write how many genes the method calls moved, and how many of them are differential."""
    return DASH if pd.isna(called) else f"{called:.0f} ({agreed:.0f})"
