"""Which perturbations act alike."""

import math

import matplotlib.figure
import numpy as np
import pandas as pd
from matplotlib.figure import SubFigure
from matplotlib.image import AxesImage
from matplotlib.patches import Patch

from svae.report.effects import effect_sizes, similarity, trained_targets
from svae.report.figures.axes import divide, write_note, write_title
from svae.report.figures.catalogue import Drawn, figure
from svae.report.figures.heatmaps import (
    draw_matrix,
    hatch,
    most_affected,
    rows_in,
    write_column_names,
    write_row_names,
)
from svae.report.figures.style import GREY, PALE, WIDTH
from svae.report.tables import Tables
from svae.report.values import FACET

ROW = 0.17  # inches, where there is room
WIDE, NARROW = 6.2, 2.7  # inches of a square, in one and in two columns of them
FOOT = 0.75  # inches of the colour bar and the legend


@figure(needs="the targets of each perturbation from the reference method")
def shared_targets(tables: Tables) -> Drawn | None:
    """Draw which perturbations act alike according to the reference method."""
    targets = trained_targets(tables)
    targets = targets[targets["method"] == tables.reference]
    if targets.empty:
        return None
    shown = [_replicates_to_average(group) for _, group in targets.groupby(FACET, sort=False)]
    most_names = max(len(_acting(effect_sizes(group))) for group in shown)
    columns = 1 if len(shown) == 1 or (len(shown) <= 3 and most_names > rows_in(NARROW)) else 2
    room = WIDE if columns == 1 else NARROW
    side = min(room, max(1.5, ROW * most_names))
    lines = math.ceil(len(shown) / columns)
    height = lines * (side + 1.2)
    page = matplotlib.figure.Figure(figsize=(min(WIDTH, max(4.6, columns * (side + 0.8))), height + FOOT))
    body, foot = page.subfigures(2, 1, height_ratios=[height, FOOT], squeeze=False)[:, 0]
    rows = []
    for part, group in zip(divide(body, len(shown), columns), shown, strict=True):
        pairs = similarity(group)
        image = _draw_similarity(part, tables, group, pairs, rows_in(room), side)
        facts = group.iloc[0][FACET].to_dict() | {"settings": len(_settings(tables, group))}
        rows.append(_each_pair_once(pairs).assign(**facts))
    _draw_foot(foot, image, f"Cosine similarity of effects ({tables.label(tables.reference)})")
    table = pd.concat(rows, ignore_index=True)
    return Drawn(page, table[[*FACET, "perturbation", "other", "similarity", "n", "together", "settings"]])


def _replicates_to_average(group: pd.DataFrame) -> pd.DataFrame:
    """Keep all replicates of real data, but the first of a simulation, which draws new data for each."""
    if group["true"].isna().all():
        return group
    return group[group["replicate"] == group["replicate"].min()]


def _each_pair_once(pairs: pd.DataFrame) -> pd.DataFrame:
    return pairs[pairs["perturbation"] <= pairs["other"]]


def _draw_similarity(
    part: SubFigure, tables: Tables, group: pd.DataFrame, pairs: pd.DataFrame, most_rows: int, side: float
) -> AxesImage:
    """Draw the matrix of one dataset and split, with as many perturbations as have room for their names."""
    sizes = effect_sizes(group)
    acting = _acting(sizes)
    names = _cluster(pairs, acting[most_affected(acting, most_rows)])
    square = pairs.pivot(index="perturbation", columns="other")
    similar = square["similarity"].loc[names, names]
    ax = part.subplots()
    image = draw_matrix(ax, similar, "RdBu_r", -1, 1)
    ax.set_aspect("equal")
    hatch(ax, square["together"].loc[names, names].to_numpy() == 0)
    write_row_names(ax, similar, side)
    write_column_names(ax, similar, side)
    write_title(part, tables.title(*group[FACET].iloc[0]))
    write_note(part, ". ".join([_averaged(tables, group), *_left_out(sizes, acting, len(names))]))
    return image


def _acting(sizes: pd.Series) -> pd.Series:
    """Keep the perturbations that have targets; all of them if none has any."""
    return sizes[sizes > 0] if (sizes > 0).any() else sizes


def _left_out(sizes: pd.Series, acting: pd.Series, drawn: int) -> list[str]:
    """Say how many perturbations have no targets, and how many are not drawn."""
    sentences = []
    idle = int((sizes == 0).sum())
    if idle:
        sentences.append(f"{idle} of {len(sizes)} perturbations have no targets")
    if drawn < len(acting):
        sentences.append(f"Drawn are the {drawn} most affected of {len(sizes)} perturbations")
    return sentences


def _cluster(pairs: pd.DataFrame, sizes: pd.Series) -> list[str]:
    """Order perturbations by average-linkage clustering; those without an effect come last."""
    from scipy.cluster.hierarchy import leaves_list, linkage  # here, because loading it takes long
    from scipy.spatial.distance import squareform

    acting = list(sizes.index[sizes > 0])
    idle = sorted(sizes.index[sizes == 0])
    if len(acting) > 2:
        square = pairs.pivot(index="perturbation", columns="other", values="similarity").loc[acting, acting]
        distance = np.clip(1 - square.fillna(0).to_numpy(), 0, 2)
        np.fill_diagonal(distance, 0)
        tree = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
        acting = [acting[place] for place in leaves_list(tree)]
    return acting + idle


def _averaged(tables: Tables, group: pd.DataFrame) -> str:
    """Say which replicates are averaged, and with which settings."""
    replicates = group["replicate"].unique()
    settings = _settings(tables, group)
    if len(replicates) == 1:
        return f"Replicate {replicates[0]}, {settings[0]}"
    if len(settings) == 1:
        return f"Mean of {len(replicates)} replicates, all with {settings[0]}"
    return (
        f"Mean of {len(replicates)} replicates with {len(settings)} different settings: {'; '.join(settings)}"
    )


def _settings(tables: Tables, group: pd.DataFrame) -> list[str]:
    """Distinct settings of the fits of one method, restarts of the same setting counted once."""
    told = tables.settings[tables.settings["parameter"] != "restart"]
    names = []
    for method, setting in group[["method", "setting"]].drop_duplicates().itertuples(index=False):
        options = told[(told["method"] == method) & (told["setting"] == setting)]
        values = [f"{option.parameter} = {option.value}" for option in options.itertuples()]
        names.append(", ".join(values) or "its only setting")
    return list(dict.fromkeys(names))


def _draw_foot(foot: SubFigure, image: AxesImage, label: str) -> None:
    """Draw the colour bar, and say what the cells without a colour mean."""
    bar = foot.colorbar(image, cax=foot.add_axes((0.06, 0.66, 0.42, 0.14)), orientation="horizontal")
    bar.set_ticks([-1, -0.5, 0, 0.5, 1])
    bar.set_label(label)
    bar.outline.set_visible(False)
    handles = [
        Patch(facecolor=PALE, label="no targets to compare"),
        Patch(facecolor="white", edgecolor=GREY, hatch="/////", lw=0, label="never trained together"),
    ]
    foot.legend(handles=handles, loc="center right", bbox_to_anchor=(1, 0.6))
