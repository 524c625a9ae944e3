"""Reading cells of a screen as the tensors that a model works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData

from svae.contracts.dataset import validate_counts
from svae.errors import BenchmarkError, unknown
from svae.models.given import indices_in
from svae.training.cells import Cells, count_tensor

Indices = Sequence[int] | np.ndarray | None


@dataclass(frozen=True)
class ScreenReader:
    """Where a model finds counts and labels in an AnnData, and what codes it gives to the labels.

    The manager of scvi-tools would refuse data with perturbations that the model was not built on. This
    reads them, changes nothing in them, and needs no registration.

    Attributes
    ----------
    setup
        Arguments of ``setup_anndata``: perturbation_key, batch_key, layer.
    genes
        Names of the genes that the model was built on.
    perturbations, batches
        Labels in the order of their codes.
    """

    setup: Mapping[str, Any]
    genes: pd.Index
    perturbations: Sequence[str]
    batches: Sequence[str]

    def perturbation(self, adata: AnnData, indices: Indices = None) -> np.ndarray:
        """Perturbation of each cell, by name."""
        return self._column(adata, "perturbation_key", indices)

    def cells(self, adata: AnnData, indices: Indices = None) -> Cells:
        """Cells as tensors; the code of a perturbation that the model does not know is −1.

        Raises
        ------
        BenchmarkError
            If the genes are not the model's, a cell has no counts, or a column or a batch is not known.
        """
        refuse_other_genes(adata, self.genes)
        rows, layer = rows_of(adata, indices), self.setup["layer"]
        x = counts_of(adata, layer)[rows]
        validate_counts(x, adata.obs_names[rows], "adata" if layer is None else f"adata, layer '{layer}'")
        codes = pd.Index(self.perturbations).get_indexer(self.perturbation(adata, indices))
        return Cells(
            count_tensor(x),
            torch.as_tensor(codes, dtype=torch.int64),
            torch.as_tensor(self._batch_codes(adata, indices), dtype=torch.int64),
        )

    def _batch_codes(self, adata: AnnData, indices: Indices) -> np.ndarray:
        if self.setup["batch_key"] is None:
            return np.zeros(len(rows_of(adata, indices)), dtype=np.int64)
        names = self._column(adata, "batch_key", indices)
        codes = pd.Index(self.batches).get_indexer(names)
        if (codes < 0).any():
            raise unknown("batch", names[codes < 0][0], self.batches, "adata.obs")
        return codes

    def _column(self, adata: AnnData, argument: str, indices: Indices) -> np.ndarray:
        """Column of ``obs`` that an argument of ``setup_anndata`` named, as strings."""
        labels = labels_of(adata, self.setup[argument]).iloc[rows_of(adata, indices)]
        _refuse_missing(labels)
        return labels.astype(str).to_numpy()


def check_screen(adata: AnnData, perturbation_key: str, batch_key: str | None, layer: str | None) -> None:
    """Raise a :class:`BenchmarkError` if a model cannot be built on `adata`.

    Parameters
    ----------
    adata
        Cells × genes.
    perturbation_key, batch_key, layer
        As ``setup_anndata`` takes them.
    """
    refuse_other_types(adata)
    if batch_key is not None and batch_key == perturbation_key:
        raise BenchmarkError(
            f"batch_key: '{batch_key}' is the column of perturbations; name another, or None"
        )
    if adata.n_obs == 0 or adata.n_vars == 0:
        raise BenchmarkError(f"adata: is empty ({adata.n_obs} cells × {adata.n_vars} genes)")
    _refuse_missing(labels_of(adata, perturbation_key))
    if batch_key is not None:
        _refuse_missing(labels_of(adata, batch_key))
    where = "adata" if layer is None else f"adata, layer '{layer}'"
    validate_counts(counts_of(adata, layer), adata.obs_names, where)


def refuse_other_types(adata: object) -> None:
    """Raise if `adata` is no AnnData."""
    if not isinstance(adata, AnnData):
        raise BenchmarkError(f"adata: an AnnData is needed, but this is of type {type(adata).__name__}")


def refuse_other_genes(adata: AnnData, genes: Sequence[str] | np.ndarray | pd.Index) -> None:
    """Raise if the genes of `adata` are not those that a model was built on, in their order."""
    refuse_other_types(adata)
    expected = pd.Index(genes)
    if adata.var_names.equals(expected):
        return
    if len(adata.var_names) != len(expected):
        difference = f"there are {len(adata.var_names)} instead of {len(expected)}"
    elif set(adata.var_names) == set(expected):
        difference = "they are in another order; take adata[:, genes of the model]"
    else:
        strange = [gene for gene in adata.var_names if gene not in expected]
        difference = f"such as '{strange[0]}'" if strange else "some occur more than once"
    raise BenchmarkError(f"adata: var_names are not the genes that the model was built on: {difference}")


def labels_of(adata: AnnData, key: str) -> pd.Series:
    """Return a column of ``obs``; an unknown one is answered with the nearest."""
    if key not in adata.obs:
        raise unknown("column", key, adata.obs.columns, "adata.obs")
    return adata.obs[key]


def counts_of(adata: AnnData, layer: str | None) -> Any:
    """Return the counts, cells × genes; an unknown layer is answered with the nearest."""
    if layer is not None and layer not in adata.layers:
        raise unknown("layer", layer, adata.layers, "adata.layers")
    counts = adata.X if layer is None else adata.layers[layer]
    if counts is None:
        raise BenchmarkError("adata: X is missing; name the layer that holds the counts")
    return counts


def rows_of(adata: AnnData, indices: Indices) -> np.ndarray:
    """Return the places of the chosen cells, at least one; all where `indices` is None."""
    rows = np.arange(adata.n_obs) if indices is None else indices_in(indices, adata.n_obs, "indices")
    if not len(rows):
        raise BenchmarkError("adata: has no cells" if indices is None else "indices: no cell is chosen")
    return rows


def _refuse_missing(labels: pd.Series) -> None:
    missing = int(labels.isna().sum())
    if missing:
        raise BenchmarkError(
            f"adata.obs['{labels.name}']: {missing:,} of {len(labels):,} cells have no label"
        )
