"""Measure the solvers of PCA on 2,000 cells, by the number of genes: seconds, and memory beyond the counts.

One row per shape and solver: cells, genes, solver, seconds, peak_memory_mb (of the solver alone), chosen
(whether :func:`svae.methods.linear.fit_linear` takes that solver for the shape). The solver that is not
chosen for the most genes is left out, since it takes many minutes and 8 GB.
"""

import argparse
import multiprocessing
import resource
import time

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from svae.files import write_table
from svae.methods.linear import pca_solver

CELLS, LATENTS = 2000, 15
MEASURED = {500: ["covariance_eigh", "arpack"], 2000: ["covariance_eigh", "arpack"], 20_000: ["arpack"]}


def peak_memory_mb() -> float:
    """Peak memory of this process, its resident set."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(shape: tuple[int, int], solver: str) -> tuple[float, float]:
    """Seconds and memory of one PCA; call it in a process of its own, whose peak is that of the PCA."""
    random = np.random.default_rng(0)
    expression = random.standard_normal((shape[0], LATENTS), np.float32) @ random.standard_normal(
        (LATENTS, shape[1]), np.float32
    )
    expression += random.standard_normal(shape, np.float32)
    before, start = peak_memory_mb(), time.perf_counter()
    PCA(LATENTS, svd_solver=solver, random_state=0).fit(expression)
    return time.perf_counter() - start, peak_memory_mb() - before


def main() -> None:
    """Measure everything, print it, and write it down."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    rows = []
    for n_genes, solvers in MEASURED.items():
        for solver in solvers:
            with multiprocessing.get_context("spawn").Pool(1) as process:
                seconds, memory = process.apply(measure, ((CELLS, n_genes), solver))
            chosen = solver == pca_solver(LATENTS, CELLS, n_genes)
            rows.append((CELLS, n_genes, solver, round(seconds, 2), round(memory), chosen))
            print(*rows[-1], flush=True)
    columns = ["cells", "genes", "solver", "seconds", "peak_memory_mb", "chosen"]
    write_table(pd.DataFrame(rows, columns=columns), parser.parse_args().output)


if __name__ == "__main__":
    main()
