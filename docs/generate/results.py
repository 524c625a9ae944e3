"""Tables of the results that are committed in reports/reference."""

from collections.abc import Iterable
from dataclasses import asdict

import pandas as pd
from tabulate import tabulate

from docs.generate.pages import ROOT
from svae.errors import BenchmarkError
from svae.evaluation.matching import mcc_of_rotations
from svae.evaluation.metrics import METRICS, within_range
from svae.evaluation.statistics import t_interval
from svae.files import read_table
from svae.report.bundle import table_in
from svae.report.methods_table import read_methods
from svae.report.numbers import change
from svae.training.presets import PRESETS

REFERENCE = ROOT / "reports" / "reference"
LIKELIHOOD = ["inll_zero_shot", "inll_same_cells", "inll_clean"]
MAIN = ["mcc_pearson", "target_f1", *LIKELIHOOD]
SIMULATION = ("simulation", "cells250", "udr")
"""The run, dataset and selection rule of which the pages speak."""

RESTART = r"\.?r\d+$"  # at the end of a setting's name
FAR_BEHIND = 0.01
DASH = "–"
FELL_BACK = "¹ The rule had nothing to choose by; the setting that the scope fixes (rule `fixed`) is shown."
MARKS = {
    "not decided": " ?",
    "differs by less than the margin": " ≈",
    "equal within the margin": " ≈",
    "differs before correction": " ′",
}
"""Stand behind a difference, by its verdict."""
MEANINGS = {
    " ?": "not decided: the interval holds zero",
    " ≈": "the interval lies within the margin of the metric",
    " ′": "the correction for the number of methods takes the difference back",
}


def markdown(rows: list[list[str]], headers: list[str]) -> str:
    """Write a table in Markdown, all cells as they are."""
    return tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)


def estimate(metric: str, mean: float, low: float, high: float) -> str:
    """Write a mean with the interval around it."""
    decimals = METRICS[metric].decimals
    return f"{mean:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def headings(metrics: Iterable[str]) -> list[str]:
    """Return what each metric is called in tables."""
    return [METRICS[metric].label for metric in metrics]


def labels() -> pd.Series:
    """Return what each method is called in tables."""
    return read_methods(ROOT / "config" / "methods.tsv")["label"]


class Leaderboard:
    """Rows of a committed leaderboard.

    Parameters
    ----------
    run
        Folder of the run in reports/reference.
    dataset, rule
        The dataset, and the selection rule, whose rows are meant.
    split
        The split whose rows are meant, where the dataset has several.
    """

    def __init__(self, run: str, dataset: str, rule: str, split: str | None = None):
        table = table_in(REFERENCE / run, "leaderboard")
        if table is None:
            raise BenchmarkError(
                f"{REFERENCE / run}: there is no table leaderboard.tsv, nor leaderboard.tsv.gz"
            )
        board = read_table(table)
        of_split = board["split"] == split if split else True
        self.rows = board[(board["dataset"] == dataset) & (board["rule"] == rule) & of_split]
        self.labels = labels()

    def methods(self, metrics: Iterable[str]) -> list[str]:
        """Return the methods that have a value of any of `metrics`, in the order of the leaderboard."""
        known = self.rows[self.rows["metric"].isin(metrics) & self.rows["mean"].notna()]["method"]
        return [method for method in self.rows["method"].unique() if method in set(known)]

    def name(self, method: str) -> str:
        """Return what a method is called, with a mark if the rule fell back for any replicate of it."""
        fallbacks = self.rows.loc[self.rows["method"] == method, "fallbacks"]
        return self.labels.get(method, method) + ("¹" if fallbacks.any() else "")

    def cell(self, method: str, metric: str) -> str:
        """Write a mean, how many replicates it lacks, and the difference to the reference; or why not."""
        chosen = self.rows[(self.rows["method"] == method) & (self.rows["metric"] == metric)]
        if chosen.empty:
            return DASH
        row = chosen.iloc[0]
        if pd.isna(row["mean"]):
            return "failed" if row["failed"] else DASH
        decimals = METRICS[metric].decimals
        missing = f" (n = {row['n']} of {row['planned']})" if row["n"] < row["planned"] else ""
        mean = f"{row['mean']:.{decimals}f}{missing}".replace("-", "−")
        if not row["pairs"] > 0:
            return mean
        difference = change(row["difference"], row["difference_low"], row["difference_high"], decimals)
        return f"{mean}<br>{difference}{MARKS.get(row['verdict'], '')}"

    def table(self, metrics: list[str]) -> str:
        """Tabulate `metrics`, a row per method that has any of them."""
        methods = self.methods(metrics)
        rows = [[self.name(method), *(self.cell(method, metric) for metric in metrics)] for method in methods]
        return self.with_note(markdown(rows, ["", *headings(metrics)]), methods)

    def with_note(self, table: str, methods: Iterable[str]) -> str:
        """Add what the marks mean that occur in a table of some `methods`."""
        notes = [f"`{mark.strip()}` {meaning}" for mark, meaning in MEANINGS.items() if f"]{mark}" in table]
        marked = any(self.name(method).endswith("¹") for method in methods)
        paragraphs = [table, "; ".join(notes) + "." if notes else "", FELL_BACK if marked else ""]
        return "\n\n".join(paragraph for paragraph in paragraphs if paragraph)


