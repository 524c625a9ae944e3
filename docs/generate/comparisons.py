"""Comparisons of methods in the committed results: paired differences, and what they allow to say."""

from functools import cache, cached_property
from typing import NamedTuple

import pandas as pd

from docs.generate.results import DASH, REFERENCE, SIMULATION, labels, markdown
from svae.contracts.tables import (
    HELD_OUT_COLUMNS,
    METRICS_COLUMNS,
    RUN_COLUMNS,
    SELECTED_COLUMNS,
    read_tidy,
)
from svae.errors import BenchmarkError
from svae.evaluation.leaderboard import by_unit
from svae.evaluation.metrics import METRICS
from svae.evaluation.prediction import CALIBRATED, MARGIN
from svae.evaluation.statistics import compare, t_interval, verdict
from svae.files import read_table
from svae.report.numbers import change

DEVELOPMENT = range(5)
"""Seeds of the draws of lopez2023 that were looked at while methods were tuned."""

LIMITS = {
    "supervised": "MCC below supervised",
    "posterior": "MCC below posterior mean",
}


class Question(NamedTuple):
    """A question that the difference of two methods in one metric answers."""

    text: str
    method: str
    other: str
    metric: str


ANCHORS = ["oracle", "random"]

MODERATE = 1
"""Differences that are more skewed than this are strongly skewed (Bulmer 1979)."""

COVERAGE_ROWS = {"t": "Student's t (used)", "BCa": "BCa bootstrap", "percentile": "percentile bootstrap"}
"""What the intervals are called whose coverage was measured."""

OF_SIMULATION = (
    Question("Does sVAE do better than sVAE+?", "svae", "svae_plus", "mcc_pearson"),
    Question("", "svae", "svae_plus", "target_f1"),
    Question("Do masks do better than knowing the perturbations alone?", "svae_plus", "ivae", "mcc_pearson"),
    Question("", "svae_plus", "ivae", "target_f1"),
    Question("Is a sparse prior needed, or does a rotation do?", "ivae_rotated", "svae_plus", "mcc_pearson"),
    Question("", "ivae_rotated", "svae_plus", "target_f1"),
    Question("Does knowing the perturbations help without sparsity?", "ivae", "vae", "mcc_pearson"),
    Question("Does a linear method without labels do better than iVAE?", "ica", "ivae", "mcc_pearson"),
    Question("Does sparsity help to predict held-out perturbations?", "svae_plus", "ivae", "inll_clean"),
    Question("Do shifts help to predict them, once they are estimated?", "ivae", "vae", "inll_clean"),
    Question("And without them?", "ivae", "vae", "inll_zero_shot"),
)


class Chosen:
    """Values of the settings that a rule chose, in a committed run.

    Parameters
    ----------
    run
        Folder of the run in reports/reference.
    dataset, rule
        The dataset, and the selection rule, whose values are meant.
    split
        The split whose values are meant, where the dataset has several.
    """

    def __init__(self, run: str, dataset: str, rule: str, split: str | None = None):
        selected, metrics, self.held_out, facts = _committed(run)
        of_split = selected["split"] == split if split else True
        chosen = selected[(selected["dataset"] == dataset) & (selected["rule"] == rule) & of_split]
        self.values = chosen.merge(metrics, on=[*RUN_COLUMNS, "setting"])
        self.facts = facts[facts["dataset"] == dataset].set_index("parameter")["value"]

    @cached_property
    def seeds(self) -> list[int]:
        """Seed of the draw of each replicate of a simulated dataset."""
        return [int(seed) for seed in self.facts["seeds"].split(", ")]

    def of_metric(self, metric: str) -> pd.DataFrame:
        """Return the values of a metric: replicate × method or, on real data, perturbation × method."""
        return by_unit(self.values[self.values["metric"] == metric], self.held_out)

    def difference(self, method: str, other: str, metric: str) -> pd.Series:
        """Compare two methods as :func:`svae.evaluation.statistics.compare` does, with the verdict."""
        row = compare(self.of_metric(metric)[[method, other]], other).loc[method]
        row["verdict"] = verdict(row["low"], row["high"], METRICS[metric].margin)
        return row

    def answers(self, questions: tuple[Question, ...]) -> str:
        """Tabulate the answers to some questions: the paired difference, its interval and the verdict."""
        called = labels()
        rows = []
        for question in questions:
            metric = METRICS[question.metric]
            row = self.difference(question.method, question.other, question.metric)
            rows.append(
                [
                    question.text,
                    f"{called[question.method]} − {called[question.other]}",
                    metric.label.partition(" (")[0],
                    change(row["difference"], row["low"], row["high"], metric.decimals),
                    str(row["verdict"]),
                ]
            )
        return markdown(rows, ["", "difference", "of", "mean [95 % interval]", "verdict"])


@cache
def _committed(run: str) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame | None, pd.DataFrame]:
    """Selected settings, metrics, values per held-out perturbation and facts of the datasets of a run."""
    folder = REFERENCE / run
    selected = read_tidy(folder / "selected.tsv", SELECTED_COLUMNS)
    metrics = read_tidy(folder / "metrics.tsv.gz", METRICS_COLUMNS)
    held_out = folder / "held_out.tsv.gz"  # older results have none
    of_perturbations = read_tidy(held_out, HELD_OUT_COLUMNS) if held_out.exists() else None
    return selected, metrics, of_perturbations, read_table(folder / "datasets.tsv")


