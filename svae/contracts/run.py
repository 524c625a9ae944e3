"""How a fit came to be: what its file says in ``uns["run"]``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any, get_args

from svae.contracts.values import amount, mapping, text, whole_number
from svae.errors import BenchmarkError, unknown
from svae.words import Status

STATUSES = get_args(Status)


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


def checked_run(entry: Any, place: str) -> Run:
    """Return what was found in ``uns["run"]`` as a :class:`Run`, if it is one; `place` is file and key."""
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
