"""Tables of metrics: what each one says, as its own description has it."""

from collections.abc import Callable

from docs.generate.results import DASH, markdown
from svae.evaluation.metric import Metric
from svae.evaluation.metrics import METRICS
from svae.evaluation.prediction import BASIS_LABELS

HEADERS = ["metric", "shown as", "better", "what it says", "proposed by"]


def of_simulated_cells(metric: Metric) -> bool:
    """Whether a metric compares latents or targets with the truth."""
    compared = metric.question in ("latents", "targets") and "truth" in metric.needs
    return compared and not of_moved_genes(metric)


def without_truth(metric: Metric) -> bool:
    """Whether a metric asks of latents what labels alone can tell."""
    return metric.question == "latents" and "truth" not in metric.needs


def of_guides(metric: Metric) -> bool:
    """Whether a metric needs perturbations that are guides."""
    return "guides" in metric.needs


def of_pathways(metric: Metric) -> bool:
    """Whether a metric needs gene sets."""
    return "pathways" in metric.needs


def of_likelihood(metric: Metric) -> bool:
    """Whether a metric says how likely held-out cells are."""
    return metric.question == "likelihood"


def of_moved_genes(metric: Metric) -> bool:
    """Whether a metric needs calls of moved genes."""
    return "differential" in metric.needs


def table_of(chosen: Callable[[Metric], bool]) -> str:
    """Tabulate the `chosen` metrics, but those that repeat the released code."""
    rows = [
        row_of(metric, metric.name, metric.label)
        for metric in METRICS.values()
        if chosen(metric) and not metric.original
    ]
    return markdown(rows, HEADERS)


def scores_of_predictions() -> str:
    """Tabulate the scores of predictions, each of which is a metric for every basis and on two scales."""
    of_basis, labelled = "_adapted", f", {BASIS_LABELS['adapted']}"
    rows = [
        row_of(metric, metric.name.removesuffix(of_basis), metric.label.removesuffix(labelled))
        for metric in METRICS.values()
        if metric.question == "prediction" and metric.name.endswith(of_basis)
    ]
    return markdown(rows, HEADERS)


def row_of(metric: Metric, name: str, label: str) -> list[str]:
    """Describe a metric that the page calls `name`."""
    meaning = metric.meaning.replace("|", r"\|")
    return [f"`{name}`", label, metric.direction, meaning, metric.citation or DASH]
