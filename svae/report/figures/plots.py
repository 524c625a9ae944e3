"""The figures: each is a function from the tables of a run to a figure and the very numbers that it shows."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from textwrap import wrap
from types import MappingProxyType

import matplotlib as mpl
import matplotlib.figure
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator
from scipy.cluster.hierarchy import leaves_list, linkage
from scipy.spatial.distance import squareform

from svae.contracts.tables import (
    HISTORY_COLUMNS,
    LEADERBOARD_COLUMNS,
    METRICS_COLUMNS,
    RUN_COLUMNS,
    SELECTED_COLUMNS,
    STATUS_COLUMNS,
    TARGETS_COLUMNS,
    read_tidy,
)
from svae.errors import unknown
from svae.evaluation.metrics import metrics_table
from svae.evaluation.selection import HINDSIGHT
from svae.evaluation.statistics import bootstrap_interval
from svae.files import replacing, write_table
from svae.report.methods_table import read_methods
from svae.seeds import seed_from
from svae.words import CONTROL

LATENTS = ("mcc_pearson", "mcc_spearman", "r2", "dci_disentanglement")
TARGETS = ("target_precision", "target_recall", "target_f1", "target_average_precision")
LIKELIHOOD = ("inll_zero_shot", "inll_same_cells", "inll_clean")
MAIN = ("mcc_pearson", "target_f1")
SPARSE = "svae_plus"  # the method whose penalty is the s of a Beta(1, s) prior

METHODS_TABLE = Path(__file__).resolve().parents[3] / "config" / "methods.tsv"
COLUMNS = {
    "metrics": METRICS_COLUMNS,
    "selected": SELECTED_COLUMNS,
    "status": STATUS_COLUMNS,
    "leaderboard": LEADERBOARD_COLUMNS,
    "settings": ("method", "setting", "parameter", "value"),
    "datasets": ("dataset", "parameter", "value"),
    "history": HISTORY_COLUMNS,
    "targets": TARGETS_COLUMNS,
}
"""What the tables of a run are called, and their columns."""

WIDTH = 7.05  # inches: 179 mm, the text width of a printed page
SMALL = 6.5
INK, GREY, PALE = "#262626", "#8c8c8c", "#e4e4e4"
RULES = {
    "fixed": ("fixed setting", "s", "#333333"),
    "validation_likelihood": ("validation likelihood", "o", "#0072b2"),
    "udr": ("UDR", "^", "#009e73"),
    HINDSIGHT: ("hindsight rule", "D", GREY),
}
RUN, FACET, SPREAD = list(RUN_COLUMNS), ["dataset", "split"], ["mean", "low", "high", "n", "planned"]


@dataclass(frozen=True)
class Tables:
    """The tables of a run, as :data:`COLUMNS` has them.

    Attributes
    ----------
    methods, registry
        See :func:`svae.report.methods_table.read_methods`, :func:`svae.evaluation.metrics.metrics_table`.
    rule
        The scope's main rule: the settings that the figures show are those that it chose.
    reference
        The method that the others are tested against.
    """

    metrics: pd.DataFrame
    selected: pd.DataFrame
    status: pd.DataFrame
    leaderboard: pd.DataFrame
    settings: pd.DataFrame
    datasets: pd.DataFrame
    history: pd.DataFrame
    targets: pd.DataFrame
    methods: pd.DataFrame
    registry: pd.DataFrame
    rule: str
    reference: str

    @classmethod
    def read(cls, paths: Mapping[str, str | Path], rule: str, reference: str) -> "Tables":
        """Read the tables at `paths`, one for each name in :data:`COLUMNS`.

        ``methods`` among them is a table of methods other than that of config/.
        """
        tables = {name: read_tidy(paths[name], columns) for name, columns in COLUMNS.items()}
        methods = read_methods(paths.get("methods", METHODS_TABLE), tables["selected"]["method"].unique())
        return cls(**tables, methods=methods, registry=metrics_table(), rule=rule, reference=reference)

    @property
    def order(self) -> list[str]:
        """The methods of the run without the anchors, in the order of the table of methods."""
        run = set(self.selected["method"])
        return [m for m in self.methods.index if m in run and not self.methods.loc[m, "anchor"]]

    @property
    def anchors(self) -> list[str]:
        """The anchors of the run."""
        run = set(self.selected["method"])
        return [m for m in self.methods.index if m in run and self.methods.loc[m, "anchor"]]

    def label(self, method: str) -> str:
        """Name of a method as it is shown."""
        return self.methods.loc[method, "label"]

    def colour(self, method: str) -> str:
        """Colour of a method, the same in every figure."""
        return self.methods.loc[method, "colour"]

    def title(self, dataset: str, split: str) -> str:
        """Name of a facet: the split is named only where the dataset has several."""
        splits = self.selected.loc[self.selected["dataset"] == dataset, "split"].nunique()
        return dataset if splits < 2 else f"{dataset}, {split}"


@dataclass(frozen=True)
class Drawn:
    """A figure and the numbers that it shows."""

    figure: matplotlib.figure.Figure
    table: pd.DataFrame


@dataclass(frozen=True)
class Figure:
    """How a figure is drawn, whether a run has what it needs, and what that is."""

    draw: Callable[[Tables], Drawn]
    applicable: Callable[[Tables], bool]
    needs: str


FIGURES: dict[str, Figure] = {}
"""The figures of the report by name, in its order."""


def style() -> AbstractContextManager[None]:
    """Return the style of all figures, as a context: nothing outside it changes."""
    rc = sns.axes_style("ticks") | sns.plotting_context("paper")
    rc |= {"font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8, "figure.titlesize": 9}
    rc |= {"xtick.labelsize": 7, "ytick.labelsize": 7.5, "legend.fontsize": 7, "legend.frameon": False}
    rc |= {"axes.titleweight": "bold", "axes.linewidth": 0.6, "axes.edgecolor": INK, "text.color": INK}
    rc |= {
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.major.size": 2.5,
        "ytick.major.size": 2.5,
    }
    rc |= {"axes.spines.top": False, "axes.spines.right": False, "font.family": ["DejaVu Sans"]}
    rc |= {"figure.constrained_layout.use": True, "pdf.fonttype": 42, "svg.hashsalt": "svae"}
    return mpl.rc_context(rc)


def draw(name: str, tables: Tables) -> Drawn:
    """Draw a figure of :data:`FIGURES`, or say on an otherwise empty one why this run has none."""
    if name not in FIGURES:
        raise unknown("figure", name, FIGURES, "plots")
    figure = FIGURES[name]
    return figure.draw(tables) if figure.applicable(tables) else placeholder(name, figure.needs)


def placeholder(name: str, needs: str) -> Drawn:
    """Draw a figure that says that `name` is not applicable because the run lacks what it `needs`."""
    message = f"not applicable here, because it needs {needs}"
    with style():
        figure = matplotlib.figure.Figure(figsize=(WIDTH, 1.1))
        figure.text(0.5, 0.66, name.replace("_", " ").capitalize(), ha="center", va="center", weight="bold")
        figure.text(0.5, 0.34, message.capitalize(), ha="center", va="center", color=GREY)
    return Drawn(figure, pd.DataFrame({"figure": [name], "note": [message]}))


def save(drawn: Drawn, stem: str | Path) -> None:
    """Write `stem`.svg, .pdf, .png (200 dpi) and .tsv (the numbers), each in one piece.

    Equal figures are equal files: nothing in them tells when they were made.
    """
    undated: dict[str, dict] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}
    for suffix, metadata in undated.items():
        with style(), replacing(f"{stem}.{suffix}") as temporary:
            drawn.figure.savefig(temporary, dpi=200, metadata=metadata)
    write_table(drawn.table, f"{stem}.tsv")


def _figure(applicable: Callable[[Tables], bool], needs: str) -> Callable:
    """Enter a function in the table of figures, to be drawn in the common style."""

    def enter(function: Callable[[Tables], Drawn]) -> Callable[[Tables], Drawn]:
        @wraps(function)
        def styled(tables: Tables) -> Drawn:
            with style():
                return function(tables)

        FIGURES[function.__name__] = Figure(styled, applicable, needs)
        return styled

    return enter


def _header(ax: Axes, text: str, below: str = "", width: int = 200) -> None:
    """Write `text` over a panel, above the title `below`; it may be wider than the panel."""
    lines = wrap(text, width)
    # A blank title holds the place: a wide one would push the panels apart.
    ax.set_title("\n" * (len(lines) - (not below)) + (below or " "), weight="normal")
    ax.annotate(
        *("\n".join(lines), (0, 1)),
        xytext=(0, 17 if below else 5),
        xycoords="axes fraction",
        textcoords="offset points",
        weight="bold",
        in_layout=False,
        annotation_clip=False,
    )


def _measured(tables: Tables, metrics: Iterable[str]) -> list[str]:
    """Those of `metrics` that have a value for any method under the main rule."""
    board = tables.leaderboard
    with_value = set(board.loc[(board["rule"] == tables.rule) & board["mean"].notna(), "metric"])
    return [metric for metric in metrics if metric in with_value]


def _any_of(tables: Tables, metrics: Iterable[str]) -> bool:
    return len(_measured(tables, metrics)) > 0


# ── One row per method: replicates, mean and interval ────────────────────────────────────────────────


@_figure(partial(_any_of, metrics=LATENTS), "the true latents, which only a simulated dataset has")
def latent_recovery(tables: Tables) -> Drawn:
    """Draw how well each method recovers the true latents."""
    metrics = _measured(tables, LATENTS)
    table = _chosen(tables, metrics)
    return Drawn(_dot_plot(tables, table, tables.registry.loc[metrics]), table)


@_figure(partial(_any_of, metrics=TARGETS), "the true targets, which only a simulated dataset has")
def target_identification(tables: Tables) -> Drawn:
    """Draw how well each method names the latents that a perturbation shifts."""
    metrics = _measured(tables, TARGETS)
    table = _chosen(tables, metrics)
    return Drawn(_dot_plot(tables, table, tables.registry.loc[metrics]), table)


@_figure(partial(_any_of, metrics=LIKELIHOOD), "likelihoods of held-out perturbations")
def likelihood(tables: Tables) -> Drawn:
    """Draw the negative log-likelihood of held-out perturbations, and that of the true generator."""
    metrics = _measured(tables, LIKELIHOOD)
    table = _chosen(tables, metrics)
    # Without a shift the true generator is no floor: a model with a wider prior can do better.
    names = ["true generator" if m == "inll_zero_shot" else "floor: true generator" for m in metrics]
    bounds = dict(zip(metrics, names, strict=True))
    return Drawn(_dot_plot(tables, table, tables.registry.loc[metrics], bounds), table)


def _has_fits(tables: Tables) -> bool:
    return not _costs(tables)["value"].isna().all()


@_figure(_has_fits, "a fit that ended well and noted what it cost")
def cost(tables: Tables) -> Drawn:
    """Draw the run time of a fit and its peak memory."""
    table = _costs(tables)
    panels = pd.DataFrame(
        {"label": ["Run time (s per fit)", "Peak memory (MB)"], "direction": "lower", "low": np.nan},
        index=["seconds", "peak_memory_mb"],
    ).assign(high=np.nan)
    return Drawn(_dot_plot(tables, table, panels, log=True), table)


def _chosen(tables: Tables, metrics: Iterable[str]) -> pd.DataFrame:
    """Values of what the main rule and hindsight chose: one row per planned run and metric."""
    rules = [tables.rule, HINDSIGHT] if tables.rule != HINDSIGHT else [HINDSIGHT]
    planned = tables.selected[tables.selected["rule"].isin(rules)]
    planned = planned.astype({"setting": object}).merge(pd.DataFrame({"metric": list(metrics)}), how="cross")
    keys = [*FACET, "metric", "method", "rule"]
    table = planned.merge(
        tables.metrics.astype({"setting": object}), on=[*RUN, "setting", "metric"], how="left"
    )
    table = table.merge(tables.leaderboard[[*keys, *SPREAD]], on=keys, how="left")
    return table[[*keys, "replicate", "setting", "value", *SPREAD]]


def _costs(tables: Tables) -> pd.DataFrame:
    """Cost per fit of each run, averaged over its settings: those that were trained together share it."""
    status = tables.status[tables.status["method"].isin(tables.order)]
    planned = status[RUN].drop_duplicates()
    ok = status[status["status"] == "ok"]
    runs = ok.groupby(RUN, sort=False)[["seconds", "peak_memory_mb"]].mean()
    runs["setting"] = ok.groupby(RUN, sort=False)["setting"].first()
    runs["device"] = ok.groupby(RUN, sort=False)["device"].first()
    runs = planned.merge(runs.reset_index(), on=RUN, how="left").assign(rule=tables.rule)
    table = runs.melt([*RUN, "rule", "setting", "device"], ["seconds", "peak_memory_mb"], "metric")
    by = [*FACET, "metric", "method"]
    return table.merge(_summarise(table, by), on=by)


def _summarise(values: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Mean and interval over the replicates in ``value``, by the columns `by`."""
    rows = []
    for key, group in values.groupby(by, sort=False, dropna=False):
        low, high = bootstrap_interval(group["value"], seed=seed_from(0, *key))
        rows.append((*key, group["value"].mean(), low, high, group["value"].count(), len(group)))
    return pd.DataFrame(rows, columns=[*by, *SPREAD])


