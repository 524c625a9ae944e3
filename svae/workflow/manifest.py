"""The manifest of a run: what its results came from, on which machines, and what they cost."""

import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

import svae
from svae.contracts import made
from svae.errors import BenchmarkError
from svae.files import checksum, read_element
from svae.workflow.arithmetic import arithmetic
from svae.workflow.scope import Scope

MACHINE = ["host", "processor", "threads", "device", "gpu", "driver", "versions"]
"""What the machines of fits are told apart by."""


def manifest(
    scope: Scope,
    view: Mapping[str, str],
    status: pd.DataFrame,
    datasets: Iterable[str],
    lock: str | Path,
    root: str | Path,
) -> dict[str, Any]:
    """Collect what a reader needs to know where results came from.

    Parameters
    ----------
    scope
        What was run.
    view
        The selection rule whose choices figures show, and the method that others are tested against.
    status
        The table of statuses; beside each fit that it names is written down how that was made.
    datasets
        Files of the prepared or simulated datasets, all replicates.
    lock
        File of the pinned packages, ``name==version``.
    root
        Folder of the repository.

    Returns
    -------
    What JSON can hold: ``code``, ``python``, ``packages``, ``arithmetic`` (what is fixed on GPUs), ``scope``,
    ``view``, ``seeds``, ``datasets``, ``fits``, ``machines`` (one row for each kind of machine that made
    fits), ``started`` and ``ended`` (of the fits, UTC), and ``cost`` in hours.
    """
    making = _makings(status)
    return {
        "code": {"version": svae.__version__, **_commit(root)},
        "python": platform.python_version(),
        "packages": _packages(lock),
        "arithmetic": arithmetic(),
        "scope": scope.model_dump(mode="json", by_alias=True),
        "view": dict(view),
        "seeds": _seeds(scope),
        "datasets": [_dataset(path) for path in datasets],
        "fits": {name: int(n) for name, n in status["status"].value_counts().items()},
        "machines": _machines(making),
        "started": min(making["started"][making["started"] != ""], default=""),
        "ended": max(making["ended"], default=""),
        "cost": _cost(making),
    }


def _commit(root: str | Path) -> dict[str, Any]:
    """Commit of the repository and whether tracked files differ from it; none outside of a git checkout."""
    try:
        top = _git(root, "rev-parse", "--show-toplevel")
        if not Path(top).samefile(root):
            return {"commit": None, "changed": None}
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
        return {"commit": _git(root, "rev-parse", "HEAD"), "changed": changed.splitlines()}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "changed": None}


def _git(root: str | Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _packages(lock: str | Path) -> dict[str, str]:
    """Versions that are installed of the packages in the lock; those that are not installed are left out."""
    found = {}
    for name in re.findall(r"^([\w.-]+)==", Path(lock).read_text(encoding="utf-8"), re.MULTILINE):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _seeds(scope: Scope) -> dict[str, Any]:
    """Seeds of data and splits by name; those of fits are in the table of statuses."""
    return {
        "scope": scope.seed,
        "simulated": {
            name: [scope.data_seed(name, replicate) for replicate in range(scope.replicates)]
            for name in scope.simulated
        },
        "prepared": {name: scope.preparation_seed(name) for name in scope.real},
        "splits": {
            f"{dataset}/{split}": [
                scope.split_seed(dataset, split, replicate) for replicate in range(scope.replicates)
            ]
            for dataset, split in dict.fromkeys((job.dataset, job.split) for job in scope.jobs)
        },
    }


def _dataset(path: str) -> dict[str, Any]:
    """Checksum of a dataset's file, and what it says of its source, the checksum of a published one too."""
    try:
        source = read_element(path, "uns/dataset")
    except BenchmarkError:
        source = {}
    told = {f"source {name}" if name == "sha256" else name: str(value) for name, value in source.items()}
    return {"file": path, "sha256": checksum(path), "bytes": Path(path).stat().st_size} | told


def _makings(status: pd.DataFrame) -> pd.DataFrame:
    """Facts of how each fit was made, with its device and seconds; a cost that is not known is 0."""
    table = pd.DataFrame(map(asdict, made.makings_of(status["fit"])), columns=list(made.COLUMNS[2:]))
    table["device"] = status["device"].fillna("").to_numpy()
    table["seconds"] = status["seconds"].fillna(0).to_numpy()
    table["cpu_seconds"] = pd.to_numeric(table["cpu_seconds"], errors="coerce").fillna(0)
    table["gpu_seconds"] = table["seconds"].where(table["device"].str.startswith("cuda"), 0)
    return table


def _machines(making: pd.DataFrame) -> list[dict[str, Any]]:
    """Count the fits of each kind of machine, with what they cost there."""
    return [
        dict(zip(MACHINE, key, strict=True)) | {"fits": len(fits), **_cost(fits)}
        for key, fits in making.groupby(MACHINE, sort=True)
    ]


def _cost(making: pd.DataFrame) -> dict[str, float]:
    """Hours of processor, of GPU, and of waiting for fits one after the other."""
    columns = {"cpu_hours": "cpu_seconds", "gpu_hours": "gpu_seconds", "hours": "seconds"}
    return {name: round(float(making[column].sum()) / 3600, 6) for name, column in columns.items()}
