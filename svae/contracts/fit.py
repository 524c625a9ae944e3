"""The fit file: what every method hands back for one setting, in any language.

A fit is an h5ad file without ``X`` whose ``obs_names`` are the cells of the dataset:

=============================== ==================================================================
``obsm["latents"]``             optional where there are predictions; float32, cells × latents, at least one;
                                finite, of size 1e15 at most
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
``uns["shifts"]``               optional table, perturbation × latent, mean shift; as bounded as the latents.
                                Those of held-out perturbations are adapted to their part ``adapt``
``uns["predictions"]``          optional; by basis, expected *profiles* of held-out perturbations,
                                log1p(10,000 · share of the gene in all expected counts): finite, not below 0.
                                The basis is what the method saw of the perturbation: ``zero_shot`` (nothing),
                                ``adapted`` (its cells of part ``adapt``), ``combination`` (its parts alone).
                                Genes (the dataset's, in order) are rows and perturbations columns, as HDF5
                                stores every column on its own; :class:`Fit` has perturbation × gene
``uns["generated"]``            optional; by basis of the predictions, cells as the method draws them:
                                ``counts``, cells × genes (dense or CSR, not below 0), and ``perturbation``,
                                a text per cell. Of each predicted perturbation there are 1 to 100 cells
``uns["differential"]``         optional; which genes a perturbation moves, against the control: tables
                                ``probability`` (that the log2 fold change of the gene is larger than 0.25, up
                                or down; in [0, 1]) and ``log2_fold_change`` (its posterior median); genes are
                                rows and perturbations columns, as in predictions
``uns["latent_genes"]``         optional; which genes a latent moves if it grows by 1 in every cell: tables as
                                those of ``differential``, with one column per latent, in the order of
                                ``latents``
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
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from svae.contracts.fit_parts import (
    CELL_COLUMNS,
    checked_by_latent,
    checked_differential,
    checked_history,
    checked_latent_genes,
    checked_latents,
    checked_modes,
    checked_predictions,
    checked_scores,
    checked_selection,
)
from svae.contracts.generated import GeneratedCells, checked_generated
from svae.contracts.run import Run, checked_run
from svae.contracts.setting import Setting
from svae.errors import BenchmarkError, one_line
from svae.files import read_anndata, read_element, write_anndata
from svae.words import Basis, Status

Part = TypeVar("Part")

BY_GENE = ("predictions", "differential", "latent_genes")
"""Parts that are tables of perturbation, or latent, × gene, by name; in the file, genes are rows."""


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
    predictions: Mapping[Basis, pd.DataFrame] | None = None
    generated: Mapping[Basis, GeneratedCells] | None = None
    differential: Mapping[str, pd.DataFrame] | None = None
    latent_genes: Mapping[str, pd.DataFrame] | None = None

    @classmethod
    def failed(cls, cells: pd.Index, status: Status, message: str, **run) -> "Fit":
        """Build a fit that says why there is none."""
        return cls(cells=cells, run=Run(status=status, message=one_line(message), **run))

    @classmethod
    def missing(cls, cells: pd.Index, setting: Setting, status: Status, message: str) -> "Fit":
        """Build a fit that says why a method has none with this setting."""
        return cls.failed(cells, status, message, setting=setting.name, seed=setting.seed)


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
    for name in BY_GENE:
        tables = getattr(fit, name)
        if tables:
            adata.uns[name] = {key: table.T for key, table in tables.items()}
    if fit.generated:
        adata.uns["generated"] = {basis: vars(cells) for basis, cells in fit.generated.items()}
    adata.uns["selection"] = dict(fit.selection)
    adata.uns["run"] = asdict(fit.run)
    write_anndata(adata, path)


def read(path: str | Path, cells: pd.Index | None = None, genes: pd.Index | None = None) -> Fit:
    """Read and validate the fit at `path`; `cells` and `genes`, where given, are those of its dataset."""
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
        **{name: _by_perturbation(adata.uns.get(name)) for name in BY_GENE},
        generated=adata.uns.get("generated"),
        run=checked_run(adata.uns.get("run"), f'{path}: uns["run"]'),
    )
    return validate(fit, path, cells, genes)


def _by_perturbation(tables: Any) -> Any:
    """Turn tables of genes × perturbations; what is something else is left for :func:`validate` to refuse."""
    if not isinstance(tables, Mapping):
        return tables
    return {name: table.T if isinstance(table, pd.DataFrame) else table for name, table in tables.items()}


def model_beside(path: str | Path) -> Path:
    """Folder of the trained model that made the fit at `path`, which is there if models are kept."""
    return Path(path).with_suffix(".model")


def read_run(path: str | Path) -> Run:
    """Read how the fit at `path` came to be, and nothing else of it."""
    return checked_run(read_element(path, "uns/run"), f'{path}: uns["run"]')


def validate(fit: Fit, path: str | Path, cells: pd.Index | None = None, genes: pd.Index | None = None) -> Fit:
    """Return `fit` with each part in the type that the contract names, if it keeps the contract.

    Parameters
    ----------
    fit
        What was read, or is to be written; its parts may be of any type.
    path
        Where it stands, for error messages.
    cells, genes
        Cells and genes of the dataset in its order, where known.

    Raises
    ------
    BenchmarkError
        With the first rule that is broken.
    """
    run = checked_run(vars(fit.run), f'{path}: uns["run"]')
    if cells is not None and not fit.cells.equals(pd.Index(cells)):
        raise BenchmarkError(f"{path}: obs_names are not the cells of the dataset, in its order")
    sound = Fit(
        cells=fit.cells,
        history=_optional(checked_history, fit.history, f'{path}: uns["history"]'),
        selection=checked_selection(fit.selection, f'{path}: uns["selection"]'),
        run=run,
    )
    if run.status != "ok":
        return sound
    sound.predictions = _optional(checked_predictions, fit.predictions, f'{path}: uns["predictions"]', genes)
    sound.differential = _optional(
        checked_differential, fit.differential, f'{path}: uns["differential"]', genes
    )
    if fit.latents is None and not sound.predictions:
        raise BenchmarkError(
            f'{path}: obsm["latents"] and uns["predictions"] are both missing though the status is ok'
        )
    sound.latents = _optional(checked_latents, fit.latents, len(fit.cells), f'{path}: obsm["latents"]')
    sound.generated = _optional(
        checked_generated, fit.generated, f'{path}: uns["generated"]', sound.predictions
    )
    n_latents = 0 if sound.latents is None else sound.latents.shape[1]
    for name in ("targets", "shifts"):
        place = f'{path}: uns["{name}"]'
        setattr(sound, name, _optional(checked_by_latent, getattr(fit, name), place, n_latents))
    sound.latent_genes = _optional(
        checked_latent_genes, fit.latent_genes, f'{path}: uns["latent_genes"]', n_latents, genes
    )
    if sound.targets is not None and not sound.targets.stack().between(0, 1).all():
        raise BenchmarkError(f'{path}: uns["targets"] holds values outside [0, 1]')
    sound.latent_modes = _optional(
        checked_modes, fit.latent_modes, sound.latents, f'{path}: obsm["latent_modes"]'
    )
    sound.scores = _optional(checked_scores, fit.scores, f"{path}: obs")
    return sound


def _optional(check: Callable[..., Part], part: Any, *arguments: Any) -> Part | None:
    """Check a part of a fit, if it is there."""
    return None if part is None else check(part, *arguments)
