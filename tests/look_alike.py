"""A file that looks like the one of Replogle et al. (2022), and the paper's dataset made of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import yaml
from checkout import ROOT

from svae.files import checksum

SCOPE: Mapping[str, Any] = yaml.safe_load((ROOT / "config" / "replogle.yaml").read_text(encoding="utf-8"))
ENTRY: Mapping[str, Any] = SCOPE["datasets"]["replogle"]
LISTS: Mapping[str, Any] = json.loads((ROOT / ENTRY["gene_lists"]).read_text(encoding="utf-8"))
KEPT = [name for members in LISTS["pathways"].values() for name in members[:5]]
"""Perturbations that the file shares with the lists of the study: some of each pathway."""
CELLS, CELLS_KEPT, GENES = 20_000, 1_200, 800
"""As in the study, six cells of a hundred are kept."""


def write_look_alike(path: Path, labels: Sequence[str], genes: Sequence[str]) -> None:
    """Write a file in the layout of Replogle et al. (2022): dense counts, uncompressed, in one piece.

    Parameters
    ----------
    path
        Where to write it.
    labels
        Targeted gene of each cell, or ``non-targeting``. Cells are in random order, as in the study.
    genes
        Symbols of the genes, whose index are ids.
    """
    random = np.random.default_rng(0)
    obs = pd.DataFrame(
        {
            "gem_group": random.integers(1, 9, len(labels)),
            "gene": pd.Categorical(random.permutation(labels)),
            "UMI_count": random.uniform(1e3, 1e4, len(labels)),
        },
        index=pd.Index([f"CELL{i:08d}-1" for i in range(len(labels))], name="cell_barcode"),
    )
    ids = pd.Index([f"ENSG{j:08d}" for j in range(len(genes))], name="gene_id")
    var = pd.DataFrame({"gene_name": list(genes)}, index=ids)
    counts = random.poisson(random.gamma(2, 1, len(genes)), size=(len(labels), len(genes)))
    path.parent.mkdir(parents=True, exist_ok=True)
    ad.AnnData(counts.astype(np.float32), obs=obs, var=var).write_h5ad(path)


def bytes_of_counts(sent: Sequence[tuple[int, int]], file: Path) -> int:
    """How many bytes of the matrix are in the ranges that were `sent` of a file."""
    with h5py.File(file) as opened:
        first = opened["X"].id.get_offset()
        last = first + opened["X"].nbytes
    return sum(max(0, min(stop, last) - max(start, first)) for start, stop in sent)


def write_published(path: Path) -> None:
    """Write the look-alike that the workflow fetches cells from: most cells and genes are in no list."""
    others = [f"OTHER{i}" for i in range(500)]
    labels = [*np.resize(KEPT, CELLS_KEPT), *np.resize(["non-targeting", *others], CELLS - CELLS_KEPT)]
    write_look_alike(path, labels, [*LISTS["genes"][: GENES // 2], *(f"GENE{j}" for j in range(GENES // 2))])


def row_at(table: Path, url: str, file: Path) -> None:
    """Point the row of the study, in a table of sources, to the look-alike at `url`."""
    rows = pd.read_csv(table, sep="\t", dtype=str, keep_default_na=False).set_index("name")
    with h5py.File(file) as opened:
        labels = ad.io.read_elem(opened["obs"])["gene"]
    content = f"cells={CELLS} genes={GENES} gene={labels.nunique()}"
    facts = {"url": url, "bytes": file.stat().st_size, "checksum": f"md5:{checksum(file, 'md5')}"}
    for column, value in {**facts, "content": content}.items():
        rows.loc[ENTRY["source"], column] = str(value)
    rows.reset_index().to_csv(table, sep="\t", index=False)