def leaderboard_of(place: tuple[str, ...], metrics: list[str]) -> str:
    """Tabulate `metrics` of one leaderboard; `place` holds the arguments of `Leaderboard`."""
    return Leaderboard(*place).table(metrics)


def fidelity() -> str:
    """Tabulate both presets on one draw: the mean over model seeds, and the lowest and highest of them."""
    shown = ["mcc_pearson", "target_f1", "inll_same_cells_original"]
    called = labels()
    rows = []
    for file, preset in {"fidelity.tsv": "original", "tuned.tsv": "tuned"}.items():
        table = read_table(REFERENCE / file)
        for (method, penalty), values in table.groupby(["method", "penalty"], sort=False, dropna=False):
            of_metric = values.groupby("metric")["value"]
            name = called[method] + ("" if pd.isna(penalty) else f" (s = {penalty:.0f})")
            cells = [estimate(m, *of_metric.get_group(m).agg(["mean", "min", "max"])) for m in shown]
            rows.append([f"{preset}, {name}", str(values["seed"].nunique()), *cells])
    return markdown(rows, ["preset, method", "n", *headings(shown)])


def rotation() -> str:
    """Say which MCC a random rotation of the true latents has, in the simulated benchmark."""
    run, dataset, _ = SIMULATION
    facts = read_table(REFERENCE / run / "datasets.tsv")
    [latents] = facts[(facts["dataset"] == dataset) & (facts["parameter"] == "latents")]["value"]
    mcc = f"{mcc_of_rotations(int(latents)):.2f}"
    return f"A method that finds the space of the {latents} latents, but not their axes, has an MCC of {mcc}."


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
        ends = dict.fromkeys(f"{end:.2f}" for end in (values.min(), values.max()))
        spread = " to ".join(ends) if len(values) else DASH
        rows.append([called[method], str((table["method"] == method).sum()), str(len(values)), spread])
    return markdown(rows, ["", "starts", f"more than {FAR_BEHIND} behind", "their MCC"])


def small_screens() -> str:
    """Tabulate how training fares on few cells and counts, today and before."""
    table = read_table(REFERENCE / "small_screens.tsv")
    rows = []
    for (n_cells, share), values in table.groupby(["cells", "counts"]):
        rises = values[values["metric"] == "validation_rise"].groupby("training")["value"].max()
        likelihoods = values[values["metric"] == "inll_zero_shot"]
        pairs = likelihoods.pivot_table(index="perturbation", columns="training", values="value")
        gain = (pairs["today"] - pairs["before"]).to_numpy()
        low, high = t_interval(gain)
        shown = change(gain.mean(), float(low), float(high), METRICS["inll_zero_shot"].decimals)
        rows.append(
            [f"{n_cells:,}", f"{share:g}", *(f"{rises[name]:.1%}" for name in ("before", "today")), shown]
        )
    headers = ["cells", "share of counts", "worst rise before", "worst rise today", "I-NLL, today − before"]
    return markdown(rows, headers)


def number_of_latents() -> str:
    """Tabulate what fits with too few and too many latents score, and how often rules choose each number."""
    table = read_table(REFERENCE / "number_of_latents.tsv")
    scores = ["udr", "validation_likelihood", "mcc_pearson", "target_f1"]
    by_draw = table.groupby("draw")
    chosen = {rule: table.loc[by_draw[rule].idxmax(), "n_latent"] for rule in scores[:2]}
    rows = []
    for n_latent, fits in table.groupby("n_latent"):
        udr, likelihood, mcc, f1 = fits[scores].mean()
        counts = [f"{(numbers == n_latent).sum()} of {len(numbers)}" for numbers in chosen.values()]
        rows.append([str(n_latent), f"{udr:.2f}", f"{likelihood:.1f}", f"{mcc:.2f}", f"{f1:.2f}", *counts])
    agreement, elbo = "agreement of restarts", "validation ELBO (nats/cell)"
    choices = [f"chosen by `{rule}`" for rule in chosen]
    return markdown(rows, ["latents", agreement, elbo, *headings(scores[2:]), *choices])


