"""The space that cells are compared in: principal components of the cells that methods are trained on."""

from dataclasses import dataclass
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from svae.contracts.generated import GeneratedCells, draw_evenly, stand_ins
from svae.contracts.split import cells_of, seen_cells, trained_cells
from svae.expression import TARGET_SUM, sparse_log_normalised

COMPONENTS = 50
"""Principal components; fewer where there are fewer genes or cells."""

MOST_TRAINED = 10_000
"""Cells that the components are computed from, drawn evenly from the perturbations."""

CELLS = ("test", "adapt", "mean")


@dataclass(frozen=True, eq=False)
class Space:
    """Principal components of log-normalised expression, and where real cells stand on them.

    Of each held-out perturbation there are at most :data:`svae.contracts.generated.MOST_CELLS` cells of each
    kind.

    Attributes
    ----------
    centre
        Mean expression of the cells that were trained on, one value per gene.
    axes
        Gene × component, of length 1 each.
    test, adapt
        Cells of the halves of each held-out perturbation, cell × component, indexed by perturbation.
    mean
        Cells of all trained perturbations alike, control not among them: what stands for a held-out
        perturbation if it does what perturbations do on average. Cell × component, indexed by the held-out
        perturbation.
    """

    centre: pd.Series
    axes: pd.DataFrame
    test: pd.DataFrame
    adapt: pd.DataFrame
    mean: pd.DataFrame

    @classmethod
    def of(cls, dataset: ad.AnnData, split: pd.DataFrame) -> "Space":
        """Span the space by the parts train and validation; put the cells of the other parts into it.

        Parameters
        ----------
        dataset
            Raw counts of all cells, cells × genes.
        split
            One row per cell: ``cell``, ``perturbation``, ``part``.
        """
        from sklearn.decomposition import PCA  # here, because reports import this module

        seen, test, adapt = seen_cells(split), cells_of(split, "test"), cells_of(split, "adapt")
        some = dataset[dataset.obs_names.get_indexer(draw_evenly(seen, MOST_TRAINED, "components"))]
        expression = sparse_log_normalised(some, TARGET_SUM).toarray()
        components = PCA(min(COMPONENTS, *expression.shape), random_state=0).fit(expression)
        centre = pd.Series(components.mean_, dataset.var_names, dtype=np.float32)
        axes = pd.DataFrame(components.components_.T, dataset.var_names, dtype=np.float32)
        axes.columns = [f"component{number + 1}" for number in axes.columns]
        drawn = {
            "test": stand_ins(dict(iter(test.groupby(test)))),
            "adapt": stand_ins(dict(iter(adapt.groupby(adapt)))),
            "mean": stand_ins(dict.fromkeys(test.unique(), trained_cells(split))),
        }
        cells = {name: GeneratedCells.of(dataset, labels) for name, labels in drawn.items()}
        return cls(centre, axes, **{name: placed(some, centre, axes) for name, some in cells.items()})

    def place(self, cells: GeneratedCells) -> pd.DataFrame:
        """Put cells into the space: cell × component, indexed by perturbation."""
        return placed(cells, self.centre, self.axes)


def placed(cells: GeneratedCells, centre: pd.Series, axes: pd.DataFrame) -> pd.DataFrame:
    """Put cells into the space that `axes` span around `centre`; see :class:`Space`.

    A cell without counts has the expression 0.
    """
    expression: Any = sparse_log_normalised(ad.AnnData(cells.counts), TARGET_SUM)
    places = expression @ axes.to_numpy() - centre.to_numpy() @ axes.to_numpy()
    return pd.DataFrame(places, cells.perturbation, axes.columns)
