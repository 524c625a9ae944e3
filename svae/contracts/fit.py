"""The fit file: what every method hands back for one setting, in any language.

A fit is an h5ad file without ``X`` whose ``obs_names`` are the cells of the dataset:

=============================== ==================================================================
``obsm["latents"]``             float32, cells × latents, at least one; finite, of size 1e15 at most
``obsm["latent_modes"]``        optional, of the same shape; where the latents of each cell are most probable
                                given its counts and its perturbation, whose shift is 0 if it is held out
``obs["log_likelihood_*"]``     optional, nats; log p(x | perturbation) of held-out cells, NaN elsewhere:
                                ``zero_shot`` (before adaptation), ``same_cells`` (adapted on the scored
                                cells), ``clean`` (adapted on the other half: its own half alone)
``obs["log_likelihood_same_cells_original"]``
                                optional, nats; the same-cells protocol as the released code estimates it, by
                                samples of the encoder's posterior
``obs["elbo"]``                 optional, nats; evidence lower bound of the encoder's posterior after the
                                same-cells protocol, held-out cells
``obs["best_elbo"]``            optional, nats; the same at the cell's own best posterior of that form
``obs["reconstruction"]``       optional, nats; −E[log p(x | z)] under the posterior, held-out cells
``obs["effective_samples"]``    optional; effective sample size of the same-cells estimate, held-out cells
``uns["targets"]``              optional table, perturbation × latent, probability in [0, 1]
``uns["shifts"]``               optional table, perturbation × latent, mean shift; as bounded as the latents
``uns["history"]``              optional table, one row per epoch: epoch, train, validation (nats per cell)
``uns["selection"]``            optional, label-free scores of this setting; higher is better
``uns["run"]``                  status, message, setting, seed, seconds, peak memory, device, versions,
                                fingerprint, time-out
=============================== ==================================================================

A method that could not produce a fit leaves one with a status other than ``ok``. Of such a fit only cells,
run, selection and history are read. A single value may be an array of one.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from svae.contracts.tables import STATUS_COLUMNS
from svae.contracts.values import (
    amount,
    array_of_numbers,
    mapping,
    number,
    refuse_repeated,
    refuse_unbounded,
    table_of_numbers,
    text,
    whole_number,
)
from svae.errors import BenchmarkError, one_line, sentence, unknown
from svae.files import read_anndata, write_anndata
from svae.words import PROTOCOLS, Status

STATUSES = get_args(Status)
LIKELIHOODS = tuple(f"log_likelihood_{protocol}" for protocol in PROTOCOLS)
NEVER_ABOVE_0 = (*LIKELIHOODS, "log_likelihood_same_cells_original", "elbo", "best_elbo")
CELL_COLUMNS = (*NEVER_ABOVE_0, "reconstruction", "effective_samples")
COMPUTED_COLUMNS = (*STATUS_COLUMNS, "udr")  # beside these, the table of statuses holds the scores of fits
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
    empty where it is not known. ``timeout_minutes`` is what a fit that ran out of time was allowed, NaN for
    all others.
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
    timeout_minutes: float = float("nan")


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
    latent_modes: np.ndarray | None = None

    @classmethod
    def failed(cls, cells: pd.Index, status: Status, message: str, **run) -> "Fit":
        """Build a fit that says why there is none."""
        return cls(cells=cells, run=Run(status=status, message=one_line(message), **run))


def write(fit: Fit, path: str | Path) -> None:
    """Validate `fit` and write it to `path` in one piece."""
    import anndata as ad  # here, because it takes a second that users of the column names need not pay

    fit = validate(fit, path)
    adata = ad.AnnData(obs=pd.DataFrame(index=fit.cells.astype(str)))
    if fit.latents is not None:
        adata.obsm["latents"] = fit.latents
    if fit.latent_modes is not None:
        adata.obsm["latent_modes"] = fit.latent_modes
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
    scored = [column for column in CELL_COLUMNS if column in adata.obs]
    fit = Fit(
        cells=adata.obs_names,
        latents=adata.obsm.get("latents"),
        latent_modes=adata.obsm.get("latent_modes"),
        scores=adata.obs[scored] if scored else None,
        targets=adata.uns.get("targets"),
        shifts=adata.uns.get("shifts"),
        history=adata.uns.get("history"),
        selection=adata.uns.get("selection", {}),
        run=_run(adata.uns.get("run"), f'{path}: uns["run"]'),
    )
    return validate(fit, path, cells)


def read_run(path: str | Path) -> Run:
    """Read how the fit at `path` came to be, and nothing else of it."""
    import h5py
    from anndata.io import read_elem

    try:
        with h5py.File(path) as file:
            stored = read_elem(file["uns/run"])
    except Exception as error:
        raise BenchmarkError(f"{path}: not a readable fit file ({sentence(error)})") from error
    return _run(stored, f'{path}: uns["run"]')


def validate(fit: Fit, path: str | Path, cells: pd.Index | None = None) -> Fit:
    """Return `fit` with each part in the type that the contract names, if it keeps the contract.

    Parameters
    ----------
    fit
        What was read, or is to be written; its parts may be of any type.
    path
        Where it stands, for error messages.
    cells
        Cells of the dataset in its order, where known.

    Raises
    ------
    BenchmarkError
        With the first rule that is broken.
    """
    run = _run(vars(fit.run), f'{path}: uns["run"]')
    if cells is not None and not fit.cells.equals(pd.Index(cells)):
        raise BenchmarkError(f"{path}: obs_names are not the cells of the dataset, in its order")
    sound = Fit(
        cells=fit.cells,
        history=_optional(_history, fit.history, f'{path}: uns["history"]'),
        selection=_selection(fit.selection, f'{path}: uns["selection"]'),
        run=run,
    )
    if run.status != "ok":
        return sound
    sound.latents = _latents(fit.latents, len(fit.cells), f'{path}: obsm["latents"]')
    for name in ("targets", "shifts"):
        place = f'{path}: uns["{name}"]'
        setattr(sound, name, _optional(_by_latent, getattr(fit, name), place, sound.latents.shape[1]))
    if sound.targets is not None and not sound.targets.stack().between(0, 1).all():
        raise BenchmarkError(f'{path}: uns["targets"] holds values outside [0, 1]')
    sound.latent_modes = _modes(fit.latent_modes, sound.latents, f'{path}: obsm["latent_modes"]')
    sound.scores = _optional(_scores, fit.scores, f"{path}: obs")
    return sound


def _optional(check: Callable[..., pd.DataFrame], part: Any, *arguments: Any) -> pd.DataFrame | None:
    """Check a part of a fit, if it is there."""
    return None if part is None else check(part, *arguments)


RUN_VALUES: Mapping[str, Callable[[Any, str], Any]] = {
    "status": text,
    "message": text,
    "setting": text,
    "device": text,
    "seed": whole_number,
    "seconds": amount,
    "peak_memory_mb": amount,
    "versions": mapping,
    "fingerprint": text,
    "timeout_minutes": amount,
}
"""What the values of a run have to be."""


def _run(entry: Any, place: str) -> Run:
    if not isinstance(entry, Mapping) or "status" not in entry:
        raise BenchmarkError(f'{place}["status"] is missing, so this is not a fit file')
    found = {
        name: check(entry[name], f'{place}["{name}"]') for name, check in RUN_VALUES.items() if name in entry
    }
    versions = found.get("versions", {})
    found["versions"] = {name: text(versions[name], f'{place}["versions"]["{name}"]') for name in versions}
    if found["status"] not in STATUSES:
        raise unknown("status", found["status"], STATUSES, f'{place}["status"]')
    return Run(**found)


def _selection(entry: Any, place: str) -> dict[str, float]:
    scores = {name: number(value, f'{place}["{name}"]') for name, value in mapping(entry, place).items()}
    for name, value in scores.items():
        if name in COMPUTED_COLUMNS:
            raise BenchmarkError(f'{place}["{name}"]: the benchmark has another column of that name')
        if np.isinf(value):
            raise BenchmarkError(f'{place}["{name}"] is infinite')
        if name == "validation_likelihood" and value > ROUNDING:
            raise BenchmarkError(f'{place}["{name}"] is {value:.3g} nats: above 0, a probability above 1')
    return scores


def _history(table: Any, place: str) -> pd.DataFrame:
    history = table_of_numbers(table, place, "epoch, train and validation")
    for column in ("epoch", "train", "validation"):
        if column not in history:
            found = ", ".join(history.columns) or "none"
            raise BenchmarkError(f"{place}: column '{column}' is missing (columns: {found})")
    refuse_unbounded(history["epoch"], f"{place}, column 'epoch',")
    if (history["epoch"] < 0).any():
        raise BenchmarkError(f"{place}, column 'epoch', holds values below 0")
    return history[["epoch", "train", "validation"]]


def _latents(values: Any, n_cells: int, place: str) -> np.ndarray:
    if values is None:
        raise BenchmarkError(f"{place} is missing though the status is ok")
    latents = array_of_numbers(values, place)
    if latents.ndim != 2 or latents.shape[0] != n_cells or latents.shape[1] == 0:
        raise BenchmarkError(
            f"{place} has shape {latents.shape}, not cells × latents ({n_cells} × 1 or more)"
        )
    refuse_unbounded(latents, place)
    return np.ascontiguousarray(latents, dtype=np.float32)


def _modes(values: Any, latents: np.ndarray, place: str) -> np.ndarray | None:
    if values is None:
        return None
    modes = _latents(values, len(latents), place)
    if modes.shape != latents.shape:
        raise BenchmarkError(f"{place} has shape {modes.shape}, but the latents have {latents.shape}")
    return modes


def _by_latent(table: Any, place: str, n_latents: int) -> pd.DataFrame:
    """Check a table of perturbation × latent."""
    values = table_of_numbers(table, place, "perturbation × latent")
    if values.shape[1] != n_latents:
        raise BenchmarkError(f"{place} has {values.shape[1]} columns for {n_latents} latents")
    values = values.set_axis(values.index.astype(str), axis=0)
    refuse_repeated(values.index, "perturbation", place)
    refuse_unbounded(values, place)
    return values


def _scores(table: Any, place: str) -> pd.DataFrame:
    scores = table_of_numbers(table, place, "cell × score")
    for column in scores:
        if pd.api.types.is_bool_dtype(table[column]):
            raise BenchmarkError(f'{place}["{column}"] holds yes and no, not numbers')
    problem = impossible_scores(scores)
    if problem:
        raise BenchmarkError(f"{place.removesuffix('obs')}{problem}")
    return scores


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
        if column in NEVER_ABOVE_0 and values.gt(ROUNDING).any():
            return f'obs["{column}"] is up to {values.max():.3g} nats: above 0, a probability above 1'
        if column == "reconstruction" and values.lt(-ROUNDING).any():
            return f'obs["{column}"] is down to {values.min():.3g} nats: below 0, a probability above 1'
        if column == "effective_samples" and values.lt(1 - ROUNDING).any():
            return f'obs["{column}"] is down to {values.min():.3g}, but at least one sample is effective'
    return None
