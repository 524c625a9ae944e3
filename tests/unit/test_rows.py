"""The cells that a dataset keeps are fetched out of a file of Replogle's layout, and nothing else."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import anndata as ad
import h5py
import numpy as np
import pytest
from checkout import ROOT
from faulty_server import Served, serving
from look_alike import bytes_of_counts, write_look_alike
from scipy import sparse

from svae.datasets import rows
from svae.datasets.addresses import Patience
from svae.datasets.part import Part
from svae.datasets.preparation import NOT_OF_CELLS, Preparation
from svae.datasets.prepare import prepare
from svae.datasets.rows import fetch_rows
from svae.datasets.sources import Source
from svae.errors import BenchmarkError
from svae.files import checksum

CELLS, GENES, PERTURBATIONS = 3000, 120, 49
RARE = "P48"  # it has one cell less than the others
WANTED = ["P3", "P7", "P11"]
IMPATIENT = Patience(timeout=0.4, retries=2, pause=0.001, longest_pause=0.01)
PREPARATION = Preparation(label="gene", gene_column="gene_name", perturbations=WANTED)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The published file."""
    path = tmp_path_factory.mktemp("published") / "K562.h5ad"
    labels = ["non-targeting", *(f"P{i}" for i in range(PERTURBATIONS))]
    of_cells = np.resize(labels, CELLS)
    of_cells[of_cells == RARE] = [*[RARE] * (CELLS // len(labels) - 1), "P0"]
    write_look_alike(path, of_cells, [f"G{j}" for j in range(GENES)])
    return path


@pytest.fixture
def served(published):
    """What a server does with it."""
    return Served(published.read_bytes())


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Several blocks of cells, although they are few."""
    monkeypatch.setattr(rows, "ROWS_PER_BLOCK", 50)
    monkeypatch.setattr(rows, "BYTES_OF_TABLES_AT_ONCE", 1 << 12)


def source(path, *urls: str) -> Source:
    """Return the row of the published file."""
    digest = f"md5:{checksum(path, 'md5')}"
    content = {"cells": CELLS, "genes": GENES, "gene": PERTURBATIONS + 1, "gene:non-targeting": 60}
    return Source("k562", path.name, urls, path.stat().st_size, digest, "Somebody", "CC0", content, "rows")


def test_the_cells_are_those_of_the_file_and_no_others_are_sent(published, served, tmp_path):
    with serving({"/k562.h5ad": served}) as server:
        fetch_rows(source(published, f"{server}/k562.h5ad"), PREPARATION, tmp_path / "rows.h5ad")
    fetched, whole = ad.read_h5ad(tmp_path / "rows.h5ad"), ad.read_h5ad(published)
    expected = whole[whole.obs["gene"].isin(WANTED)]
    assert list(fetched.obs_names) == list(expected.obs_names)
    assert fetched.obs["gene"].astype(str).equals(expected.obs["gene"].astype(str))
    assert fetched.var.equals(expected.var)
    np.testing.assert_array_equal(fetched.X, expected.X)
    assert list(tmp_path.iterdir()) == [tmp_path / "rows.h5ad"]
    # The tables lie before and behind the matrix, and bring a few bytes of it with them.
    assert bytes_of_counts(served.sent, published) <= 1.1 * expected.X.nbytes


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"max_cells": 20},
        {"control": "non-targeting", "min_cells": 3},
        {"perturbations": [*WANTED, RARE], "min_cells": 60},
    ],
)
def test_preparing_them_gives_what_preparing_the_whole_file_gives(options, published, tmp_path):
    """This also shows that a copy on this machine is read by the same code."""
    preparation = PREPARATION.model_copy(update=options)
    of_cells = Preparation.model_validate(preparation.model_dump(exclude=set(NOT_OF_CELLS)))
    fetch_rows(source(published, published.as_uri()), of_cells, tmp_path / "rows.h5ad")
    assert (tmp_path / "rows.h5ad").stat().st_size < published.stat().st_size / 4
    of_rows, of_all = (prepare(path, preparation, seed=5) for path in (tmp_path / "rows.h5ad", published))
    assert list(of_rows.obs_names) == list(of_all.obs_names)
    assert of_rows.obs.equals(of_all.obs)
    assert of_rows.var.equals(of_all.var)
    assert (of_rows.X != of_all.X).nnz == 0
    left_out = [dataset.uns["dataset"]["left_out"] for dataset in (of_rows, of_all)]
    assert left_out[0].astype(str).to_dict("list") == left_out[1].astype(str).to_dict("list")
    assert left_out[0]["number"].sum() > 0


def test_faults_of_the_server_do_no_harm(published, served, tmp_path):
    served.faults = [*10 * ["none", "cut", "503", "hang up", "none"], "stall", "none"]
    with serving({"/k562.h5ad": served}) as server:
        fetch_rows(
            source(published, f"{server}/k562.h5ad"), PREPARATION, tmp_path / "rows.h5ad", None, IMPATIENT
        )
    expected = ad.read_h5ad(published)
    expected = expected[expected.obs["gene"].isin(WANTED)]
    np.testing.assert_array_equal(ad.read_h5ad(tmp_path / "rows.h5ad").X, expected.X)


KILLED = """
import sys
from pathlib import Path
from svae.datasets import rows
from svae.datasets.part import Part
from svae.datasets.preparation import Preparation
from svae.datasets.sources import Source

rows.ROWS_PER_BLOCK, rows.BYTES_OF_TABLES_AT_ONCE = 50, 1 << 12
url, size, target, *wanted = sys.argv[1:]
source = Source("k562", "K562.h5ad", (url,), int(size), "md5:" + 32 * "0", "Somebody", "CC0")
rows.fetch_rows(source, Preparation(label="gene", perturbations=wanted), target)
"""


def test_a_killed_process_leaves_blocks_that_are_not_asked_for_again(
    published, served, tmp_path, monkeypatch
):
    target, part = tmp_path / "rows.h5ad", tmp_path / "rows.h5ad.part"
    row = replace(source(published), checksum="md5:" + 32 * "0", content={})
    tables_and_two_blocks = 180
    served.faults = [*tables_and_two_blocks * ["none"], "stall"]
    with serving({"/k562.h5ad": served}) as server:
        row = replace(row, urls=(f"{server}/k562.h5ad",))
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, *row.urls, str(row.bytes), str(target), *WANTED],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stderr=subprocess.DEVNULL,
        )
        while len(served.requests) <= tables_and_two_blocks:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        there = len(json.loads((tmp_path / "rows.h5ad.part.json").read_text())["blocks"])
        assert 0 < there < 4
        assert not target.exists()
        served.faults = ["none"]
        served.sent.clear()
        fetch_rows(row, PREPARATION, target)
    expected = ad.read_h5ad(published)
    expected = expected[expected.obs["gene"].isin(WANTED)]
    np.testing.assert_array_equal(ad.read_h5ad(target).X, expected.X)
    missing = len(expected) - 50 * there
    assert bytes_of_counts(served.sent, published) <= 1.2 * missing * GENES * 4
    assert not part.exists()


def test_a_block_that_was_spoilt_on_disk_is_fetched_again(published, served, tmp_path, monkeypatch):
    target = tmp_path / "rows.h5ad"
    with serving({"/k562.h5ad": served}) as server:
        row = source(published, f"{server}/k562.h5ad")
        with monkeypatch.context() as during:
            during.setattr(Part, "finish", crash)
            with pytest.raises(KeyboardInterrupt):
                fetch_rows(row, PREPARATION, target)
        part = tmp_path / "rows.h5ad.part"
        with h5py.File(part, "r") as file:
            offset = file["X"].id.get_offset()
        with open(part, "r+b") as file:
            file.seek(offset + 60 * GENES * 4)
            file.write(b"spoilt")
        served.sent.clear()
        fetch_rows(row, PREPARATION, target)
    expected = ad.read_h5ad(published)
    expected = expected[expected.obs["gene"].isin(WANTED)]
    np.testing.assert_array_equal(ad.read_h5ad(target).X, expected.X)
    assert 0 < bytes_of_counts(served.sent, published) <= 1.2 * 50 * GENES * 4


def crash(part):
    """Stand in for a machine that goes down."""
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (["refuse ranges"], "the server does not send parts of a file"),
        (["404"], "the server answers '404 Not Found'"),
        ([*150 * ["none"], "another version"], "the file changed while it was read"),
        (["wrong range"], "asked for bytes 0-4095, the server sent 'bytes 1-"),
        (["cut"], "3 times in a row"),
    ],
)
def test_another_file_stands_in_where_cells_cannot_be_fetched(
    faults, message, published, served, tmp_path, caplog
):
    target, served.faults = tmp_path / "rows.h5ad", faults
    stand_in = replace(source(published, published.as_uri()), name="k562_mirror", access="whole")
    with serving({"/k562.h5ad": served}) as server:
        row = source(published, f"{server}/k562.h5ad")
        with pytest.raises(BenchmarkError, match=message) as caught:
            fetch_rows(row, PREPARATION, target, None, IMPATIENT)
        assert str(caught.value).startswith(f"cells of K562.h5ad cannot be fetched: {server}")
        assert not target.exists()
        fetch_rows(row, PREPARATION, target, stand_in, IMPATIENT)
    assert target.read_bytes() == published.read_bytes()
    assert "K562.h5ad: cells cannot be fetched alone; k562_mirror is downloaded as a whole" in caplog.text


def test_a_mistake_of_the_scope_downloads_nothing_instead(published, tmp_path):
    stand_in = replace(source(published, published.as_uri()), access="whole")
    unknown = PREPARATION.model_copy(update={"label": "genes"})
    with pytest.raises(BenchmarkError, match="unknown column of obs 'genes', did you mean 'gene'"):
        fetch_rows(source(published, published.as_uri()), unknown, tmp_path / "rows.h5ad", stand_in)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("is_sparse", [True, False])
def test_a_matrix_that_is_not_in_one_piece_is_told(is_sparse, published, tmp_path):
    whole, other = ad.read_h5ad(published), tmp_path / "other.h5ad"
    if is_sparse:
        whole.X = sparse.csr_matrix(whole.X)
    whole.write_h5ad(other, compression="gzip")
    with pytest.raises(BenchmarkError, match="X is sparse, or stored in chunks"):
        fetch_rows(source(other, other.as_uri()), PREPARATION, tmp_path / "rows.h5ad")


@pytest.mark.parametrize("value", [0.5, -1, np.nan])
def test_what_is_no_count_is_told(value, published, tmp_path):
    other = tmp_path / "other.h5ad"
    other.write_bytes(published.read_bytes())
    with h5py.File(other, "r+") as file:
        file["X"][:, 3] = value
    with pytest.raises(BenchmarkError, match="counts"):
        fetch_rows(source(other, other.as_uri()), PREPARATION, tmp_path / "rows.h5ad")
    assert not (tmp_path / "rows.h5ad").exists()
