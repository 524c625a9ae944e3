"""From any published h5ad file to a dataset: a label per cell, raw counts, the cells and genes asked for."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
from anndata.utils import make_index_unique
from scipy import sparse

from svae.contracts.dataset import validate_counts, validate_dataset
from svae.errors import BenchmarkError, unknown
from svae.files import checksum
from svae.words import CONTROL

_ROWS = 4096  # read at once: 130 MB of the widest dense file, and few enough seeks in a sparse one


def read_gene_lists(path: str | Path) -> dict[str, list[str]]:
    """Read which ``perturbations`` and ``genes`` of a study to keep, from a JSON file."""
    try:
        lists = json.loads(Path(path).read_text(encoding="utf-8"))
        return {key: list(lists[key]) for key in ("perturbations", "genes") if key in lists}
    except (OSError, ValueError, TypeError) as error:
        raise BenchmarkError(f"{path}: not a readable JSON file of gene lists ({error})") from error


def prepare(
    path: str | Path,
    label: str,
    control: str | None = None,
    *,
    separator: str | None = None,
    batch: str | None = None,
    layer: str | None = None,
    filters: Mapping[str, Any] | None = None,
    perturbations: Sequence[str] | None = None,
    gene_column: str | None = None,
    genes: Sequence[str] | None = None,
    top_genes: int | None = None,
    min_cells: int | None = None,
    max_cells: int | None = None,
    seed: int = 0,
    name: str | None = None,
    source: str | None = None,
    citation: str = "",
    licence: str = "",
) -> ad.AnnData:
    """Make a dataset of the h5ad file at `path`.

    The file is read in blocks of cells, so it may be larger than the memory. What is left out is told on
    standard error.

    Parameters
    ----------
    path
        Any h5ad file with raw counts.
    label
        Column of ``obs`` that names the perturbation of a cell; cells without a label are left out.
    control
        Label of unperturbed cells, renamed to ``control``.
    separator
        What joins the parts of a combination in the file, such as ``_``. Parts are sorted and joined by
        ``+``, and parts equal to `control` are dropped: ``B_ctrl_A`` becomes ``A+B``.
    batch
        Column of ``obs`` to keep as ``obs["batch"]``.
    layer
        Layer that holds the counts; by default they are in ``X``.
    filters
        Column of ``obs`` → the value, or list of values, or ``{"min": …, "max": …}`` (inclusive) of the cells
        to keep.
    perturbations
        Perturbations to keep, as they are named after renaming, beside the control if there is one.
    gene_column
        Column of ``var`` that names the genes, by default their index. Repeated names get ``-1``, ``-2``, …
    genes
        Genes to keep; cells that have no counts in them are left out.
    top_genes
        Number of highly variable genes to keep (Stuart et al. 2019, ``seurat_v3`` of scanpy).
    min_cells
        Perturbations with fewer cells are left out.
    max_cells
        At most so many cells of each perturbation, and of the control, are kept: a random draw.
    seed
        Of that draw.
    name, source, citation, licence
        Stored in ``uns["dataset"]``, with the sha256 of the file; `name` and `source` default to the file's.

    Returns
    -------
    Cells × genes in the file's order, int32 CSR; see :func:`svae.contracts.dataset.validate_dataset`.

    Raises
    ------
    BenchmarkError
        If the file is not a readable h5ad, lacks what the parameters name, or does not hold counts.
    """
    path = Path(path)
    with _open(path) as file:
        for names, kind in ((file.obs_names, "cell"), (file.var_names, "gene")):
            # With a column to name the genes, the index is of no account.
            if names.has_duplicates and not (kind == "gene" and gene_column):
                repeated = names[names.duplicated()][0]
                raise BenchmarkError(f"{path}: {kind} name '{repeated}' occurs more than once")
        labels = _labels(file.obs, label, control, separator, path)
        chosen = labels.notna().to_numpy()
        _note(path, (~chosen).sum(), "cells without a label")
        chosen &= _passing(file.obs, filters or {}, path)
        if perturbations is not None:
            wanted = _present(perturbations, labels.dropna().unique(), "perturbation", path)
            chosen &= labels.isin([*wanted, *([CONTROL] if control is not None else [])]).to_numpy()
        if min_cells is not None:
            chosen &= ~labels.isin(_rare(labels[chosen], min_cells, path)).to_numpy()
        if not chosen.any():
            raise BenchmarkError(f"{path}: no cell is left of {file.n_obs}; loosen the filters")
        if max_cells is not None:
            chosen &= _drawn(labels.where(chosen), max_cells, seed)

        symbols = _gene_names(file.var, gene_column, path)
        kept = np.ones(len(symbols), dtype=bool)
        if genes is not None:
            kept = symbols.isin(_present(genes, symbols, "gene", path))
        counts = _read_counts(_matrix(file, layer, path), file.obs_names, chosen, kept, layer, path)

        obs = pd.DataFrame(
            {"perturbation": pd.Categorical(labels[chosen])}, index=file.obs_names[chosen].astype(str)
        )
        if batch is not None:
            batches = _column(file.obs, batch, path)[chosen]
            if batches.isna().any():
                raise BenchmarkError(f"{path}: obs['{batch}'] has cells without a batch")
            obs["batch"] = pd.Categorical(batches.astype(str))
        var = pd.DataFrame(index=pd.Index(make_index_unique(symbols)[kept]))
        if gene_column is not None:
            var["gene_id"] = file.var_names[kept]

    dataset = ad.AnnData(X=counts, obs=obs, var=var)
    if top_genes is not None and top_genes < dataset.n_vars:
        dataset = _most_variable(dataset, top_genes)
    empty = np.asarray(dataset.X.sum(axis=1)).ravel() == 0
    if empty.any():
        _note(path, empty.sum(), "cells without counts in the chosen genes")
        dataset = dataset[~empty].copy()
        dataset.obs["perturbation"] = dataset.obs["perturbation"].cat.remove_unused_categories()
    dataset.uns["dataset"] = {
        "name": name or path.stem,
        "source": source or path.name,
        "citation": citation,
        "licence": licence,
        "sha256": checksum(path),
    }
    validate_dataset(dataset, path)
    return dataset


@contextmanager
def _open(path: Path) -> Iterator[ad.AnnData]:
    """Open an h5ad file and leave its ``X`` on disk; damage found then or later is one sentence."""
    if not path.is_file():
        raise BenchmarkError(f"{path}: no such file")
    try:
        file = ad.read_h5ad(path, backed="r")
    except Exception as error:
        raise BenchmarkError(f"{path}: not a readable h5ad file ({_first_line(error)})") from error
    try:
        yield file
    except OSError as error:
        raise BenchmarkError(f"{path}: damaged h5ad file ({_first_line(error)})") from error
    finally:
        file.file.close()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _note(path: Path, number: int, what: str) -> None:
    if number:
        print(f"{path.name}: left out {number:,} {what}", file=sys.stderr)


def _column(obs: pd.DataFrame, column: str, path: Path) -> pd.Series:
    if column not in obs:
        raise unknown("column of obs", column, obs.columns, str(path))
    return obs[column]


def _labels(
    obs: pd.DataFrame, label: str, control: str | None, separator: str | None, path: Path
) -> pd.Series:
    """Return the perturbation of each cell, missing where there is none."""
    found = _column(obs, label, path).astype("category")
    categories = [str(category) for category in found.cat.categories]
    if control is not None and control not in categories:
        raise unknown("control label", control, categories, f"{path}: obs['{label}']")
    renamed = {
        category: _rename(text, control, separator) if text.strip() else None
        for category, text in zip(found.cat.categories, categories, strict=True)
    }
    return found.astype(object).map(renamed)


def _rename(label: str, control: str | None, separator: str | None) -> str:
    parts = label.split(separator) if separator is not None else [label]
    return "+".join(sorted(part for part in parts if part != control)) or CONTROL


def _passing(obs: pd.DataFrame, filters: Mapping[str, Any], path: Path) -> np.ndarray:
    """Which cells pass all the filters."""
    passing = np.ones(len(obs), dtype=bool)
    for name, rule in filters.items():
        column, where = _column(obs, name, path), f"{path}: filter '{name}'"
        if isinstance(rule, Mapping):
            for bound in rule:
                if bound not in ("min", "max"):
                    raise unknown("bound", bound, ("min", "max"), where)
            if not pd.api.types.is_numeric_dtype(column):
                raise BenchmarkError(f"{where}: obs['{name}'] is not numeric, so it takes values, not bounds")
            passing &= column.between(rule.get("min", -np.inf), rule.get("max", np.inf)).to_numpy()
            continue
        # Compared as text, because a configuration's 1 may be the "1" of a categorical column.
        text = column.astype(str)
        values = [str(value) for value in ([rule] if np.isscalar(rule) else rule)]
        for value in values:
            if not (text == value).any():
                raise unknown("value", value, text.unique(), where)
        passing &= text.isin(values).to_numpy()
    return passing


def _present(wanted: Sequence[str], existing: Any, kind: str, path: Path) -> list[str]:
    """Those of the `wanted` names that exist: lists of a whole study are longer than any one file's."""
    known = set(existing)
    present = [name for name in wanted if name in known]
    absent = [name for name in wanted if name not in known]
    if not present:
        raise unknown(kind, absent[0] if absent else "", known, str(path))
    shown = ", ".join(absent[:5]) + (", …" if len(absent) > 5 else "")
    _note(path, len(absent), f"{kind} names that are not in the file ({shown})")
    return present