def _facets(table: pd.DataFrame, value: str = "value") -> Iterator[tuple[tuple[str, str], pd.DataFrame]]:
    """Rows of each dataset and split that has any value."""
    for facet, group in table.groupby(FACET, sort=False):
        if group[value].notna().any():
            yield facet, group


def _dot_plot(
    tables: Tables,
    table: pd.DataFrame,
    panels: pd.DataFrame,
    oracle_names: Mapping[str, str] = MappingProxyType({}),
    log: bool = False,
) -> matplotlib.figure.Figure:
    """Draw one row of panels per dataset and split, one panel per metric, one row per method in each."""
    facets = list(_facets(table))
    size = (WIDTH, len(facets) * (0.21 * len(tables.order) + 0.72) + 0.3)
    figure = matplotlib.figure.Figure(figsize=size)
    grid = figure.subplots(len(facets), len(panels), sharey=True, squeeze=False)
    for axes, (facet, group) in zip(grid, facets, strict=True):
        _header(axes[0], tables.title(*facet))
        for ax, (metric, panel) in zip(axes, panels.iterrows(), strict=True):
            _dots(ax, group[group["metric"] == metric], tables)
            _bounds(ax, group[group["metric"] == metric], tables, oracle_names.get(str(metric)))
            better = "better →" if panel["direction"] == "higher" else "← better"
            ax.set_xlabel(f"{panel['label']}\n{better}", linespacing=1.3)
            if np.isfinite([panel["low"], panel["high"]]).all():
                width = panel["high"] - panel["low"]
                ax.set_xlim(panel["low"] - 0.05 * width, panel["high"] + 0.05 * width)
            elif log:
                _round_log_axis(ax, table.loc[table["metric"] == metric, ["value", "low", "high"]])
            else:
                ax.margins(x=0.1)
                ax.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))
    ax = grid[0, 0]
    ax.set_yticks(range(len(tables.order)), [tables.label(method) for method in tables.order])
    ax.set_ylim(len(tables.order) - 0.45, -0.6)
    for ax in grid[:, 1:].flat:
        ax.tick_params(left=False)
    _legend_of_dots(figure, tables, table)
    return figure


