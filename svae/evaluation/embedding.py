"""A map of the cells of one fit, and how well its latents mix batches."""

import anndata as ad
import numpy as np
import pandas as pd

from svae.seeds import seed_from

MOST_CELLS = 5000
"""So many cells are drawn for the map, whose time grows with them."""
NEIGHBOURS = 15
"""Neighbours of each cell in the graph behind the map; the default of scanpy."""

COLUMNS = ("cell", "perturbation", "part", "batch", "x", "y", "batches_nearby")


def embed(latents: pd.DataFrame, split: pd.DataFrame, batches: pd.Series | None, seed: int) -> pd.DataFrame:
    """Place cells on a plane by UMAP of their latents (McInnes et al. 2018), as scanpy does it.

    Parameters
    ----------
    latents
        Cells × latents, indexed by cell.
    split
        One row per cell, in the same order: ``cell``, ``perturbation``, ``part``.
    batches
        Batch of each cell; None if there is one.
    seed
        Of the cells that are drawn, and of the map.

    Returns
    -------
    One row for each of at most :data:`MOST_CELLS` cells: ``cell``, ``perturbation``, ``part``, ``batch``
    (empty without batches), the place ``x`` and ``y``, and ``batches_nearby``: the inverse Simpson index of
    the batches of its nearest neighbours in the latents. It is 1 if all are of one batch, and larger the
    better batches are mixed (Korsunsky et al. 2019, with equal weights).
    """
    import scanpy as sc  # seconds to import, and simulated runs have no map

    drawn = np.random.default_rng(seed_from(seed, "cells of the map")).permutation(len(latents))[:MOST_CELLS]
    rows = np.sort(drawn)
    cells = ad.AnnData(obs=split.iloc[rows].set_index("cell")[["perturbation", "part"]])
    cells.obsm["latents"] = latents.to_numpy(dtype=np.float32)[rows]
    sc.pp.neighbors(cells, n_neighbors=min(NEIGHBOURS, len(rows) - 1), use_rep="latents", random_state=seed)
    sc.tl.umap(cells, random_state=seed)
    batch = np.full(len(rows), "") if batches is None else batches.astype(str).to_numpy()[rows]
    x, y = cells.obsm["X_umap"].T
    table = cells.obs.rename_axis("cell").reset_index()
    nearby = batches_nearby(cells.obsp["distances"], batch)
    return table.assign(batch=batch, x=x, y=y, batches_nearby=nearby)[list(COLUMNS)]


def batches_nearby(distances, batch: np.ndarray) -> np.ndarray:
    """Inverse Simpson index of the batches among the neighbours of each cell.

    Parameters
    ----------
    distances
        Cells × cells, sparse: an entry for each neighbour of a cell.
    batch
        Batch of each cell.
    """
    is_neighbour = (distances > 0).astype(float)
    membership = pd.get_dummies(batch).to_numpy(dtype=float)
    shares = (is_neighbour @ membership) / np.asarray(is_neighbour.sum(axis=1)).reshape(-1, 1)
    return 1 / (shares**2).sum(axis=1)