def _rare(labels: pd.Series, min_cells: int, path: Path) -> list[str]:
    """Perturbations, other than the control, with too few cells."""
    sizes = labels.value_counts()
    rare = [name for name in sizes.index[sizes < min_cells] if name != CONTROL]
    shown = ", ".join(sorted(rare)[:5]) + (", …" if len(rare) > 5 else "")
    _note(path, len(rare), f"perturbations with fewer than {min_cells} cells ({shown})")
    return rare


def _drawn(labels: pd.Series, max_cells: int, seed: int) -> np.ndarray:
    """Which cells are among the at most `max_cells` drawn of each label; missing labels are never drawn."""
    random = np.random.default_rng(seed)
    drawn = np.zeros(len(labels), dtype=bool)
    for _, rows in sorted(labels.reset_index(drop=True).groupby(labels.to_numpy()).indices.items()):
        drawn[random.permutation(rows)[:max_cells]] = True
    return drawn


def _gene_names(var: pd.DataFrame, gene_column: str | None, path: Path) -> pd.Index:
    if gene_column is None:
        return pd.Index(var.index.astype(str))
    if gene_column not in var:
        raise unknown("column of var", gene_column, var.columns, str(path))
    return pd.Index(var[gene_column].astype(object).where(var[gene_column].notna(), var.index).astype(str))


