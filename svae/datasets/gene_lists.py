"""Lists of a study: which of its perturbations and genes to keep."""

import json
from pathlib import Path

from svae.errors import BenchmarkError


def read_gene_lists(path: str | Path) -> dict[str, list[str]]:
    """Read which ``perturbations`` and ``genes`` of a study to keep, from a JSON file.

    Raises
    ------
    BenchmarkError
        If the file cannot be read, or holds neither of the two lists, or something else under their names.
    """
    try:
        lists = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchmarkError(f"{path}: not a readable JSON file of gene lists ({error})") from error
    found = {
        key: lists[key] for key in ("perturbations", "genes") if isinstance(lists, dict) and key in lists
    }
    if not found:
        raise BenchmarkError(f"{path}: holds neither a list 'perturbations' nor a list 'genes'")
    for key, names in found.items():
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            raise BenchmarkError(f"{path}: '{key}' is not a list of names")
    return found
