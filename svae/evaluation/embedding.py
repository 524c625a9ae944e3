"""A map of the cells of one fit, and how well its latents mix batches."""

import numpy as np
import pandas as pd

from svae.seeds import seed_from, seed_of_32_bits

MOST_CELLS = 5000
"""So many cells are drawn for the map, whose time grows with them."""
NEIGHBOURS = 15
"""Neighbours of each cell in the graph behind the map; the default of its authors."""

COLUMNS = ("cell", "perturbation", "part", "batch", "x", "y", "batches_nearby")


def embed(latents: pd.DataFrame, split: pd.DataFrame, batches: pd.Series | None, seed: int) -> pd.DataFrame:
    """Place cells on a plane by UMAP of their latents (McInnes et al. 2018), with its defaults.

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
    from umap import UMAP  # seconds to import, and simulated runs have no map

    drawn = np.random.default_rng(seed_from(seed, "cells of the map")).permutation(len(latents))[:MOST_CELLS]
    rows = np.sort(drawn)
    values, n_neighbours = latents.to_numpy(dtype=np.float32)[rows], min(NEIGHBOURS, len(rows) - 1)
    umap = UMAP(n_neighbors=n_neighbours, random_state=seed_of_32_bits(seed), n_jobs=1)
    x, y = umap.fit_transform(values).T
    batch = np.full(len(rows), "") if batches is None else batches.astype(str).to_numpy()[rows]
    table = split.iloc[rows][["cell", "perturbation", "part"]].reset_index(drop=True)
    nearby = batches_nearby(values, batch, n_neighbours)
    return table.assign(batch=batch, x=x, y=y, batches_nearby=nearby)[list(COLUMNS)]


def batches_nearby(latents: np.ndarray, batch: np.ndarray, n_neighbours: int) -> np.ndarray:
    """Inverse Simpson index of the batches among the nearest neighbours of each cell.

    Parameters
    ----------
    latents
        Cells × latents.
    batch
        Batch of each cell.
    n_neighbours
        How many cells are looked at, not counting the cell itself.
    """
    from sklearn.neighbors import NearestNeighbors

    is_neighbour = NearestNeighbors(n_neighbors=n_neighbours).fit(latents).kneighbors_graph()
    shares = (is_neighbour @ pd.get_dummies(batch).to_numpy(dtype=float)) / n_neighbours
    return 1 / (shares**2).sum(axis=1)
