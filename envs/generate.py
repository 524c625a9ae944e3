"""Write the conda environments of the rules from requirements.lock (`make envs`).

Each holds the packages named here and all that they need, at the versions of the lock.
"""

import re
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement

ENVS = Path(__file__).parent
LOCK = ENVS.parent / "requirements.lock"
ROOTS = {
    "analysis": [
        "anndata",
        "fsspec",
        "gseapy",
        "h5py",
        "jinja2",
        "matplotlib",
        "pydantic",
        "pyyaml",
        "requests",
        "scanpy",
        "scikit-learn",
        "scikit-misc",
        "seaborn",
        "statsmodels",
        "tabulate",
        "tqdm",
        "umap-learn",
        "urllib3",
    ],
    "models": ["anndata", "scikit-learn", "scvi-tools", "torch"],
}


def canonical(name: str) -> str:
    """Return the one spelling of a package name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock() -> dict[str, str]:
    """Return the version of each package in the lock."""
    pins = (line.split("==") for line in LOCK.read_text(encoding="utf-8").split())
    return {canonical(name): version for name, version in pins}


def closure(roots: list[str], lock: dict[str, str]) -> list[str]:
    """Packages of the lock that `roots` need, themselves included."""
    needed: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = canonical(waiting.pop())
        if name in needed or name not in lock:
            continue
        needed.add(name)
        try:
            found = [Requirement(text) for text in requires(name) or []]
        except PackageNotFoundError:
            continue
        waiting += [need.name for need in found if need.marker is None or need.marker.evaluate({"extra": ""})]
    return sorted(needed)


def environment(name: str) -> str:
    """Return the text of one conda environment file."""
    lock = read_lock()
    pins = "".join(f"      - {package}=={lock[package]}\n" for package in closure(ROOTS[name], lock))
    return (
        f"# Generated from requirements.lock by `make envs`; do not edit.\nname: svae-{name}\n"
        "channels:\n  - conda-forge\n  - nodefaults\n"
        f"dependencies:\n  - python=3.11\n  - pip\n  - pip:\n{pins}"
    )


if __name__ == "__main__":
    for name in ROOTS:
        (ENVS / f"{name}.yaml").write_text(environment(name), encoding="utf-8")
