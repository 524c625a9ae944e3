"""Measure what preparing a large screen takes, on a file in the layout of Replogle et al. (2022).

The file holds 8,248 genes as a dense matrix of float32, stored in one piece, with about 11,000 counts per
cell. To spare the disk, fewer cells can be drawn than the file has: it then shows them several times (a
virtual dataset of HDF5), which costs the same to read and to keep.

One row per choice of genes: choice, cells, distinct_cells, genes, kept_genes, density (share of counts above
zero among those kept), seconds (to read and choose), seconds_to_write, file_gb (of the screen, if it showed
no cell twice), peak_memory_gb (of the process, the writing included).
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

from svae.contracts.dataset import write_dataset
from svae.datasets.preparation import Preparation
from svae.datasets.prepare import prepare
from svae.files import write_table

GENES, COUNTS_PER_CELL, PERTURBATIONS, CONTROLS = 8248, 11_000, 2000, 0.05
ROWS_AT_ONCE = 2000
ALL_GENES = Preparation(label="gene", control="non-targeting", keep_perturbed=False)
CHOICES = {
    "2,000 most variable on control cells": ALL_GENES.model_copy(update={"top_genes": 2000}),
    "all genes": ALL_GENES,
}


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--distinct", type=int, help="cells to draw, which divide the others; by default all")
    parser.add_argument("--folder", help="where the files go while they are needed")
    return parser.parse_args()


def write_counts(path: Path, cells: int) -> None:
    """Write a matrix of counts in one piece: Poisson, with log-normal rates of genes and sizes of cells."""
    random = np.random.default_rng(0)
    rates = random.lognormal(0, 1.6, GENES)
    rates *= COUNTS_PER_CELL / rates.sum()
    with h5py.File(path, "w") as file:
        counts = file.create_dataset("X", (cells, GENES), np.float32)
        for first in range(0, cells, ROWS_AT_ONCE):
            size = random.lognormal(0, 0.3, (min(ROWS_AT_ONCE, cells - first), 1))
            counts[first : first + len(size)] = random.poisson(size * rates)


def write_screen(path: Path, cells: int, distinct: int) -> None:
    """Write a screen of so many cells, which shows `distinct` ones as often as needed."""
    write_counts(path.with_suffix(".counts.h5"), distinct)
    layout = h5py.VirtualLayout((cells, GENES), np.float32)
    counts = h5py.VirtualSource(path.with_suffix(".counts.h5"), "X", (distinct, GENES))
    for first in range(0, cells, distinct):
        layout[first : first + distinct] = counts[: min(distinct, cells - first)]
    random = np.random.default_rng(1)
    labels = np.array(["non-targeting", *(f"GENE{number}" for number in range(PERTURBATIONS))])
    of_cells = np.where(random.random(cells) < CONTROLS, 0, random.integers(1, len(labels), cells))
    obs = pd.DataFrame({"gene": pd.Categorical(labels[of_cells])}, index=[f"cell{i}" for i in range(cells)])
    var = pd.DataFrame(index=[f"GENE{number}" for number in range(GENES)])
    with h5py.File(path, "w") as file:
        write_elem(file, "/", ad.AnnData(obs=obs, var=var))
        file.create_virtual_dataset("X", layout).attrs.update(
            {"encoding-type": "array", "encoding-version": "0.2.0"}
        )


def measure(path: Path, choice: str) -> dict[str, object]:
    """Prepare the screen and write the dataset; call it in a process of its own, whose peak is measured."""
    start = time.perf_counter()
    dataset = prepare(path, CHOICES[choice])
    prepared = time.perf_counter()
    write_dataset(dataset, path.with_suffix(".dataset.h5ad"))
    return {
        "choice": choice,
        "kept_genes": dataset.n_vars,
        "density": round(dataset.X.nnz / np.prod(dataset.shape), 3),
        "seconds": round(prepared - start),
        "seconds_to_write": round(time.perf_counter() - prepared),
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
    }


def main() -> None:
    """Measure every choice, print it, and write it down."""
    chosen = arguments()
    distinct = chosen.distinct or chosen.cells
    size = {"cells": chosen.cells, "distinct_cells": distinct, "genes": GENES}
    size["file_gb"] = round(chosen.cells * GENES * 4 / 1e9, 2)
    rows = []
    with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
        path = Path(folder, "screen.h5ad")
        write_screen(path, chosen.cells, distinct)
        for choice in CHOICES:
            with multiprocessing.get_context("spawn").Pool(1) as process:
                rows.append(process.apply(measure, (path, choice)) | size)
            print(rows[-1], flush=True)
    columns = ["choice", *size, "kept_genes", "density", "seconds", "seconds_to_write", "peak_memory_gb"]
    write_table(pd.DataFrame(rows)[columns], chosen.output)


if __name__ == "__main__":
    main()
