"""What breaks each method: the committed results of the scope `robustness`."""

import pandas as pd

from docs.generate.comparisons import Chosen, gap
from docs.generate.results import DASH, REFERENCE, headings, labels, markdown, mean_and_interval
from svae.contracts.tables import METRICS_COLUMNS, SELECTED_COLUMNS, read_tidy
from svae.files import read_table

RUN, BASELINE, RULE = "robustness", "screen", "validation_likelihood"
SHOWN = ("svae_plus", "svae", "ivae_rotated", "ica")
"""The methods that recover more of the latents of the paper's simulator than a rotation; figures show all."""

PAIRS = (
    ("svae", "svae_plus"),
    ("ivae_rotated", "svae_plus"),
    ("ica", "svae_plus"),
    ("svae_plus", "ivae"),
    ("svae_plus", "vae"),
)
"""The methods whose differences are averaged over all conditions."""

SCORES = ("mcc_pearson", "target_f1", "inll_clean")


def losses() -> str:
    """Tabulate how much MCC the far end of each axis costs, paired over the replicates."""
    start = Chosen(RUN, BASELINE, RULE)
    at_baseline = start.of_metric("mcc_pearson")
    called = labels()
    rows = [["nothing", "", *(f"{at_baseline[method].mean():.3f}" for method in SHOWN)]]
    for end in _far_ends().itertuples():
        change = Chosen(RUN, end.dataset, RULE).of_metric("mcc_pearson") - at_baseline
        values = f"{float(start.facts[end.axis]):g} → {end.value:g}"
        rows.append([f"`{end.axis}`", values, *(gap(change[method], "mcc_pearson") for method in SHOWN)])
    return markdown(rows, ["what is varied", "from → to", *(called[method] for method in SHOWN)])


def averages() -> str:
    """Tabulate differences of methods, averaged over all conditions of a replicate first."""
    datasets = _conditions()["dataset"]
    called = labels()
    tables = {
        metric: pd.concat({name: Chosen(RUN, name, RULE).of_metric(metric) for name in datasets})
        for metric in SCORES
    }
    rows = [
        [
            f"{called[method]} − {called[other]}",
            *(_average(tables[metric], method, other, metric) for metric in SCORES),
        ]
        for method, other in PAIRS
    ]
    return markdown(rows, [f"mean over {len(datasets)} conditions", *headings(SCORES)])


def penalties() -> str:
    """Tabulate what fits with each penalty score, and how often the rule chose them."""
    every = read_tidy(REFERENCE / RUN / "metrics.tsv.gz", METRICS_COLUMNS)
    chosen = read_tidy(REFERENCE / RUN / "selected.tsv", SELECTED_COLUMNS)
    datasets = _conditions()["dataset"]
    chosen = chosen[(chosen["rule"] == RULE) & chosen["dataset"].isin(datasets)]
    called = labels()
    rows = []
    for method in ("svae_plus", "svae"):
        taken = chosen.loc[chosen["method"] == method, "setting"]
        fits = every[(every["method"] == method) & every["dataset"].isin(datasets)]
        settings = sorted(fits["setting"].unique(), key=_penalty)
        for setting in settings:
            of_setting = fits[fits["setting"] == setting]
            by_draw = of_setting.groupby(["metric", "replicate"])["value"].mean()
            cells = [mean_and_interval(metric, by_draw[metric]) for metric in SCORES[:2]]
            times = f"{(taken == setting).sum()} of {len(taken)}"
            rows.append([f"{called[method]}, {_penalty(setting):g}", *cells, times])
    return markdown(rows, ["penalty", *headings(SCORES[:2]), f"chosen by `{RULE}`"])


def _penalty(setting: str) -> float:
    """Penalty of a setting, from its name."""
    return float(setting.removeprefix("penalty="))


def _average(values: pd.DataFrame, method: str, other: str, metric: str) -> str:
    """Average the difference of two methods over the conditions, and write it with its interval."""
    if not {method, other} <= set(values.columns):
        return DASH
    differences = (values[method] - values[other]).dropna()
    return gap(differences.groupby(level=1).mean(), metric)


def _conditions() -> pd.DataFrame:
    """All datasets that are variants of the baseline, and the baseline itself, with what is varied."""
    places = read_table(REFERENCE / RUN / "figures" / "robustness_latents.tsv")
    return places[places["baseline"] == BASELINE].drop_duplicates("dataset")


def _far_ends() -> pd.DataFrame:
    """The datasets that are furthest from the baseline, on each side of each axis."""
    varied = _conditions().query("step != 0")
    away = varied["step"].abs()
    return varied.loc[away.groupby([varied["axis"], varied["step"] > 0], sort=False).idxmax()]
