"""The truth file: what only a simulator knows, an input of evaluation and of the oracle alone."""

from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from svae.errors import BenchmarkError
from svae.files import read_anndata, write_anndata
from svae.simulation.simulate import Generator


def write_truth(truth: ad.AnnData, path: str | Path) -> None:
    """Validate `truth` and write it to `path` in one piece."""
    validate_truth(truth, path)
    write_anndata(truth, path)


def read_truth(path: str | Path, cells: pd.Index | None = None) -> ad.AnnData:
    """Read and validate the truth at `path`; `cells`, where given, are those of its dataset."""
    truth = read_anndata(path)
    validate_truth(truth, path, cells)
    return truth


def validate_truth(truth: ad.AnnData, path: str | Path, cells: pd.Index | None = None) -> None:
    """Raise a :class:`BenchmarkError` that names `path` and the first broken rule of a truth file."""
    if "latents" not in truth.obsm:
        raise BenchmarkError(f'{path}: obsm["latents"] is missing, so this is not a truth file')
    for key in ("targets", "shifts", "generator"):
        if key not in truth.uns:
            raise BenchmarkError(f'{path}: uns["{key}"] is missing, so this is not a truth file')
    if cells is not None and not truth.obs_names.equals(pd.Index(cells)):
        raise BenchmarkError(f"{path}: obs_names are not the cells of the dataset, in its order")
    latents = truth.obsm["latents"]
    if not np.isfinite(latents).all():
        raise BenchmarkError(f'{path}: obsm["latents"] holds NaN or infinite values')
    targets, shifts = truth.uns["targets"], truth.uns["shifts"]
    for key, table in (("targets", targets), ("shifts", shifts)):
        if not isinstance(table, pd.DataFrame) or table.shape[1] != latents.shape[1]:
            raise BenchmarkError(
                f'{path}: uns["{key}"] is not a table of perturbation × {latents.shape[1]} latents'
            )
    if not targets.index.equals(shifts.index):
        raise BenchmarkError(f'{path}: uns["targets"] and uns["shifts"] name different perturbations')
    if not targets.isin([0, 1]).to_numpy().all():
        raise BenchmarkError(f'{path}: uns["targets"] holds values other than 0 and 1')
    try:
        generator = Generator.from_dict(truth.uns["generator"])
    except BenchmarkError as error:
        raise BenchmarkError(f"{path}: {error}") from error
    if generator.latents != latents.shape[1]:
        raise BenchmarkError(
            f'{path}: uns["generator"] takes {generator.latents} latents, '
            f'obsm["latents"] has {latents.shape[1]}'
        )
