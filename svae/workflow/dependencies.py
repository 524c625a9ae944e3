"""Which files of this package a script runs, so that rules can name them as inputs.

Snakemake reruns a job when its inputs change, but does not look inside what a script imports.
"""

import ast
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]


def package_files(script: str | Path) -> list[str]:
    """Files of the package that `script` imports, directly or not, relative to the repository."""
    found: set[Path] = set()
    waiting = list(_imported(Path(script)))
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    return sorted(str(path.relative_to(PACKAGE.parent)) for path in found)


@cache
def _imported(path: Path) -> tuple[Path, ...]:
    """Package files named in the import statements of one file, lazy ones included."""
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    # `import svae` alone means the model classes, which the package loads on first use.
    names += (
        ["svae.models.classes"] if "svae" in names and path.suffix == ".py" and path.parent != PACKAGE else []
    )
    return tuple(file for name in names if name.split(".")[0] == PACKAGE.name for file in _files(name))


def _files(module: str) -> list[Path]:
    """Files that importing `module` runs: those of its packages, and its own."""
    parts = module.split(".")[1:]
    files = [PACKAGE.joinpath(*parts[:i], "__init__.py") for i in range(len(parts) + 1)]
    if parts:
        files.append(PACKAGE.joinpath(*parts).with_suffix(".py"))
    files = [file for file in files if file.is_file()]
    return files + [scanned for file in files for scanned in _scanned(file)]


def _scanned(file: Path) -> list[Path]:
    """Files of a folder whose package imports them all, as that of the metrics does."""
    scans = file.name == "__init__.py" and "iter_modules" in file.read_text(encoding="utf-8")
    return sorted(file.parent.glob("*.py")) if scans else []
