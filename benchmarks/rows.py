"""Measure what it costs to fetch some cells out of a file of the size of Replogle et al. (2022).

The file is generated: 1,989,578 cells with the columns of the study, 9,867 labels, and a dense matrix of
8,248 genes that is a hole on disk, so that 66 GB take 0.3 GB. A server of this machine sends ranges of it.

Run as `make rows`; columns: fact, value.
"""

import argparse
import http.server
import multiprocessing
import re
import resource
import tempfile
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem

from svae.datasets.preparation import Preparation
from svae.datasets.rows import fetch_rows
from svae.datasets.sources import Source
from svae.files import write_table

CELLS, GENES, LABELS = 1_989_578, 8_248, 9_867
COLUMNS_OF_NUMBERS = (
    "mitopercent",
    "UMI_count",
    "z_gemgroup_UMI",
    "core_scale_factor",
    "core_adjusted_UMI_count",
)
COLUMNS_OF_LABELS = ("gene", "gene_id", "transcript", "gene_transcript", "sgID_AB")
NUMBER_OF_NO_FILE = "md5:" + 32 * "0"  # rows are not compared with it


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", help="table to write")
    parser.add_argument("--perturbations", type=int, default=40, help="perturbations whose cells are fetched")
    return parser.parse_args()


def write_published(path: Path) -> None:
    """Write the file; its counts are zeros that nobody wrote."""
    random = np.random.default_rng(0)
    labels = random.integers(0, LABELS, CELLS)
    names = {column: [f"{column}{i:05d}" for i in range(LABELS)] for column in COLUMNS_OF_LABELS}
    obs = pd.DataFrame(
        {"gem_group": random.integers(1, 270, CELLS)}
        | {column: pd.Categorical.from_codes(labels, names[column]) for column in COLUMNS_OF_LABELS}
        | {column: random.random(CELLS) for column in COLUMNS_OF_NUMBERS},
        index=pd.Index([f"ACGTACGTA{i:07d}-{i % 270}" for i in range(CELLS)], name="cell_barcode"),
    )
    genes = pd.Index([f"ENSG{j:011d}" for j in range(GENES)], name="gene_id")
    var = pd.DataFrame({"gene_name": [f"G{j}" for j in range(GENES)]}, index=genes)
    in_one_piece = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    in_one_piece.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    in_one_piece.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        write_elem(file, "/", ad.AnnData(obs=obs, var=var))
        counts = file.create_dataset("X", (CELLS, GENES), np.float32, dcpl=in_one_piece)
        counts.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})


def serve(path: Path, port: Synchronized, sent: Synchronized, requests: Synchronized) -> None:
    """Send ranges of a file, and count them."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self):
            start, last = map(int, re.findall(r"\d+", self.headers["Range"]))
            with open(path, "rb") as file:
                file.seek(start)
                block = file.read(last + 1 - start)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{last}/{path.stat().st_size}")
            self.send_header("Content-Length", str(len(block)))
            self.end_headers()
            self.wfile.write(block)
            with sent.get_lock():
                sent.value += len(block)
                requests.value += 1

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer.request_queue_size = 128  # several connections are opened at once
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        port.value = server.server_port
        server.serve_forever()


def main() -> None:
    """Run the command."""
    chosen = arguments()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        published, fetched = Path(folder, "published.h5ad"), Path(folder, "fetched.h5ad")
        context = multiprocessing.get_context("spawn")  # a child of its own memory
        writer = context.Process(target=write_published, args=(published,))
        writer.start()
        writer.join()
        port, sent, requests = (context.Value("q", 0) for _ in range(3))
        server = context.Process(target=serve, args=(published, port, sent, requests), daemon=True)
        server.start()
        while port.value == 0:
            time.sleep(0.1)
        url, size = f"http://127.0.0.1:{port.value}/published.h5ad", published.stat().st_size
        source = Source("generated", published.name, (url,), size, NUMBER_OF_NO_FILE, "nobody", "CC0")
        wanted = [f"gene{i:05d}" for i in range(chosen.perturbations)]
        start = time.perf_counter()
        fetch_rows(source, Preparation(label="gene", perturbations=wanted), fetched)
        seconds = time.perf_counter() - start
        server.terminate()
        with h5py.File(fetched) as file:
            cells, counts = file["X"].shape[0], file["X"].nbytes
    facts = {
        "bytes of the file": size,
        "cells of the file": CELLS,
        "cells fetched": cells,
        "bytes of their counts": counts,
        "bytes sent": sent.value,
        "bytes of tables": sent.value - counts,
        "requests": requests.value,
        "peak memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "seconds": round(seconds),
    }
    write_table(pd.DataFrame(facts.items(), columns=["fact", "value"]), chosen.output)


if __name__ == "__main__":
    main()