def _dots(ax: Axes, table: pd.DataFrame, tables: Tables) -> None:
    """Draw the replicates, mean and interval of each method, each in the row of its place."""
    for row, method in enumerate(tables.order):
        ax.axhline(row, color=PALE, lw=0.5, zorder=0)
        of_method = table[table["method"] == method]
        shown = of_method[of_method["rule"] == tables.rule]
        if shown["value"].isna().all():
            lost = len(shown) > 0 and shown["setting"].isna().all()
            text = "no fit" if lost else "—"
            ax.text(
                *(0.5, row, text),
                transform=ax.get_yaxis_transform(),
                ha="center",
                va="center",
                color=GREY,
                fontsize=7,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
            )
            continue
        colour, first = tables.colour(method), shown.iloc[0]
        spread = row + np.linspace(-0.16, 0.16, len(shown)) if len(shown) > 1 else [row]
        ax.scatter(shown["value"], spread, s=9, color=colour, alpha=0.45, lw=0, zorder=2)
        ax.plot(
            [first["low"], first["high"]], [row, row], color=colour, lw=1.5, zorder=3, solid_capstyle="butt"
        )
        ax.scatter(first["mean"], row, s=26, color=colour, ec="white", lw=0.6, zorder=4)
        best = of_method.loc[(of_method["rule"] == HINDSIGHT) & (tables.rule != HINDSIGHT), "mean"]
        ax.scatter(best[:1], [row] * len(best[:1]), s=15, marker="D", fc="none", ec=GREY, lw=0.7, zorder=1)
        if first["n"] < first["planned"]:
            ax.annotate(
                f"n = {first['n']:.0f} of {first['planned']:.0f}",
                (first["mean"], row + 0.2),
                ha="center",
                va="top",
                fontsize=5.5,
                color=GREY,
            )