def of_simulation() -> str:
    """Answer the questions that the simulated benchmark is made for."""
    return Chosen(*SIMULATION).answers(OF_SIMULATION)


def of_rules() -> str:
    """Tabulate what it does to targets if the validation likelihood chooses the penalty instead of UDR."""
    run, dataset, rule = SIMULATION
    targets = Chosen(run, dataset, "validation_likelihood").of_metric("target_f1")
    differences = targets - Chosen(run, dataset, rule).of_metric("target_f1")
    called = labels()
    rows = [[called[method], gap(differences[method], "target_f1")] for method in ("svae_plus", "svae")]
    return markdown(rows, ["", "validation likelihood − UDR"])


def draws() -> str:
    """Say how many draws the simulated benchmark rests on, and whether they were looked at before."""
    seeds = Chosen(*SIMULATION).seeds
    text = f"n = {len(seeds)} draws of the data, with the seeds {seeds[0]} to {seeds[-1]} of the simulator."
    if set(seeds).isdisjoint(DEVELOPMENT):
        return f"{text} Nobody had looked at these draws before."
    return f"{text} **Preset `tuned` was developed on these draws, which flatters it.**"


def distance_to_the_limits() -> str:
    """Tabulate how far each method stays from what the data allow, paired over the draws.

    Raises
    ------
    BenchmarkError
        If the limits were not measured on one of the draws.
    """
    run = Chosen(*SIMULATION)
    limits = read_table(REFERENCE / "limits.tsv").pivot(index="seed", columns="limit", values="value")
    missing = sorted(set(run.seeds) - set(limits.index))
    if missing:
        raise BenchmarkError(f"limits.tsv: no limits of seed {missing[0]}; run `make limits`")
    limits = limits.loc[run.seeds].reset_index(drop=True)
    recovered, likelihoods = run.of_metric("mcc_pearson"), run.of_metric("inll_same_cells")
    rows = []
    for method, label in labels().drop(ANCHORS).items():
        if method in recovered:
            gaps = [gap(limits[name] - recovered[method], "mcc_pearson") for name in LIMITS]
            above = gap(likelihoods[method] - likelihoods["oracle"], "inll_same_cells")
            rows.append([label, *gaps, above])
    return markdown(rows, ["", *LIMITS.values(), "I-NLL, same cells, above the generator"])


def modes() -> str:
    """Tabulate how well encoders' means and posterior modes recover latents, and what lies between them."""
    run = Chosen(*SIMULATION)
    means, of_modes = run.of_metric("mcc_pearson"), run.of_metric("mcc_modes").dropna(axis=1)
    rows = [
        [
            label,
            f"{means[method].mean():.{METRICS['mcc_pearson'].decimals}f}",
            f"{of_modes[method].mean():.{METRICS['mcc_modes'].decimals}f}",
            gap(of_modes[method] - means[method], "mcc_modes"),
        ]
        for method, label in labels().items()
        if method in of_modes
    ]
    return markdown(rows, ["", "MCC of means", "MCC of modes", "modes − means"])


def gap(differences: pd.Series, metric: str) -> str:
    """Write the mean of some differences of a metric with its interval."""
    if differences.isna().all():
        return DASH
    low, high = t_interval(differences)
    return change(differences.mean(), float(low), float(high), METRICS[metric].decimals)


def margins() -> str:
    """Tabulate the margins of all metrics that state one; those on the calibrated scale share theirs."""
    stated = {name: metric.margin for name, metric in METRICS.items() if metric.margin > 0}
    own = {f"`{name}`": margin for name, margin in stated.items() if not name.endswith(CALIBRATED)}
    rows = [[name, f"{margin:g}"] for name, margin in {**own, f"`*{CALIBRATED}`": MARGIN}.items()]
    return markdown(rows, ["metric", "margin"])


def coverage() -> str:
    """Say how often the intervals hold the true difference, and how often those would that are not used."""
    table = read_table(REFERENCE / "coverage.tsv").set_index(["interval", "skewness", "n"])["coverage"]
    rows = [
        [
            COVERAGE_ROWS[interval],
            f"{skewness:g}",
            *(f"{100 * table[interval, skewness, n]:.1f} %" for n in (5, 10, 20)),
        ]
        for interval in COVERAGE_ROWS
        for skewness in (0, 0.5, 1, 2)
    ]
    moderate = table[table.index.get_level_values("skewness") <= MODERATE]
    spans = {
        interval: f"{100 * shares.min():.1f} to {100 * shares.max():.1f} %"
        for interval, shares in moderate.groupby("interval")
    }
    sentence = (
        f"Up to a skewness of {MODERATE}, the t-interval holds the true mean in {spans['t']} of the sets, "
        f"the BCa bootstrap in {spans['BCa']}, and the percentile bootstrap in {spans['percentile']}."
    )
    return f"{sentence}\n\n{markdown(rows, ['interval', 'skewness', 'n = 5', 'n = 10', 'n = 20'])}"
