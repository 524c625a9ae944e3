"""Pathways and other gene sets: a JSON file that says which perturbed genes belong together."""

import json
from pathlib import Path

from svae.errors import BenchmarkError


def read_pathways(path: str | Path) -> dict[str, list[str]]:
    """Read pathway → perturbations from a JSON file, at its top or under the key ``pathways``."""
    path = Path(path)
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file")
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{path}: not a readable JSON file ({error})") from error
    if isinstance(found, dict):
        found = found.get("pathways", found)
    if not isinstance(found, dict) or not all(isinstance(members, list) for members in found.values()):
        raise BenchmarkError(f"{path}: not a mapping of pathway to a list of perturbations")
    return found