def independence() -> str:
    """Tabulate what each weight of HSIC-VAE gains in independence and costs, against the same draw's VAE."""
    table = read_table(REFERENCE / "independence.tsv").set_index(["draw", "independence"])
    rows = []
    for weight, fits in table.groupby("independence"):
        found = fits.droplevel("independence")
        costs = table.xs(0, level="independence").loc[found.index] - found
        cells = [f"{weight:g}", f"{len(found)}", _mean_of(found["dependence"], 3)]
        prices = [_mean_of(costs[name], 2) for name in ("elbo", "log_likelihood_zero_shot")]
        rows.append([*cells, *(prices if weight else [DASH, DASH])])
    headers = [
        "λ",
        "n",
        "√HSIC of latents and batch",
        "ELBO lost (nats/cell)",
        "log-likelihood lost (nats/cell)",
    ]
    return markdown(rows, headers)


def _mean_of(values: pd.Series, decimals: int) -> str:
    """Write the mean of draws with its t-interval."""
    low, high = t_interval(values.to_numpy())
    return f"{values.mean():.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"


def factor_package() -> str:
    """Tabulate what the package of perturbVI finds beside ours: means over the draws with t-intervals."""
    table = read_table(REFERENCE / "factor_package.tsv")
    bounds = table.pivot_table(index="seed", columns="implementation", values="bound")
    rows = []
    for implementation, found in table.groupby("implementation", sort=False):
        behind = (bounds["ours"] - bounds[implementation]).mean()
        cells = [
            mean_and_interval("target_f1", found["target_f1"]),
            mean_and_interval("mcc_pearson", found["mcc_pearson"]),
        ]
        least = found["correlation"].min()
        rows.append([implementation, str(len(found)), f"{behind:.3f}", *cells, f"{least:.4f}"])
    headers = ["", "n", "bound below ours (nats/cell)", *headings(["target_f1", "mcc_pearson"])]
    return markdown(rows, [*headers, "least correlation of a latent with ours"])


def mean_and_interval(metric: str, values: pd.Series) -> str:
    """Write the mean of draws with its t-interval, cut to the range of the metric."""
    low, high = t_interval(values.to_numpy())
    [interval] = within_range(pd.DataFrame([{"metric": metric, "low": low, "high": high}])).itertuples()
    return estimate(metric, float(values.mean()), interval.low, interval.high)


def presets() -> str:
    """Tabulate the options in which the training presets differ."""
    original, tuned = (asdict(PRESETS[name]) for name in ("original", "tuned"))
    original, tuned = (preset.pop("plan") | preset.pop("networks") | preset for preset in (original, tuned))
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


def exact_likelihood() -> str:
    """Tabulate what likelihoods cost, and how exact they are."""
    table = read_table(REFERENCE / "likelihood.tsv")
    rows = [
        [
            row.subject,
            f"{row.samples:,} of the {'encoder' if row.estimator == 'encoder' else 'cell'}",
            f"{-row.log_likelihood:.2f}",
            f"{row.difference:+.2f}",
            "–" if row.effective_samples != row.effective_samples else f"{row.effective_samples:.0f}",
            f"{row.ratio:.2f}",
        ]
        for row in table.itertuples()
    ]
    return markdown(rows, ["", "samples", "−log p(x), nats/cell", "difference", "effective", "cost"])


def differential() -> str:
    """Tabulate the realised false-discovery rate and the power of calls, by the nominal rate."""
    table = read_table(REFERENCE / "differential.tsv")
    means = table.groupby(["approach", "nominal"], sort=False)[["realised", "power"]].mean()
    nominal = table["nominal"].unique()
    rows = []
    for approach in table["approach"].unique():
        of_approach = means.loc[approach].loc[nominal]
        cells = [f"{100 * row.realised:.1f} % ({100 * row.power:.0f} %)" for row in of_approach.itertuples()]
        rows.append([approach, *cells])
    return markdown(rows, ["realised rate (power) at a nominal", *(f"{100 * rate:g} %" for rate in nominal)])