def _bounds(ax: Axes, table: pd.DataFrame, tables: Tables, oracle_name: str | None) -> None:
    """Draw the anchors as grey lines; what the oracle is called here is written along its line."""
    for method, dashes in zip(tables.anchors, _line_styles(), strict=False):
        mean = table.loc[(table["method"] == method) & (table["rule"] == tables.rule), "mean"].dropna()
        if len(mean):
            ax.axvline(mean.iloc[0], color=tables.colour(method), lw=0.9, ls=dashes, zorder=1)
            if oracle_name and method == "oracle":
                ax.text(
                    *(mean.iloc[0], 0.5, oracle_name),
                    transform=ax.get_xaxis_transform(),
                    rotation=90,
                    ha="right",
                    va="center",
                    fontsize=SMALL,
                    color=tables.colour(method),
                    bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
                )


def _line_styles() -> Iterator[object]:
    yield "-"
    while True:
        yield (0, (4, 2))


def _legend_of_dots(figure: matplotlib.figure.Figure, tables: Tables, table: pd.DataFrame) -> None:
    with_value = table[table["value"].notna()]
    handles = [
        Line2D([], [], marker="o", ms=3, color=INK, alpha=0.45, mew=0, ls="", label="replicate"),
        Line2D([], [], marker="o", ms=5, color=INK, mec="white", lw=1.5, label="mean, 95 % interval"),
    ]
    if (with_value["rule"] == HINDSIGHT).any() and tables.rule != HINDSIGHT:
        label = "mean if the truth chose the setting"
        handles.append(Line2D([], [], marker="D", ms=3.5, mfc="none", color=GREY, ls="", label=label))
    for method, dashes in zip(tables.anchors, _line_styles(), strict=False):
        if (with_value["method"] == method).any():
            label = f"{tables.label(method)} (anchor)"
            handles.append(Line2D([], [], color=tables.colour(method), lw=0.9, ls=dashes, label=label))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), columnspacing=1.4)


# ── Hyper-parameters ─────────────────────────────────────────────────────────────────────────────────


def _by_setting(
    tables: Tables, parameter: str, metrics: Iterable[str], methods: Iterable[str]
) -> pd.DataFrame:
    """Mean and interval over replicates at each value of a parameter that the settings of a method differ in.

    Settings with the same value, restarts above all, are averaged within a replicate first: they are
    what one would get on average by running once.
    """
    settings = tables.settings[tables.settings["parameter"] == parameter].copy()
    settings["x"] = pd.to_numeric(settings["value"], errors="coerce")
    swept = settings.groupby("method")["x"].nunique()
    settings = settings[
        settings["method"].isin(set(swept.index[swept > 1]) & set(methods)) & (settings["x"] > 0)
    ]
    values = tables.metrics[tables.metrics["metric"].isin(metrics)]
    values = values.merge(settings[["method", "setting", "x"]], on=["method", "setting"])
    keys = [*FACET, "method", "metric", "x"]
    runs = values.groupby([*keys, "replicate"], sort=False, as_index=False)["value"].mean()
    return _summarise(runs, keys).sort_values("x", kind="stable", ignore_index=True)


def _penalties(tables: Tables) -> pd.DataFrame:
    return _by_setting(tables, "penalty", TARGETS[:3], [SPARSE])


def _has_penalties(tables: Tables) -> bool:
    return bool(_penalties(tables)["mean"].notna().any())


@_figure(_has_penalties, "sVAE+ at several penalties on a dataset with true targets")
def targets_against_penalty(tables: Tables) -> Drawn:
    """Draw the targets' precision, recall and F1 against the penalty of sVAE+, and what each rule chose."""
    table = _penalties(tables)
    rules = [rule for rule in RULES if rule in set(tables.selected["rule"])]
    chosen = _chosen_penalties(tables)
    facets = list(_facets(table, "mean"))
    columns = min(3, len(facets))
    lines = -(-len(facets) // columns)
    size = (min(WIDTH, 1.7 + 2.9 * columns), lines * (2.35 + 0.17 * len(rules)) + 0.2)
    figure = matplotlib.figure.Figure(figsize=size)
    grid = figure.subplots(
        *(2 * lines, columns),
        height_ratios=[1.75, 0.17 * len(rules) + 0.05] * lines,
        sharex="col",
        sharey="row",
        squeeze=False,
    )
    for place, (facet, group) in enumerate(facets):
        line, column = divmod(place, columns)
        ax, strip = grid[2 * line, column], grid[2 * line + 1, column]
        _header(ax, tables.title(*facet), " ", 36)
        _penalty_lines(ax, group, _number(tables, facet[0], "perturbations"), tables.colour(SPARSE))
        _rule_strip(strip, chosen[(chosen[FACET] == facet).all(axis=1)], rules, tables)
        ticks = sorted(group["x"].unique())
        _label_log_axis(strip, ticks)
        strip.set_xlabel("Penalty s")
        strip.tick_params(labelbottom=True)
        if column == 0:
            ax.set_ylabel("Score (1 is best)")
    for ax in grid.reshape(lines, 2, columns).swapaxes(1, 2).reshape(-1, 2)[len(facets) :].flat:
        ax.remove()
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles))
    return Drawn(figure, pd.concat([table, chosen], ignore_index=True))


