"""Reading cells of a screen as the tensors that a model works on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from scipy import sparse

from svae.errors import BenchmarkError, unknown
from svae.training.cells import Cells

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
            If the genes are not the model's, or a column or a batch is not known.
        """
        if not adata.var_names.equals(self.genes):
            raise BenchmarkError("adata: var_names are not the genes that the model was built on")
        layer = self.setup["layer"]
        counts = adata.X if layer is None else adata.layers[layer]
        x = counts[_rows(adata, indices)]
        dense = x.toarray() if sparse.issparse(x) else np.asarray(x)
        codes = pd.Index(self.perturbations).get_indexer(self.perturbation(adata, indices))
        return Cells(
            torch.as_tensor(dense, dtype=torch.float32),
            torch.as_tensor(codes, dtype=torch.int64),
            torch.as_tensor(self._batch_codes(adata, indices), dtype=torch.int64),
        )

    def _batch_codes(self, adata: AnnData, indices: Indices) -> np.ndarray:
        if self.setup["batch_key"] is None:
            return np.zeros(len(_rows(adata, indices)), dtype=np.int64)
        names = self._column(adata, "batch_key", indices)
        codes = pd.Index(self.batches).get_indexer(names)
        if (codes < 0).any():
            raise unknown("batch", names[codes < 0][0], self.batches, "adata.obs")
        return codes

    def _column(self, adata: AnnData, argument: str, indices: Indices) -> np.ndarray:
        """Column of ``obs`` that an argument of ``setup_anndata`` named, as strings."""
        key = self.setup[argument]
        if key not in adata.obs:
            raise unknown("column", key, adata.obs.columns, "adata.obs")
        return adata.obs[key].astype(str).to_numpy()[_rows(adata, indices)]


def _rows(adata: AnnData, indices: Indices) -> np.ndarray:
    return np.arange(adata.n_obs) if indices is None else np.asarray(indices)
