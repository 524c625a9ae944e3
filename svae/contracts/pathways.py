"""Pathways and other gene sets: a file that says which genes belong together."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from svae.errors import BenchmarkError

MEMBERSHIP_COLUMNS = ("perturbation", "gene_set")
LARGEST_PATHWAY = 100
"""Genes of a set at most. That two genes share a larger one says little of what they do."""


def pathways_of(perturbations: Iterable[str], gene_sets: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """List which of the gene sets hold which of the perturbations, called after their genes.

    Returns
    -------
    ``perturbation``, ``gene_set``. Sets with more than :data:`LARGEST_PATHWAY` genes are passed over.
    """
    known = set(perturbations)
    rows = [
        (perturbation, name)
        for name, genes in gene_sets.items()
        if len(genes) <= LARGEST_PATHWAY
        for perturbation in sorted(known.intersection(genes))
    ]
    return pd.DataFrame(rows, columns=list(MEMBERSHIP_COLUMNS))


def read_pathways(path: str | Path) -> dict[str, list[str]]:
    """Read pathway → genes from a JSON file, at its top or under the key ``pathways``, or from a GMT file.

    A GMT file has one line per pathway: its name, a description and the genes, separated by tabs.

    Raises
    ------
    BenchmarkError
        If there is no such file, or it is of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file")
    return _read_gmt(path) if path.suffix == ".gmt" else _read_json(path)


def _read_gmt(path: Path) -> dict[str, list[str]]:
    pathways: dict[str, list[str]] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not text in UTF-8 ({error})") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        name, *others = line.split("\t")
        if not name or len(others) < 2:
            raise BenchmarkError(
                f"{path}: line {number} has not name, description and genes, separated by tabs"
            )
        if name in pathways:
            raise BenchmarkError(f"{path}: line {number}: there is another gene set '{name}' above")
        pathways[name] = [gene for gene in others[1:] if gene]
    return pathways


def _read_json(path: Path) -> dict[str, list[str]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchmarkError(f"{path}: not a readable JSON file ({error})") from error
    if isinstance(found, dict):
        found = found.get("pathways", found)
    if not isinstance(found, dict) or not all(isinstance(members, list) for members in found.values()):
        raise BenchmarkError(f"{path}: not a mapping of pathway to a list of genes")
    return found