def _penalty_lines(ax: Axes, table: pd.DataFrame, perturbations: float, colour: str) -> None:
    looks = {
        "target_precision": ("precision", "^", "--", GREY, 1.0),
        "target_recall": ("recall", "v", ":", GREY, 1.2),
        "target_f1": ("F1", "o", "-", colour, 1.8),
    }
    for metric, (label, marker, dashes, shade, width) in looks.items():
        of_metric = table[table["metric"] == metric]
        ax.fill_between(of_metric["x"], of_metric["low"], of_metric["high"], color=shade, alpha=0.15, lw=0)
        ax.plot(
            of_metric["x"], of_metric["mean"], dashes, color=shade, lw=width, marker=marker, ms=4, label=label
        )
    if np.isfinite(perturbations):
        ax.axvline(perturbations, color=INK, lw=0.6, zorder=0)
        ax.text(
            *(perturbations, 1.01, f"s = K = {perturbations:g}"),
            transform=ax.get_xaxis_transform(),
            ha="center",
            va="bottom",
            fontsize=SMALL,
        )
    ax.set_ylim(-0.03, 1.05)
    ax.tick_params(bottom=False, labelbottom=False)


def _chosen_penalties(tables: Tables) -> pd.DataFrame:
    """How many replicates of sVAE+ each rule gave each penalty."""
    penalties = tables.settings[tables.settings["parameter"] == "penalty"]
    penalties = penalties.assign(x=pd.to_numeric(penalties["value"], errors="coerce")).astype(
        {"setting": object}
    )
    chosen = tables.selected[tables.selected["method"] == SPARSE].astype({"setting": object})
    chosen = chosen.merge(penalties[["method", "setting", "x"]], on=["method", "setting"])
    return chosen.groupby([*FACET, "method", "rule", "x"], sort=False).size().rename("chosen").reset_index()


def _rule_strip(ax: Axes, chosen: pd.DataFrame, rules: list[str], tables: Tables) -> None:
    """Draw a row per rule with a dot at each penalty it chose; its area is the number of replicates."""
    most = max(chosen["chosen"], default=1)
    for row, rule in enumerate(rules):
        of_rule = chosen[chosen["rule"] == rule]
        colour = tables.colour(SPARSE) if rule == tables.rule else GREY if rule == HINDSIGHT else INK
        ax.axhline(row, color=PALE, lw=0.5, zorder=0)
        ax.scatter(of_rule["x"], [row] * len(of_rule), s=40 * of_rule["chosen"] / most, color=colour, lw=0)
    ax.set_yticks(range(len(rules)), [RULES[rule][0] for rule in rules], fontsize=SMALL)
    ax.set_ylim(len(rules) - 0.4, -0.6)
    ax.tick_params(left=False)