def _matrix(file: ad.AnnData, layer: str | None, path: Path) -> Any:
    """Return what holds the counts, on disk or in memory, sliceable by rows."""
    if layer is not None and layer not in file.layers:
        raise unknown("layer", layer, file.layers, str(path))
    try:
        matrix = file.X if layer is None else file.layers[layer]
    except KeyError as error:
        raise unknown("matrix", "X", [f"layers/{name}" for name in file.layers], str(path)) from error
    if getattr(matrix, "format", "csr") == "csr":
        return matrix
    # A matrix stored by columns would be read as a whole for every block of rows.
    return (matrix.to_memory() if hasattr(matrix, "to_memory") else matrix).tocsr()


def _read_counts(
    matrix: Any, cells: pd.Index, chosen: np.ndarray, kept: np.ndarray, layer: str | None, path: Path
) -> sparse.csr_matrix:
    """Chosen cells × kept genes as int32; whole cells are validated, whatever the genes kept."""
    where = str(path) if layer is None else f"{path}, layer '{layer}'"
    blocks = []
    for start in range(0, len(chosen), _ROWS):
        rows = np.flatnonzero(chosen[start : start + _ROWS])
        if len(rows) == 0:
            continue
        block = sparse.csr_matrix(matrix[start : start + _ROWS][rows])
        validate_counts(block, cells[start + rows], where)
        blocks.append(block[:, kept].astype(np.int32))
    counts = sparse.vstack(blocks, format="csr")
    counts.eliminate_zeros()
    counts.sort_indices()
    return counts


def _most_variable(dataset: ad.AnnData, number: int) -> ad.AnnData:
    """Keep the highly variable genes, in the file's order."""
    import scanpy as sc  # a second to import, and few datasets ask for it

    with_scores = sc.pp.highly_variable_genes(dataset, n_top_genes=number, flavor="seurat_v3", inplace=False)
    return dataset[:, with_scores["highly_variable"].to_numpy()].copy()
