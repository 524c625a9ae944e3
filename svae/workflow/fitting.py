"""Fit the settings of a job, except for those whose fit is there already.

A job fits all settings of a method on one replicate. Snakemake runs it again as a whole, be it for one
setting that was added to the grid. Its outputs are flagged with ``update``, so that the fits of an earlier
run are still there when it starts. Each fit holds a fingerprint of all that its numbers follow from. A fit
that ended well and has the fingerprint of a setting is kept as it is, and only the others are made.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import anndata as ad
import pandas as pd

from svae.contracts import fit as fits
from svae.contracts import made
from svae.contracts.dataset import read_dataset
from svae.contracts.fit import Fit
from svae.contracts.run import library_versions
from svae.contracts.setting import Setting
from svae.contracts.split import read_split
from svae.errors import BenchmarkError
from svae.files import checksum
from svae.words import ENDED_WELL
from svae.workflow.guard import guarded

logger = logging.getLogger(__name__)

CHANGE_NO_NUMBER = ("settings", "timeout_minutes", "accelerator", "fleet_size", "keep_models")
"""Parameters of rules that no fingerprint holds: limits, devices, and the settings, which have one each."""


class Order(NamedTuple):
    """A setting to fit, where its fit has to be, and the fingerprint of that fit."""

    setting: Setting
    path: str
    fingerprint: str


def fit_each(job: Any, fit: Callable[[ad.AnnData, pd.DataFrame, Setting], Fit]) -> None:
    """Make the fits that a job owes and that are not there yet, one after the other.

    Parameters
    ----------
    job
        As for :func:`make_fits`; its rule also has the inputs ``dataset`` and ``split``.
    fit
        Takes the dataset, the split and a setting, and returns a fit. It runs in a child process, so import
        heavy libraries inside of it.
    """
    dataset = read_dataset(job.input.dataset)

    def fit_all(settings: Sequence[Setting]) -> Iterable[Fit]:
        split = read_split(job.input.split, dataset.obs["perturbation"])
        for setting in settings:
            yield fit(dataset, split, setting)

    make_fits(job, dataset.obs_names, fit_all)


def make_fits(job: Any, cells: pd.Index, fit_all: Callable[[Sequence[Setting]], Iterable[Fit]]) -> None:
    """Make the fits that a job owes and that are not there yet.

    Parameters
    ----------
    job
        The object `snakemake` of a script. Its rule has the parameters ``settings`` and ``timeout_minutes``,
        one output per setting, flagged with ``update``, and as inputs all that it reads, code included.
    cells
        Cells of the dataset, in order.
    fit_all
        Takes settings, and returns or yields one fit for each, in their order. It runs in a child process, so
        import heavy libraries inside of it. It is not called if all fits are there.
    """
    orders = orders_of(job)
    known = {path: fingerprint_in(path) for path in _fits_beside(orders)}
    missing = [order for order in orders if not _is_there(order, known, cells)]
    if not missing:
        return

    def work() -> None:
        if dict(job.params.items()).get("accelerator") == "cuda":
            _require_gpu()
        settings = [order.setting for order in missing]
        for order, fit in zip(missing, fit_all(settings), strict=True):
            try:
                # With its fingerprint, so that it is known again even if the guard is killed.
                fits.write(replace(fit, run=replace(fit.run, fingerprint=order.fingerprint)), order.path)
            except BenchmarkError as error:  # the fits of the settings that follow are still to be written
                fits.write(Fit.missing(cells, order.setting, "failed", str(error)), order.path)

    guarded(
        work,
        [order.path for order in missing],
        [order.setting.name for order in missing],
        cells,
        job.params.timeout_minutes,
        [order.fingerprint for order in missing],
    )


def model_folders(job: Any) -> dict[str, Path]:
    """Folder beside the fit of each setting to save its model in, by name; empty if none is kept.

    `job` is the object `snakemake` of a script whose rule has the parameter ``keep_models``.
    """
    if not job.params.keep_models:
        return {}
    names = [setting["name"] for setting in job.params.settings]
    return {name: fits.model_beside(path) for name, path in zip(names, job.output, strict=True)}


def _require_gpu() -> None:
    """Raise if there is no GPU, before anything else is loaded: a job that asked for one trains on no CPU."""
    import torch

    if not torch.cuda.is_available():
        raise BenchmarkError("accelerator: a GPU was asked for, but torch sees none")


def orders_of(job: Any) -> list[Order]:
    """List what a job is to fit; `job` is the object `snakemake` of its script."""
    settings = [Setting(**setting) for setting in job.params.settings]
    common = {
        "inputs": {path: checksum(path) for path in map(str, job.input)},
        "params": {name: value for name, value in job.params.items() if name not in CHANGE_NO_NUMBER},
        "versions": library_versions(),
    }
    return [
        Order(setting, str(path), fingerprint(setting, common))
        for setting, path in zip(settings, job.output, strict=True)
    ]


def fingerprint(setting: Setting, common: dict[str, Any]) -> str:
    """Hash what the numbers of a fit follow from, whatever the order of keys.

    Parameters
    ----------
    setting
        Its options and its seed count. Its name does not: it changes when a setting gets restarts.
    common
        What all settings of the job share: checksums of inputs, parameters, versions of libraries.
    """
    parts = {**common, "options": dict(setting.options), "seed": setting.seed}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def fingerprint_in(path: str | Path) -> str:
    """Return the fingerprint of the fit at `path`; empty if there is none that ended well."""
    try:
        run = fits.read_run(path)
    except BenchmarkError:
        return ""
    return run.fingerprint if run.status in ENDED_WELL else ""


def _fits_beside(orders: Iterable[Order]) -> list[Path]:
    """All fits in the folders of some orders, those of settings under other names included."""
    folders = {Path(order.path).parent for order in orders}
    return [path for folder in sorted(folders) for path in sorted(folder.glob("*.h5ad"))]


def _is_there(order: Order, known: Mapping[Path, str], cells: pd.Index) -> bool:
    """Look for a fit with the fingerprint of an order, first where it has to be; tell whether one is good."""
    own = Path(order.path)
    same = [path for path, fingerprint in known.items() if fingerprint == order.fingerprint]
    first = [own] if own in same else []
    return any(_reuse(order, path, cells) for path in dict.fromkeys([*first, *same]))


def _reuse(order: Order, path: Path, cells: pd.Index) -> bool:
    """Put the fit at `path` where it has to be, if it is a valid one; tell whether it is."""
    try:
        made.refuse_changed(path)
        fit = fits.read(path, cells)
    except BenchmarkError as error:
        logger.warning("%s: not reused: %s", order.setting.name, error)
        return False
    logger.info("%s: reused, nothing that its numbers follow from has changed", order.setting.name)
    if path != Path(order.path):
        fits.write(replace(fit, run=replace(fit.run, setting=order.setting.name)), order.path)
        if fits.model_beside(path).is_dir():
            shutil.copytree(fits.model_beside(path), fits.model_beside(order.path), dirs_exist_ok=True)
    [making] = made.makings_of([path])
    made.write_down([order.path], making)
    return True