def _label_log_axis(ax: Axes, ticks: list[float]) -> None:
    """Give a logarithmic axis a tick at every value that occurs, and no other."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    if len(ticks) > 1:
        margin = (ticks[-1] / ticks[0]) ** 0.07
        ax.set_xlim(ticks[0] / margin, ticks[-1] * margin)


def _round_log_axis(ax: Axes, values: pd.DataFrame) -> None:
    """Make an axis logarithmic, from one of 1, 2, 5, 10, 20, … to another: it has ticks at both ends."""
    values = values[values > 0]
    if values.isna().all(axis=None):
        return
    steps = np.outer(10.0 ** np.arange(-6, 10), [1, 2, 5]).ravel()
    first = steps[steps <= values.min().min()].max()
    last = steps[steps >= values.max().max()].min()
    ticks = steps[(steps >= first) & (steps <= last)]
    _label_log_axis(ax, list(ticks if len(ticks) < 7 else ticks[:: -(-len(ticks) // 6)]))
    ax.set_xlim(first / (last / first) ** 0.03, last * (last / first) ** 0.03)


def _number(tables: Tables, dataset: str, parameter: str) -> float:
    row = tables.datasets[
        (tables.datasets["dataset"] == dataset) & (tables.datasets["parameter"] == parameter)
    ]
    return float(pd.to_numeric(row["value"], errors="coerce").iloc[0]) if len(row) else np.nan


def _against_hindsight(tables: Tables) -> pd.DataFrame:
    """Value under each rule minus that under the hindsight rule, paired by replicate."""
    metrics = [metric for metric in (*MAIN, "inll_clean") if metric in set(tables.metrics["metric"])]
    several = tables.status.groupby("method")["setting"].nunique()
    planned = tables.selected.astype({"setting": object}).merge(
        pd.DataFrame({"metric": metrics}), how="cross"
    )
    planned = planned[planned["method"].isin(set(several.index[several > 1]) & set(tables.order))]
    keys = [*RUN, "metric"]
    values = planned.merge(
        tables.metrics.astype({"setting": object}), on=[*RUN, "setting", "metric"], how="left"
    )
    best = values.loc[values["rule"] == HINDSIGHT, [*keys, "value"]]
    values = values[values["rule"] != HINDSIGHT].merge(best, on=keys, suffixes=("", "_hindsight"))
    values["value"] -= values.pop("value_hindsight")
    return _summarise(values, [*FACET, "metric", "method", "rule"])


def _has_hindsight(tables: Tables) -> bool:
    return bool(_against_hindsight(tables)["mean"].notna().any())


@_figure(_has_hindsight, "the hindsight rule, and so the truth, and a method with several settings")
def selection_rules(tables: Tables) -> Drawn:
    """Draw what is lost where the setting is chosen without the truth."""
    table = _against_hindsight(tables)
    metrics = [metric for metric, rows in table.groupby("metric", sort=False) if rows["mean"].notna().any()]
    rules = [rule for rule in RULES if rule in set(table["rule"])]
    methods = [method for method in tables.order if method in set(table["method"])]
    facets = list(_facets(table, "mean"))
    row_height = 0.08 + 0.11 * len(rules)
    figure = matplotlib.figure.Figure(figsize=(WIDTH, len(facets) * (row_height * len(methods) + 0.75) + 0.3))
    grid = figure.subplots(len(facets), len(metrics), sharey=True, squeeze=False)
    for axes, (facet, group) in zip(grid, facets, strict=True):
        _header(axes[0], tables.title(*facet))
        for ax, metric in zip(axes, metrics, strict=True):
            ax.axvline(0, color=GREY, lw=0.9)
            if group.loc[group["metric"] == metric, "mean"].isna().all():
                ax.text(0.5, 0.5, "—", transform=ax.transAxes, color=GREY, ha="center")
                ax.xaxis.set_visible(False)
                continue
            for row in group[group["metric"] == metric].itertuples():
                _, marker, colour = RULES[row.rule]
                y = methods.index(row.method) + (rules.index(row.rule) - (len(rules) - 1) / 2) * 0.24
                ax.plot([row.low, row.high], [y, y], color=colour, lw=1.2)
                ax.scatter(row.mean, y, s=20, marker=marker, color=colour, ec="white", lw=0.5, zorder=3)
            higher = tables.registry.loc[metric, "direction"] == "higher"
            label = f"Δ {tables.registry.loc[metric, 'label']}\n{'better →' if higher else '← better'}"
            ax.set_xlabel(label, linespacing=1.3)
            ax.margins(x=0.1)
            ax.xaxis.set_major_locator(MaxNLocator(4, min_n_ticks=3))
    for ax in grid[:, 1:].flat:
        ax.tick_params(left=False)
    grid[0, 0].set_yticks(range(len(methods)), [tables.label(method) for method in methods])
    grid[0, 0].set_ylim(len(methods) - 0.45, -0.55)
    handles = [
        Line2D([], [], marker=marker, color=colour, mec="white", ms=5, lw=1.2, label=label)
        for label, marker, colour in (RULES[rule] for rule in rules)
    ]
    handles.append(Line2D([], [], color=GREY, lw=0.9, label="hindsight rule"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    return Drawn(figure, table)


# ── Targets ──────────────────────────────────────────────────────────────────────────────────────────


def _trained_targets(tables: Tables) -> pd.DataFrame:
    """Targets of the trained perturbations, in replicates and methods that have them; never of anchors."""
    targets = tables.targets
    kept = (
        targets["method"].isin(tables.order) & (targets["part"] == "trained") & targets["probability"].notna()
    )
    return targets[kept & (targets["perturbation"].astype(str) != CONTROL)]


def _has_targets(tables: Tables) -> bool:
    return len(_trained_targets(tables)) > 0


@_figure(_has_targets, "a method that gives the targets of each perturbation")
def target_matrix(tables: Tables) -> Drawn:
    """Draw the true targets beside those that each method found, in one replicate."""
    shown = []
    for _, group in _trained_targets(tables).groupby(FACET, sort=False):
        fullest = group.groupby("replicate")["method"].nunique().idxmax()
        shown.append(group[group["replicate"] == fullest])
    table = pd.concat(shown, ignore_index=True)
    panels = max(group["method"].nunique() + group["true"].notna().any() for group in shown)
    figure = matplotlib.figure.Figure(figsize=(min(WIDTH, 1.3 + 1.5 * panels), 2.75 * len(shown) + 0.3))
    grid = figure.subplots(len(shown), panels, squeeze=False)
    for axes, group in zip(grid, shown, strict=True):
        matrices = _target_matrices(tables, group)
        for ax, (title, matrix) in zip(axes, matrices.items(), strict=False):
            image = _heatmap(ax, matrix, vmin=0, vmax=1, cmap="Greys")
            ax.set_title(title, weight="normal")
            ax.set_xlabel("Latent")
        for ax in axes[len(matrices) :]:
            ax.remove()
        facet = tables.title(*group[FACET].iloc[0])
        first = next(iter(matrices.values()))
        axes[0].set_ylabel(f"{len(first)} trained perturbations")
        _header(axes[0], f"{facet}, replicate {group['replicate'].iloc[0]}", next(iter(matrices)))
        if len(first) <= 30:
            axes[0].set_yticks(range(len(first)), first.index, fontsize=6)
            axes[0].set_ylabel("")
    bar = figure.colorbar(image, ax=figure.axes, fraction=0.03, aspect=30, shrink=min(1, 1.4 / len(shown)))
    bar.set_label("Probability of being a target")
    bar.outline.set_visible(False)
    return Drawn(figure, table)


def _target_matrices(tables: Tables, group: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Perturbation × latent matrices by title; the order of the rows shows the blocks of the first."""
    methods = [method for method in tables.order if method in set(group["method"])]
    by_method = {
        method: group[group["method"] == method].pivot(
            index="perturbation", columns="latent", values="probability"
        )
        for method in methods
    }
    known = group[group["true"].notna()]
    if len(known):
        truth = known.drop_duplicates(["perturbation", "latent"])
        matrices = {"truth": truth.pivot(index="perturbation", columns="latent", values="true")}
    else:  # the order of the latents means nothing: put those with most targets first
        matrices = {}
        by_method = {
            m: p[p.sum().sort_values(ascending=False, kind="stable").index] for m, p in by_method.items()
        }
    matrices |= {tables.label(method): matrix for method, matrix in by_method.items()}
    leader = tables.label(tables.reference) if tables.reference in methods else next(iter(matrices))
    guide = matrices.get("truth", matrices[leader])
    order = guide.index[np.lexsort(-(guide.to_numpy()[:, ::-1] > 0.5).astype(int).T)]
    return {title: matrix.reindex(order) for title, matrix in matrices.items()}


