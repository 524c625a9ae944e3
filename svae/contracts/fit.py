"""The fit file: what every method hands back for one setting, in any language.

A fit is an h5ad file without ``X`` whose ``obs_names`` are the cells of the dataset:

=============================== ==================================================================
``obsm["latents"]``             float32, cells × latents; finite
``obs["log_likelihood_*"]``     optional, nats; log p(x | perturbation) of held-out cells, NaN elsewhere:
                                ``zero_shot`` (before adaptation), ``same_cells`` (adapted on the scored
                                cells), ``clean`` (adapted on the other half)
``obs["reconstruction"]``       optional, nats; −E[log p(x | z)] under the posterior, held-out cells
``obs["effective_samples"]``    optional; effective sample size of the same-cells estimate, held-out cells
``uns["targets"]``              optional table, perturbation × latent, probability in [0, 1]
``uns["shifts"]``               optional table, perturbation × latent, mean shift
``uns["history"]``              optional table, one row per epoch: epoch, train, validation (nats per cell)
``uns["selection"]``            label-free scores of this setting; higher is better
``uns["run"]``                  status, message, setting, seed, seconds, peak memory, device, versions,
                                fingerprint
=============================== ==================================================================

A method that could not produce a fit leaves one with a status other than ``ok`` and no latents.
"""

from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from svae.errors import BenchmarkError, unknown
from svae.files import read_anndata, write_anndata
from svae.words import PROTOCOLS, Status

STATUSES = get_args(Status)
LIKELIHOODS = tuple(f"log_likelihood_{protocol}" for protocol in PROTOCOLS)
CELL_COLUMNS = (*LIKELIHOODS, "reconstruction", "effective_samples")
ROUNDING = 0.01  # nats by which single precision may miss a probability of 1


def library_versions() -> dict[str, str]:
    """Versions of what computes; an environment without torch has none of it to tell."""
    found = {name: find_spec(name) for name in ("anndata", "numpy", "scvi", "torch")}
    packages = [name.replace("scvi", "scvi-tools") for name, spec in found.items() if spec is not None]
    return {package: version(package) for package in packages}


@dataclass
class Run:
    """How a fit came to be.

    ``seconds`` and ``peak_memory_mb`` are those of the job that trained this setting; settings that
    were trained together share them equally. ``fingerprint`` is a hash of all that the numbers follow from,
    empty where it is not known.
    """

    status: Status = "ok"
    message: str = ""
    setting: str = "default"
    seed: int = 0
    seconds: float = float("nan")
    peak_memory_mb: float = float("nan")
    device: str = "cpu"
    versions: dict[str, str] = field(default_factory=library_versions)
    fingerprint: str = ""


@dataclass
class Fit:
    """One method's answer for one setting; see the module's table for shapes and units."""

    cells: pd.Index
    latents: np.ndarray | None = None
    scores: pd.DataFrame | None = None
    targets: pd.DataFrame | None = None
    shifts: pd.DataFrame | None = None
    history: pd.DataFrame | None = None
    selection: dict[str, float] = field(default_factory=dict)
    run: Run = field(default_factory=Run)

    @classmethod
    def failed(cls, cells: pd.Index, status: Status, message: str, **run) -> "Fit":
        """Build a fit that says why there is none."""
        return cls(cells=cells, run=Run(status=status, message=message, **run))


def write(fit: Fit, path: str | Path) -> None:
    """Validate `fit` and write it to `path` in one piece."""
    import anndata as ad  # here, because it takes a second that users of the column names need not pay

    validate(fit, path)
    adata = ad.AnnData(obs=pd.DataFrame(index=fit.cells.astype(str)))
    if fit.latents is not None:
        adata.obsm["latents"] = np.ascontiguousarray(fit.latents, dtype=np.float32)
    if fit.scores is not None:
        adata.obs[list(fit.scores.columns)] = fit.scores.to_numpy()
    for name in ("targets", "shifts", "history"):
        table = getattr(fit, name)
        if table is not None:
            adata.uns[name] = table
    adata.uns["selection"] = dict(fit.selection)
    adata.uns["run"] = asdict(fit.run)
    write_anndata(adata, path)


