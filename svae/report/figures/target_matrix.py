"""Targets of every perturbation, true and estimated."""

from textwrap import fill

import matplotlib.figure
import pandas as pd

from svae.report.effects import effect_sizes, trained_targets
from svae.report.figures.axes import write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.heatmaps import (
    draw_matrix,
    most_affected,
    number_columns,
    rows_in,
    write_pathways,
    write_row_names,
)
from svae.report.figures.style import WIDTH
from svae.report.outcomes import missing_note
from svae.report.tables import Tables
from svae.report.values import FACET
from svae.targets import THRESHOLD

TRUTH = "truth"
ROW = 0.105  # inches, where there is room
LEAST_HEIGHT, MOST_HEIGHT = 1.9, 8.0  # inches of the matrices of a facet
PAGE = 16.0  # inches of the matrices of all facets together
LETTERS = 12  # of a line of a name above a matrix
WORDS = 0.75  # inches of what is written above and below a matrix


@figure(needs="a method that gives the targets of each perturbation")
def target_matrix(tables: Tables) -> Drawn | None:
    """Draw the true targets beside those that each method found, in one replicate."""
    targets = trained_targets(tables)
    if targets.empty:
        return None
    shown = [_fullest_replicate(group) for _, group in targets.groupby(FACET, sort=False)]
    room = max(LEAST_HEIGHT, min(MOST_HEIGHT, PAGE / len(shown)))
    matrices = [_matrices(tables, group, rows_in(room)) for group in shown]
    heights = [_height(next(iter(of_method.values())), room) for of_method in matrices]
    panels = max(len(m) for m in matrices)
    with_words = [height + WORDS for height in heights]
    page = matplotlib.figure.Figure(figsize=(min(WIDTH, 2.3 + 1.5 * panels), sum(with_words)))
    parts = page.subfigures(len(shown), 1, height_ratios=with_words, squeeze=False)[:, 0]
    for part, group, of_method, height in zip(parts, shown, matrices, heights, strict=True):
        facet = tuple(group[FACET].iloc[0])
        write_title(part, _title(tables, group, of_method))
        write_note(part, missing_note(tables, facet, group["method"].unique()))
        axes = part.subplots(1, len(of_method), squeeze=False)[0]
        for ax, (name, matrix) in zip(axes, of_method.items(), strict=True):
            image = draw_matrix(ax, matrix, "Greys", 0, 1)
            number_columns(ax, matrix)
            ax.set_title(TRUTH if name == TRUTH else fill(tables.label(name), LETTERS), weight="normal")
            ax.set_xlabel("Latent")
        first = next(iter(of_method.values()))
        write_row_names(axes[0], first, height)
        write_pathways(axes[-1], first, tables.pathway_of(facet[0]), height)
        bar = part.colorbar(image, ax=axes, fraction=0.03, aspect=25)
        bar.set_label("Probability of being a target")
        bar.outline.set_visible(False)
    return Drawn(page, pd.concat(shown, ignore_index=True))


def _height(matrix: pd.DataFrame, room: float) -> float:
    """Inches for a matrix: comfortable rows where there is room for them."""
    return min(room, max(LEAST_HEIGHT, ROW * len(matrix)))


def _fullest_replicate(group: pd.DataFrame) -> pd.DataFrame:
    """Keep the first replicate of those with targets from most methods."""
    fullest = group.groupby("replicate")["method"].nunique().idxmax()
    return group[group["replicate"] == fullest]


def _title(tables: Tables, group: pd.DataFrame, matrices: dict[str, pd.DataFrame]) -> str:
    """Say what is shown, and how much of it."""
    first = group.iloc[0]
    known, drawn = group["perturbation"].nunique(), len(next(iter(matrices.values())))
    title = f"{tables.title(first['dataset'], first['split'])}, replicate {first['replicate']}"
    return title if drawn == known else f"{title}: the {drawn} most affected of {known} perturbations"


def _matrices(tables: Tables, group: pd.DataFrame, most_rows: int) -> dict[str, pd.DataFrame]:
    """Perturbation × latent matrices by method, the truth first where it is known.

    At most so many rows are kept: the perturbations with the largest effects according to the guide,
    which is the reference method or else the first. Rows are sorted to show the blocks of the truth, or
    else of the guide.
    """
    methods = [method for method in tables.order if method in set(group["method"])]
    matrices = {
        method: group[group["method"] == method].pivot(
            index="perturbation", columns="latent", values="probability"
        )
        for method in methods
    }
    guide = tables.reference if tables.reference in methods else methods[0]
    known = group[group["true"].notna()].drop_duplicates(["perturbation", "latent"])
    if len(known):
        truth = known.pivot(index="perturbation", columns="latent", values="true")
        matrices = {TRUTH: truth, **matrices}
    else:
        matrices = {method: _fullest_columns_first(matrix) for method, matrix in matrices.items()}
    kept = most_affected(effect_sizes(group[group["method"] == guide]), most_rows)
    order = _block_order(matrices.get(TRUTH, matrices[guide]).reindex(kept))
    return {name: matrix.reindex(order) for name, matrix in matrices.items()}


def _fullest_columns_first(matrix: pd.DataFrame) -> pd.DataFrame:
    """Sort latents by their number of targets: without a truth, their order means nothing."""
    return matrix[matrix.sum().sort_values(ascending=False, kind="stable").index]


def _block_order(matrix: pd.DataFrame) -> pd.Index:
    """Sort perturbations by their first target, then their second, and so on, to make blocks visible."""
    targets = (matrix > THRESHOLD).astype(int)
    return targets.sort_values(list(targets.columns), ascending=False, kind="stable").index
