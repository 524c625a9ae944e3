"""Run the scope `replogle` on a file that looks like the study's, from its address to the report.

The file is generated, with five perturbations of each pathway among many that no list names, and a server of
this machine sends ranges of it. The scope is the one that is delivered, with one replicate instead of five
and without a GPU. What it finds means nothing: the counts are independent of the perturbations.

Run as `make look-alike`; columns: fact, value.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from checkout import Checkout
from faulty_server import Served, serving
from look_alike import CELLS_KEPT, GENES, bytes_of_counts, row_at, write_published

from svae.files import write_table

CHANGED = ("--config", "accelerator=cpu", "replicates=1", "--cores", str(os.cpu_count()))
PUBLISHED = "K562.h5ad"


def fetch(copy: Checkout, published: Path) -> Served:
    """Fetch the cells that the scope keeps; return what the server has sent."""
    write_published(published)
    served = Served(published.read_bytes())
    with serving({f"/{PUBLISHED}": served}) as server:
        row_at(copy.path / "config" / "datasets.tsv", f"{server}/{PUBLISHED}", published)
        copy.snakemake("replogle", *CHANGED, "data")
    return served


def main() -> None:
    """Read the command line, and do it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    output = parser.parse_args().output
    with tempfile.TemporaryDirectory() as folder:
        copy, published = Checkout.create(Path(folder) / "repository"), Path(folder) / PUBLISHED
        start = time.monotonic()
        served = fetch(copy, published)
        copy.snakemake("replogle", *CHANGED)
        copy.snakemake("replogle", *CHANGED, "--report", "report.html")
        minutes = (time.monotonic() - start) / 60
        status = copy.table("status.tsv", "replogle")
        facts = {
            "bytes of counts sent / wanted": bytes_of_counts(served.sent, published)
            / (CELLS_KEPT * GENES * np.dtype(np.float32).itemsize),
            "splits": status["split"].nunique(),
            "methods": status["method"].nunique(),
            "fits": len(status),
            "fits that ended well": (status["status"] == "ok").sum(),
            "figures": len(list((copy.path / "results/replogle/figures").glob("*.svg"))),
            "report (MB)": (copy.path / "report.html").stat().st_size / 1e6,
            "minutes": minutes,
        }
    table = pd.DataFrame({"fact": list(facts), "value": [f"{value:.4g}" for value in facts.values()]})
    write_table(table, output)


if __name__ == "__main__":
    main()
