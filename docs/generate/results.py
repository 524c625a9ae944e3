"""Tables of the results that are committed in reports/reference."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

import pandas as pd
from tabulate import tabulate

from docs.generate.pages import ROOT
from svae.evaluation.metrics import METRICS
from svae.files import read_table
from svae.report.methods_table import read_methods
from svae.training.presets import PRESETS

REFERENCE = ROOT / "reports" / "reference"
LIKELIHOOD = ["inll_zero_shot", "inll_same_cells", "inll_clean"]
MAIN = ["mcc_pearson", "target_f1", *LIKELIHOOD]
LIMITS = {
    "supervised": "MCC below supervised",
    "posterior": "MCC below posterior mean",
}
ANCHORS = ("oracle", "random")
RESTART = r"\.?r\d+$"  # at the end of a setting's name
FAR_BEHIND = 0.01
DASH = "–"
FELL_BACK = "¹ The rule could not choose for this method, so the setting `fixed` is shown."


def markdown(rows: list[list[str]], headers: list[str]) -> str:
    """Write a table in Markdown, all cells as they are."""
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def estimate(metric: str, mean: float, low: float, high: float) -> str:
    """Write a mean with the interval around it, or a dash where there is none."""
    if pd.isna(mean):
        return DASH
    decimals = METRICS[metric].decimals
    return f"{mean:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def headings(metrics: Iterable[str]) -> list[str]:
    """Return what each metric is called in tables."""
    return [METRICS[metric].label for metric in metrics]


def labels() -> Mapping[str, str]:
    """Return what each method is called in tables."""
    return read_methods(ROOT / "config" / "methods.tsv")["label"]


def of_simulation() -> str:
    """Tabulate the simulated benchmark: 250 cells per perturbation, settings chosen by UDR."""
    return leaderboard("simulation", "cells250", "udr", MAIN)


def of_papalexi() -> str:
    """Tabulate the likelihoods on real cells, settings chosen by the likelihood of validation cells."""
    return leaderboard("papalexi", "papalexi", "validation_likelihood", LIKELIHOOD)


def leaderboard(run: str, dataset: str, rule: str, metrics: list[str]) -> str:
    """Tabulate the leaderboard of a committed run: a row per method that has any of the metrics.

    Parameters
    ----------
    run
        Folder of the run in reports/reference.
    dataset, rule
        The dataset, and the selection rule, whose rows are shown.
    metrics
        The metrics that are shown.
    """
    board = read_table(REFERENCE / run / "leaderboard.tsv")
    board = board[(board["dataset"] == dataset) & (board["rule"] == rule) & board["metric"].isin(metrics)]
    called = labels()
    rows, any_fell_back = [], False
    for method, values in board.groupby("method", sort=False):
        values = values.set_index("metric")
        if values["mean"].isna().all():
            continue
        fell_back = "fallbacks" in values and (values["fallbacks"] > 0).any()
        any_fell_back |= fell_back
        cells = [
            estimate(metric, *values.loc[metric, ["mean", "low", "high"]]) if metric in values.index else DASH
            for metric in metrics
        ]
        name = called.get(method, method)
        rows.append([f"{name}¹" if fell_back else name, *cells])
    table = markdown(rows, ["", *headings(metrics)])
    return f"{table}\n\n{FELL_BACK}" if any_fell_back else table


def fidelity() -> str:
    """Tabulate both presets on one draw: the mean over model seeds, and the lowest and highest of them."""
    runs = {"fidelity.tsv": "original", "tuned_before_rotation.tsv": "tuned before the rotation"}
    called = labels()
    rows = []
    for file, preset in runs.items():
        table = read_table(REFERENCE / file)
        for (method, penalty), values in table.groupby(["method", "penalty"], sort=False, dropna=False):
            of_metric = values.groupby("metric")["value"]
            name = called[method] + ("" if pd.isna(penalty) else f" (s = {penalty:.0f})")
            cells = [estimate(m, *of_metric.get_group(m).agg(["mean", "min", "max"])) for m in MAIN]
            rows.append([f"{preset}, {name}", str(values["seed"].nunique()), *cells])
    return markdown(rows, ["preset, method", "n", *headings(MAIN)])


def distance_to_the_limits() -> str:
    """Tabulate how far each method stays from what the data allow, on average over the draws."""
    limits = read_table(REFERENCE / "limits.tsv").groupby("limit")["value"].mean()
    board = read_table(REFERENCE / "simulation" / "leaderboard.tsv")
    board = board[(board["dataset"] == "cells250") & (board["rule"] == "udr")]
    means = board.pivot(index="method", columns="metric", values="mean")
    generator = means.loc["oracle", "inll_same_cells"]
    called = labels()
    rows = []
    for method in board["method"].unique():
        found, likelihood = means.loc[method, "mcc_pearson"], means.loc[method, "inll_same_cells"]
        if method not in ANCHORS and not pd.isna(found):
            gap = DASH if pd.isna(likelihood) else f"{likelihood - generator:.1f}"
            rows.append([called[method], *(f"{limits[name] - found:.3f}" for name in LIMITS), gap])
    return markdown(rows, ["", *LIMITS.values(), "I-NLL, same cells, above the generator"])


def failed_starts() -> str:
    """Tabulate how many random starts end far behind the best start of the same setting and draw."""
    table = read_table(REFERENCE / "simulation" / "metrics.tsv.gz", dtype={"setting": str})
    table = table[(table["dataset"] == "cells250") & (table["metric"] == "mcc_pearson")]
    point = table["setting"].str.replace(RESTART, "", regex=True)
    best = table.groupby(["method", "replicate", point])["value"].transform("max")
    behind = table[best - table["value"] > FAR_BEHIND]
    called = labels()
    rows = []
    for method in ("svae_plus", "svae", "ivae_rotated"):
        values = behind.loc[behind["method"] == method, "value"]
        spread = f"{values.min():.2f} to {values.max():.2f}" if len(values) else DASH
        rows.append([called[method], str((table["method"] == method).sum()), str(len(values)), spread])
    return markdown(rows, ["", "starts", f"more than {FAR_BEHIND} behind", "their MCC"])


def presets() -> str:
    """Tabulate the options in which the training presets differ."""
    original, tuned = (asdict(PRESETS[name]) for name in ("original", "tuned"))
    original, tuned = original.pop("plan") | original, tuned.pop("plan") | tuned
    rows = [
        [f"`{option}`", str(original[option]), str(tuned[option])]
        for option in original
        if original[option] != tuned[option]
    ]
    return markdown(rows, ["option", "`original`", "`tuned`"])


def speed() -> str:
    """Tabulate the cost of a training step and of a likelihood, as shares of the usual way."""
    table = read_table(REFERENCE / "benchmarks.tsv").dropna(subset=["baseline"])
    rows = [[row.benchmark, row.baseline, f"{row.ratio:.2f}"] for row in table.itertuples()]
    return markdown(rows, ["", "against", "cost"])
