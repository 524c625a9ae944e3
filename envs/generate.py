"""Write conda environments of the rules, and the recipe of a container, from requirements.lock (`make envs`).

An environment holds the packages named here and all that they need, at the versions of the lock. The
container holds the whole lock.
"""

import re
import tomllib
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from svae import __version__

ENVS = Path(__file__).parent
LOCK = ENVS.parent / "requirements.lock"
PROJECT = tomllib.loads((ENVS.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOTE = "# Generated from requirements.lock by `make envs`; do not edit."
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

RECIPE = """\
{note}
# A container of the environment, in which a checkout of the benchmark is run (docs/cluster.md):
# apptainer build svae.sif envs/container.def

Bootstrap: docker
From: python:{python}-trixie

%files
    requirements.lock /opt/svae/requirements.lock

%post
    python -m venv /opt/svae
    /opt/svae/bin/python -m pip install --no-cache-dir --requirement /opt/svae/requirements.lock

%test
    /opt/svae/bin/python -m pip check

%environment
    # The Makefile takes this environment instead of .venv; the library is that of the checkout.
    export SVAE_ENVIRONMENT=/opt/svae
    export PATH="/opt/svae/bin:$PATH"
    export PYTHONPATH=.

%runscript
    exec make "$@"

%labels
    org.opencontainers.image.title {project}
    org.opencontainers.image.version {version}
    org.opencontainers.image.licenses {license}

%help
    The packages of {project} {version}. In a checkout of it, its commands are run like this:
    apptainer run svae.sif report SCOPE=demo
"""
"""Recipe of a container for Apptainer; its base image brings the make and the git that a run needs."""


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


def python_version() -> str:
    """Return the oldest Python that the project allows, such as ``3.11``."""
    bounds = SpecifierSet(PROJECT["requires-python"])
    return next(bound.version for bound in bounds if bound.operator == ">=")


def environment(name: str) -> str:
    """Return the text of one conda environment file."""
    lock = read_lock()
    pins = "".join(f"      - {package}=={lock[package]}\n" for package in closure(ROOTS[name], lock))
    return (
        f"{NOTE}\nname: svae-{name}\n"
        "channels:\n  - conda-forge\n  - nodefaults\n"
        f"dependencies:\n  - python={python_version()}\n  - pip\n  - pip:\n{pins}"
    )


def container() -> str:
    """Return the text of the recipe of the container."""
    return RECIPE.format(
        note=NOTE,
        python=python_version(),
        project=PROJECT["name"],
        version=__version__,
        license=PROJECT["license"]["text"],
    )


if __name__ == "__main__":
    for name in ROOTS:
        (ENVS / f"{name}.yaml").write_text(environment(name), encoding="utf-8")
    (ENVS / "container.def").write_text(container(), encoding="utf-8")