def _heatmap(ax: Axes, matrix: pd.DataFrame, **options) -> mpl.image.AxesImage:
    image = ax.imshow(matrix.to_numpy(dtype=float), aspect="auto", interpolation="nearest", **options)
    ax.spines[:].set_visible(True)
    ax.spines[:].set(lw=0.4, color=GREY)
    ax.set_yticks([])
    step = -(-matrix.shape[1] // 8)
    places = range(0, matrix.shape[1], step)
    ax.set_xticks(places, [f"{matrix.columns[place]}" for place in places], fontsize=SMALL)
    return image


def _has_reference_targets(tables: Tables) -> bool:
    return tables.reference in set(_trained_targets(tables)["method"])


@_figure(_has_reference_targets, "the targets of each perturbation from the reference method")
def shared_targets(tables: Tables) -> Drawn:
    """Draw which perturbations share targets according to the reference method."""
    targets = _trained_targets(tables)
    similar = {
        facet: _similarity(group)
        for facet, group in targets[targets["method"] == tables.reference].groupby(FACET, sort=False)
    }
    columns = 1 if len(similar) == 1 else 2
    lines = -(-len(similar) // columns)
    side = 5.2 if columns == 1 else 3.1  # of each square, inches
    figure = matplotlib.figure.Figure(figsize=(columns * side + 0.85, lines * (side + 0.2)))
    grid = figure.subplots(lines, columns, squeeze=False)
    for ax, (facet, matrix) in zip(grid.flat, similar.items(), strict=False):
        image = _heatmap(ax, matrix, vmin=-1, vmax=1, cmap="vlag")
        _header(ax, tables.title(*facet), width=40)
        ax.set_xticks([])
        if len(matrix) <= 72 * side / 9:
            ax.set_yticks(range(len(matrix)), matrix.index, fontsize=6)
            ax.set_xticks(range(len(matrix)), matrix.columns, fontsize=6, rotation=90)
        else:
            ax.set_ylabel(f"{len(matrix)} trained perturbations, clustered")
    for ax in grid.flat[len(similar) :]:
        ax.remove()
    bar = figure.colorbar(image, ax=figure.axes, fraction=0.035, aspect=30, shrink=0.6)
    bar.set_label(f"Cosine similarity of signed targets ({tables.label(tables.reference)})")
    bar.set_ticks([-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    table = [_long(matrix).assign(dataset=facet[0], split=facet[1]) for facet, matrix in similar.items()]
    return Drawn(figure, pd.concat(table, ignore_index=True)[[*FACET, "perturbation", "other", "similarity"]])


def _similarity(targets: pd.DataFrame) -> pd.DataFrame:
    """Cosine between the signed target probabilities of perturbations, ordered by clustering.

    The order and sign of latents do not matter to it, so replicates can be averaged where they are
    repetitions on the same data; those of a simulation are different datasets, so there the first is taken.
    """
    if targets["true"].notna().any():
        targets = targets[targets["replicate"] == targets["replicate"].min()]
    signed = targets.assign(signed=targets["probability"] * np.sign(targets["shift"].fillna(1)))
    matrices = []
    for _, group in signed.groupby("replicate"):
        vectors = group.pivot(index="perturbation", columns="latent", values="signed")
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit = vectors / np.where(norms > 0, norms, 1)
        matrices.append(unit @ unit.T)
    # Replicates hold out different perturbations: each pair has the mean of those that trained on both.
    mean = pd.concat(matrices).groupby(level="perturbation").mean()
    mean = mean[mean.index]
    if len(mean) > 2:
        distance = np.clip(1 - mean.fillna(0).to_numpy(), 0, 2)
        np.fill_diagonal(distance, 0)
        order = leaves_list(linkage(squareform(distance, checks=False), "average", optimal_ordering=True))
        mean = mean.iloc[order, order]
    return mean


def _long(matrix: pd.DataFrame) -> pd.DataFrame:
    matrix = matrix.rename_axis(index="perturbation", columns="other")
    return matrix.stack().rename("similarity").reset_index()


# ── Training and sweeps ──────────────────────────────────────────────────────────────────────────────


def _has_history(tables: Tables) -> bool:
    return bool(tables.history["validation"].notna().any())


@_figure(_has_history, "the training history of a method that is trained by epochs")
def training_curves(tables: Tables) -> Drawn:
    """Draw the loss on validation cells by epoch, for every setting; the chosen ones stand out."""
    history = tables.history[tables.history["validation"].notna()].astype({"setting": object})
    last = history.groupby([*RUN, "setting"])["epoch"].transform("max")
    step = -(-history["epoch"].max() // 80)  # so many points a line shows no more than this
    history = history[(history["epoch"] % step == 0) | (history["epoch"] == last)]
    chosen = tables.selected[tables.selected["rule"] == tables.rule].astype({"setting": object})
    table = history.drop(columns="train").merge(
        chosen[[*RUN, "setting", "rule"]], on=[*RUN, "setting"], how="left"
    )
    table["selected"] = table.pop("rule").notna()
    methods = [method for method in tables.order if method in set(table["method"])]
    facets = list(_facets(table, "validation"))
    size = (min(WIDTH, 1.6 + 1.7 * len(methods)), 1.85 * len(facets) + 0.35)
    figure = matplotlib.figure.Figure(figsize=size)
    grid = figure.subplots(len(facets), len(methods), sharey="row", sharex=True, squeeze=False)
    for axes, (facet, group) in zip(grid, facets, strict=True):
        axes[0].set_ylabel("Validation −ELBO\n(nats per cell)")
        settled = group.loc[group["epoch"] >= 0.2 * group["epoch"].max(), "validation"]
        low, high = group["validation"].min(), settled.quantile(0.95)
        axes[0].set_ylim(low - 0.05 * (high - low), high + 0.1 * (high - low))
        for ax, method in zip(axes, methods, strict=True):
            of_method, colour = group[group["method"] == method], tables.colour(method)
            for (_, _, picked), line in of_method.groupby(["replicate", "setting", "selected"], sort=False):
                look = {"lw": 1.2, "zorder": 3} if picked else {"lw": 0.4, "alpha": 0.4}
                ax.plot(line["epoch"], line["validation"], color=colour, **look)
            ax.set_title(tables.label(method), weight="normal")
            ax.xaxis.set_major_locator(MaxNLocator(3, integer=True))
            ax.tick_params(left=ax is axes[0])
            if of_method.empty:
                ax.text(0.5, 0.5, "—", transform=ax.transAxes, color=GREY, ha="center")
        _header(axes[0], tables.title(*facet), tables.label(methods[0]))
    for ax in grid[-1]:
        ax.set_xlabel("Epoch")
    handles = [
        Line2D([], [], color=INK, lw=1.3, label="setting shown elsewhere, one line per replicate"),
        Line2D([], [], color=INK, lw=0.4, alpha=0.6, label="other settings and restarts"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return Drawn(figure, table)


def _sweeps(tables: Tables) -> pd.DataFrame:
    """Tabulate the main metrics where a parameter of the datasets, or the latents fitted, are varied."""
    board = tables.leaderboard
    board = board[(board["rule"] == tables.rule) & board["metric"].isin(MAIN)]
    parts = [
        rows.merge(values.rename("x"), left_on="dataset", right_index=True).assign(
            sweep=parameter, panel=split
        )
        for parameter, values in _varied(tables).items()
        for split, rows in board.groupby("split", sort=False)
    ]
    latents = _by_setting(tables, "n_latent", MAIN, tables.order).assign(sweep="n_latent")
    latents["panel"] = [
        tables.title(*facet) for facet in zip(latents["dataset"], latents["split"], strict=True)
    ]
    parts = [part for part in [*parts, latents] if part["mean"].notna().any()]
    columns = ["sweep", "panel", *FACET, "metric", "method", "x", *SPREAD]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def _varied(tables: Tables) -> dict[str, pd.Series]:
    """Values by dataset of each numeric parameter that differs between datasets otherwise alike."""
    wide = tables.datasets.pivot(index="dataset", columns="parameter", values="value").astype(str)
    if "kind" in wide:
        wide = wide[wide["kind"] == "simulated"]
    differing = [parameter for parameter in wide if wide[parameter].nunique() > 1]
    # First choice where two parameters vary together, as cells per perturbation and cells do.
    differing.sort(key=["cells_per_perturbation"].__contains__, reverse=True)
    varied: dict[str, pd.Series] = {}
    for parameter in differing:
        numbers = pd.to_numeric(wide[parameter], errors="coerce")
        others = [o for o in differing if o != parameter and wide.groupby(parameter)[o].nunique().max() > 1]
        alike = [rows.index for _, rows in wide.groupby(others)] if others else [wide.index]
        best = max((numbers[index] for index in alike), key=pd.Series.nunique)
        follows = any(
            numbers[v.index].groupby(v).nunique().max() == 1 and len(v) == len(best) for v in varied.values()
        )
        if best.notna().all() and best.nunique() > 1 and not follows:
            varied[parameter] = best
    return varied


def _has_sweep(tables: Tables) -> bool:
    return len(_sweeps(tables)) > 0


@_figure(_has_sweep, "simulated datasets that differ in one parameter, or settings that differ in n_latent")
def sweep(tables: Tables) -> Drawn:
    """Draw the main metrics against what differs between the datasets, or the number of latents fitted."""
    table = _sweeps(tables)
    panels = list(table.groupby(["sweep", "panel"], sort=False))
    several = {sweep: rows["panel"].nunique() > 1 for sweep, rows in table.groupby("sweep")}
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    metrics = [metric for metric in MAIN if metric in set(table["metric"])]
    size = (min(WIDTH, 2.9 * columns + 0.6), lines * (1.7 * len(metrics) + 0.3) + 0.5)
    figure = matplotlib.figure.Figure(figsize=size)
    grid = figure.subplots(lines * len(metrics), columns, sharey="row", squeeze=False)
    methods = [method for method in [*tables.order, *tables.anchors] if method in set(table["method"])]
    for place, ((parameter, panel), group) in enumerate(panels):
        line, column = divmod(place, columns)
        for offset, metric in enumerate(metrics):
            ax = grid[line * len(metrics) + offset, column]
            _sweep_lines(ax, group[group["metric"] == metric], methods, tables)
            _label_log_axis(ax, sorted(group["x"].unique()))
            ax.set_ylim(-0.03, 1.05)
            ax.set_ylabel(tables.registry.loc[metric, "label"] if column == 0 else "")
        ax.set_xlabel(parameter.replace("_", " ").capitalize())
        if several[parameter]:
            _header(grid[line * len(metrics), column], panel, width=36)
    for ax in grid.reshape(lines, -1, columns).swapaxes(1, 2).reshape(-1, len(metrics))[len(panels) :].flat:
        ax.remove()
    handles = [
        Line2D([], [], color=tables.colour(m), marker="o", ms=3.5, lw=1.2, label=tables.label(m))
        for m in methods
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), 2 + 2 * columns))
    return Drawn(figure, table)


def _sweep_lines(ax: Axes, table: pd.DataFrame, methods: list[str], tables: Tables) -> None:
    for place, method in enumerate(methods):
        rows = table[(table["method"] == method) & table["mean"].notna()].sort_values("x")
        x = rows["x"] * 1.008 ** (
            place - len(methods) / 2
        )  # side by side, so that intervals can be told apart
        ax.vlines(x, rows["low"], rows["high"], color=tables.colour(method), lw=0.9)
        ax.plot(
            x, rows["mean"], color=tables.colour(method), marker="o", ms=3.5, lw=1.2, mec="white", mew=0.4
        )