def read(path: str | Path, cells: pd.Index | None = None) -> Fit:
    """Read and validate the fit at `path`; `cells`, where given, are those of its dataset."""
    adata = read_anndata(path)
    if "run" not in adata.uns or "status" not in adata.uns["run"]:
        raise BenchmarkError(f'{path}: uns["run"]["status"] is missing, so this is not a fit file')
    known = {name: adata.uns["run"][name] for name in Run.__dataclass_fields__ if name in adata.uns["run"]}
    scored = [column for column in CELL_COLUMNS if column in adata.obs]
    fit = Fit(
        cells=adata.obs_names,
        latents=np.asarray(adata.obsm["latents"]) if "latents" in adata.obsm else None,
        scores=adata.obs[scored] if scored else None,
        targets=adata.uns.get("targets"),
        shifts=adata.uns.get("shifts"),
        history=adata.uns.get("history"),
        selection={name: float(value) for name, value in adata.uns.get("selection", {}).items()},
        run=Run(**({"versions": {}} | known)),
    )
    validate(fit, path, cells)
    return fit


def read_run(path: str | Path) -> Run:
    """Read how the fit at `path` came to be, and nothing else of it."""
    import h5py
    from anndata.io import read_elem

    try:
        with h5py.File(path) as file:
            stored = read_elem(file["uns/run"])
    except Exception as error:
        raise BenchmarkError(f"{path}: not a readable fit file ({type(error).__name__})") from error
    return Run(**{name: stored[name] for name in Run.__dataclass_fields__ if name in stored})


def validate(fit: Fit, path: str | Path, cells: pd.Index | None = None) -> None:
    """Raise a :class:`BenchmarkError` that names `path` and the first broken rule of the contract."""
    if fit.run.status not in STATUSES:
        raise unknown("status", fit.run.status, STATUSES, f'{path}: uns["run"]["status"]')
    if cells is not None and not fit.cells.equals(pd.Index(cells)):
        raise BenchmarkError(f"{path}: obs_names are not the cells of the dataset, in its order")
    if fit.run.status != "ok":
        return
    if fit.latents is None:
        raise BenchmarkError(f'{path}: obsm["latents"] is missing though the status is ok')
    if fit.latents.ndim != 2 or fit.latents.shape[0] != len(fit.cells):
        raise BenchmarkError(f'{path}: obsm["latents"] has shape {fit.latents.shape}, not cells × latents')
    if not np.isfinite(fit.latents).all():
        raise BenchmarkError(f'{path}: obsm["latents"] holds NaN or infinite values')
    for name in ("targets", "shifts"):
        table = getattr(fit, name)
        if table is None:
            continue
        if not isinstance(table, pd.DataFrame):
            raise BenchmarkError(f'{path}: uns["{name}"] is not a table of perturbation × latent')
        if table.shape[1] != fit.latents.shape[1]:
            raise BenchmarkError(
                f'{path}: uns["{name}"] has {table.shape[1]} columns for {fit.latents.shape[1]} latents'
            )
        if not np.isfinite(table.to_numpy()).all():
            raise BenchmarkError(f'{path}: uns["{name}"] holds NaN or infinite values')
    if fit.targets is not None and ((fit.targets < 0) | (fit.targets > 1)).to_numpy().any():
        raise BenchmarkError(f'{path}: uns["targets"] holds values outside [0, 1]')
    if fit.scores is not None:
        problem = impossible_scores(fit.scores)
        if problem:
            raise BenchmarkError(f"{path}: {problem}")


def impossible_scores(scores: pd.DataFrame) -> str | None:
    """Say what no density of counts can give; None if the scores are possible.

    Parameters
    ----------
    scores
        Cells × some of :data:`CELL_COLUMNS`; NaN where a cell was not scored. Counts have probabilities, so
        neither their log-likelihood nor −E[log p(x | z)] of any cell has the sign of a probability above 1.
    """
    for column in scores.columns:
        values = scores[column].dropna()
        if np.isinf(values).any():
            return f'obs["{column}"] holds infinite values'
        if column in LIKELIHOODS and values.gt(ROUNDING).any():
            return f'obs["{column}"] is up to {values.max():.3g} nats: above 0, a probability above 1'
        if column == "reconstruction" and values.lt(-ROUNDING).any():
            return f'obs["{column}"] is down to {values.min():.3g} nats: below 0, a probability above 1'
    return None
