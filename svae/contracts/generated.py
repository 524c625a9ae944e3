"""Generated cells: what a method takes for cells of held-out perturbations, beside their mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from svae.contracts.fit_parts import BASES, refuse_unknown_names
from svae.contracts.values import array_of_numbers, mapping, refuse_unbounded
from svae.errors import BenchmarkError, one_line, unknown
from svae.seeds import seed_from
from svae.words import Basis

if TYPE_CHECKING:
    import anndata as ad

MOST_CELLS = 100
"""Cells of one perturbation in a fit; and as many real ones are compared with them. More would make files
large, and tell little that these do not."""


@dataclass(frozen=True, eq=False)
class GeneratedCells:
    """Cells as a method draws them.

    Attributes
    ----------
    counts
        Cells × all genes of the dataset, in its order; sparse by rows (CSR). Whole numbers, or numbers on any
        other scale that shares of genes can be computed from.
    perturbation
        Held-out perturbation of each cell, texts.
    """

    counts: Any
    perturbation: np.ndarray

    @classmethod
    def of(cls, dataset: "ad.AnnData", labels: pd.Series) -> "GeneratedCells":
        """Let real cells stand for those of the perturbations that `labels`, indexed by cell, says."""
        rows = dataset.obs_names.get_indexer(labels.index)
        return cls(dataset.X[rows], labels.to_numpy(dtype=str))


def draw_evenly(cells: pd.Series, most: int, purpose: str) -> pd.Index:
    """Draw cells without replacement; all labels get their turn before one has its next.

    Parameters
    ----------
    cells
        Label of each cell to draw from, indexed by cell.
    most
        How many to draw; all, if there are no more.
    purpose
        Seeds the draw. Who draws for the same purpose from the same cells gets the same ones.
    """
    random = np.random.default_rng(seed_from("cells", purpose))
    shuffled = cells.iloc[random.permutation(len(cells))]
    turn = shuffled.groupby(shuffled.to_numpy()).cumcount().to_numpy()
    return shuffled.index[np.argsort(turn, kind="stable")[:most]]


def stand_ins(pools: Mapping[str, pd.Series]) -> pd.Series:
    """Draw real cells that stand for those of perturbations, at most :data:`MOST_CELLS` for each.

    Parameters
    ----------
    pools
        For each perturbation, the cells to draw from: their labels, indexed by cell.

    Returns
    -------
    The perturbation that each drawn cell stands for, indexed by cell; a cell can stand for several.
    """
    draws = {name: draw_evenly(cells, MOST_CELLS, name) for name, cells in pools.items()}
    cells = pd.Index([cell for drawn in draws.values() for cell in drawn], dtype=object)
    names = [name for name, drawn in draws.items() for _ in drawn]
    return pd.Series(names, cells, dtype=object)


def checked_generated(
    groups: Any, place: str, predictions: Mapping[Basis, pd.DataFrame] | None
) -> dict[Basis, GeneratedCells]:
    """Check generated cells by what the method was allowed to see.

    Parameters
    ----------
    groups
        By basis :class:`GeneratedCells`, or a group of ``counts`` and ``perturbation``.
    place
        File and key, as the sentence begins.
    predictions
        Predicted profiles of the same fit, perturbation × gene. The cells are of the same perturbations and
        genes.

    Raises
    ------
    BenchmarkError
        If there is no prediction on a basis, its perturbations or genes are others, a perturbation has more
        than :data:`MOST_CELLS` cells, or the counts are none.
    """
    predictions = predictions or {}
    refuse_unknown_names(groups, "basis", BASES, place)
    for basis in groups:
        if basis not in predictions:
            raise BenchmarkError(f'{place}["{basis}"] has no predictions beside it, uns["predictions"]')
    return {
        basis: _checked_cells(groups[basis], predictions[basis], f'{place}["{basis}"]')
        for basis in BASES
        if basis in groups
    }


def _checked_cells(cells: Any, profiles: pd.DataFrame, place: str) -> GeneratedCells:
    """Check the cells of one basis beside its predicted `profiles`."""
    group = vars(cells) if isinstance(cells, GeneratedCells) else mapping(cells, place)
    for name in ("counts", "perturbation"):
        if name not in group:
            raise BenchmarkError(f'{place}["{name}"] is missing')
    counts = _checked_counts(group["counts"], f'{place}["counts"]')
    perturbation = np.asarray(group["perturbation"]).astype(str)
    if perturbation.shape != counts.shape[:1]:
        raise BenchmarkError(
            f'{place}["perturbation"] has shape {perturbation.shape}, but there are {counts.shape[0]} cells'
        )
    if counts.shape[1] != profiles.shape[1]:
        raise BenchmarkError(
            f'{place}["counts"] has {counts.shape[1]} genes, not the {profiles.shape[1]} of the predictions'
        )
    sizes = pd.Series(perturbation).value_counts()
    for name, size in sizes.items():
        if name not in profiles.index:
            raise unknown("perturbation", name, profiles.index, f'{place}["perturbation"]')
        if size > MOST_CELLS:
            raise BenchmarkError(
                f"{place} has {size} cells of perturbation '{one_line(name)}', but {MOST_CELLS} are the most"
            )
    missing = profiles.index.difference(sizes.index, sort=False)
    if len(missing):
        raise BenchmarkError(
            f"{place} has no cell of perturbation '{one_line(missing[0])}', which is predicted"
        )
    return GeneratedCells(counts, perturbation)


def _checked_counts(counts: Any, place: str) -> Any:
    """Return cells × genes by rows, without zeros that are written down."""
    from scipy.sparse import csr_matrix, issparse  # here, because users of the names of columns need none

    table = counts.tocsr() if issparse(counts) else array_of_numbers(counts, place)
    if table.ndim != 2:
        raise BenchmarkError(f"{place} has shape {table.shape}, not cells × genes")
    values = array_of_numbers(table.data if issparse(table) else table, place)
    refuse_unbounded(values, place)
    if (values < 0).any():
        raise BenchmarkError(f"{place} holds values below 0")
    by_rows = csr_matrix(table, dtype=np.float32)
    by_rows.eliminate_zeros()
    return by_rows
