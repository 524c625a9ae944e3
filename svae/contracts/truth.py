"""The truth file: what only a simulator knows. Only evaluation and the oracle may read it.

It is an h5ad file without ``X`` whose ``obs_names`` are the cells of the dataset:

====================== ===========================================================================
``obsm["latents"]``    float32, cells × latents; finite, of size 1e15 at most
``uns["targets"]``     table, perturbation × latent: 1 where the perturbation acts on the latent, else 0
``uns["shifts"]``      table, perturbation × latent: shift of the mean of the latent; bounded as latents are
``uns["likelihood"]``  optional; what the simulator needs to score cells, and under ``simulator`` its name
``obs``                optional; what else the simulator knows of the cells
====================== ===========================================================================

The simulator itself checks its part of ``uns["likelihood"]`` and ``obs`` when it scores cells.
"""

from pathlib import Path

import anndata as ad
import pandas as pd

from svae.contracts.fit_parts import checked_by_latent
from svae.contracts.values import array_of_numbers, mapping, refuse_unbounded
from svae.errors import BenchmarkError
from svae.files import read_anndata, write_anndata


def write_truth(truth: ad.AnnData, path: str | Path) -> None:
    """Validate `truth` and write it to `path` in one piece; see :func:`validate_truth` for errors."""
    validate_truth(truth, path)
    write_anndata(truth, path)


def read_truth(path: str | Path, cells: pd.Index | None = None) -> ad.AnnData:
    """Read and validate the truth at `path`; `cells`, where given, are those of its dataset.

    Raises
    ------
    BenchmarkError
        If there is no such file, or it is no truth of these cells.
    """
    truth = read_anndata(path)
    validate_truth(truth, path, cells)
    return truth


def validate_truth(truth: ad.AnnData, path: str | Path, cells: pd.Index | None = None) -> None:
    """Check `truth` against the contract of a truth file.

    Parameters
    ----------
    truth
        What to check.
    path
        Where it stands, for error messages.
    cells
        Cells of the dataset in its order, where known.

    Raises
    ------
    BenchmarkError
        With the first rule that is broken.
    """
    if "latents" not in truth.obsm:
        raise BenchmarkError(f'{path}: obsm["latents"] is missing, so this is not a truth file')
    for key in ("targets", "shifts"):
        if key not in truth.uns:
            raise BenchmarkError(f'{path}: uns["{key}"] is missing, so this is not a truth file')
    if cells is not None and not truth.obs_names.equals(pd.Index(cells)):
        raise BenchmarkError(f"{path}: obs_names are not the cells of the dataset, in its order")
    latents = array_of_numbers(truth.obsm["latents"], f'{path}: obsm["latents"]')
    if latents.ndim != 2 or latents.shape[1] == 0:
        raise BenchmarkError(f'{path}: obsm["latents"] has shape {latents.shape}, not cells × latents')
    refuse_unbounded(latents, f'{path}: obsm["latents"]')
    targets, shifts = (
        checked_by_latent(truth.uns[key], f'{path}: uns["{key}"]', latents.shape[1])
        for key in ("targets", "shifts")
    )
    if not targets.index.equals(shifts.index):
        raise BenchmarkError(f'{path}: uns["targets"] and uns["shifts"] name different perturbations')
    if not targets.isin([0, 1]).to_numpy().all():
        raise BenchmarkError(f'{path}: uns["targets"] holds values other than 0 and 1')
    if "likelihood" in truth.uns:
        place = f'{path}: uns["likelihood"]'
        if "simulator" not in mapping(truth.uns["likelihood"], place):
            raise BenchmarkError(f'{place}["simulator"] is missing')
