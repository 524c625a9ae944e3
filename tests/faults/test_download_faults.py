"""Whatever servers do: the right file under its name, or one sentence, and never a wrong file."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import anndata as ad
import pytest
from checkout import ROOT
from faulty_server import FAULTS, Served, serving
from look_alike import write_look_alike

from svae.datasets import rows
from svae.datasets.addresses import Patience
from svae.datasets.download import download
from svae.datasets.preparation import Preparation
from svae.datasets.rows import fetch_rows
from svae.datasets.sources import Source
from svae.errors import BenchmarkError

CONTENT = random.Random(0).randbytes(400_000)
PASSING = ("cut", "cut at once", "hang up", "429", "503")
"""Faults after which another try is likely to do."""
CELLS_OF_P3 = Preparation(label="gene", perturbations=["P3"])
IMPATIENT = Patience(timeout=0.15, retries=2, pause=0.001, longest_pause=0.01)


def source(*urls: str, content: bytes = CONTENT) -> Source:
    """Return a file that is published at some addresses."""
    checksum = f"md5:{md5(content).hexdigest()}"
    return Source("screen", "screen.h5ad", urls, len(content), checksum, "Somebody et al.", "CC0")


def schedule(seed: int) -> dict[str, Served]:
    """Draw what becomes of requests at an address, and at its mirror, which half of the time works."""
    draw = random.Random(seed)
    first = [*draw.choices(FAULTS, k=draw.randint(1, 6)), draw.choice([*FAULTS, "none", "none"])]
    mirror = draw.choice([["none"], [*draw.choices(FAULTS, k=2), "none"], ["none"], [draw.choice(FAULTS)]])
    has_version = draw.random() < 0.7
    return {
        path: Served(CONTENT, faults, has_version)
        for path, faults in (("/first.h5ad", first), ("/mirror.h5ad", mirror))
    }


@pytest.mark.parametrize("seed", range(200))
def test_the_file_is_right_or_there_is_one_sentence(seed, tmp_path):
    served, target = schedule(seed), tmp_path / "raw.h5ad"
    with serving(served) as server:
        published = source(*(server + path for path in served))
        problem = problem_of(download, published, target, IMPATIENT)
        assert target.exists() == (problem is None)
        if problem is None:
            assert target.read_bytes() == CONTENT
            assert [path.name for path in tmp_path.iterdir()] == ["raw.h5ad"]
        else:
            assert problem.startswith("download of screen.h5ad failed: http://")
            assert "\n" not in problem
            assert served["/mirror.h5ad"].faults != ["none"], "a mirror that works is enough"
        # Servers that were repaired serve the rest, whatever was left behind.
        for file in served.values():
            file.faults = ["none"]
        download(published, target)
        assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("seed", range(10 if os.environ.get("SVAE_ALL_DRAWS") else 3))
def test_the_cells_are_right_or_there_is_one_sentence(seed, tmp_path, monkeypatch):
    """But for a wrong byte, which nothing but a checksum of the whole can notice."""
    monkeypatch.setattr(rows, "ROWS_PER_BLOCK", 5)
    monkeypatch.setattr(rows, "BYTES_OF_TABLES_AT_ONCE", 1 << 13)
    draw, published, target = random.Random(seed), tmp_path / "published.h5ad", tmp_path / "rows.h5ad"
    write_look_alike(published, [f"P{i % 20}" for i in range(400)], [f"G{j}" for j in range(20)])
    content = published.read_bytes()
    faults = draw.choice([PASSING, [fault for fault in FAULTS if fault != "wrong byte"]])
    served = Served(content, [*draw.choices([*faults, *["none"] * 40], k=80), "none"])
    with serving({"/raw.h5ad": served}) as server:
        published_rows = source(f"{server}/raw.h5ad", content=content)
        problem = problem_of(fetch_rows, published_rows, CELLS_OF_P3, target, None, IMPATIENT)
        assert target.exists() == (problem is None)
        assert problem is None or problem.startswith("cells of screen.h5ad cannot be fetched: http://")
    if problem is not None:  # a server that begins anew serves the rest, whatever was left behind
        with serving({"/raw.h5ad": Served(content)}) as server:
            fetch_rows(source(f"{server}/raw.h5ad", content=content), CELLS_OF_P3, target)
    expected = ad.read_h5ad(published)
    assert (ad.read_h5ad(target).X == expected[expected.obs["gene"] == "P3"].X).all()


def problem_of(fetch: Callable[..., None], *arguments: Any) -> str | None:
    """Try to fetch something; return what the error says, if there is one."""
    try:
        fetch(*arguments)
    except BenchmarkError as error:
        return str(error)
    return None


def test_a_download_goes_on_where_it_was_cut_off(tmp_path):
    served = {"/raw.h5ad": Served(CONTENT, ["cut", "stall", "503", "none"])}
    with serving(served) as server:
        download(source(f"{server}/raw.h5ad"), tmp_path / "raw.h5ad", IMPATIENT)
    assert (tmp_path / "raw.h5ad").read_bytes() == CONTENT
    starts = [start for start, _ in served["/raw.h5ad"].sent]
    assert starts == sorted(set(starts)), "each answer begins behind the one before"
    assert len(starts) == 3


def test_the_right_file_that_is_there_already_stays(tmp_path):
    (tmp_path / "raw.h5ad").write_bytes(CONTENT)
    served = {"/raw.h5ad": Served(CONTENT, ["none"])}
    with serving(served) as server:
        download(source(f"{server}/raw.h5ad"), tmp_path / "raw.h5ad", IMPATIENT)
    assert served["/raw.h5ad"].requests == []


def test_another_file_of_that_name_is_replaced(tmp_path):
    (tmp_path / "raw.h5ad").write_bytes(CONTENT[::-1])
    with serving({"/raw.h5ad": Served(CONTENT, ["none"])}) as server:
        download(source(f"{server}/raw.h5ad"), tmp_path / "raw.h5ad", IMPATIENT)
    assert (tmp_path / "raw.h5ad").read_bytes() == CONTENT


@pytest.mark.parametrize("sends_version", [True, False])
def test_parts_of_two_versions_of_a_file_are_not_put_together(sends_version, tmp_path):
    old = bytes(255 - byte for byte in CONTENT)
    target, served = tmp_path / "raw.h5ad", {"/raw.h5ad": Served(old, ["cut", "404"], sends_version)}
    with serving(served) as server:
        published = source(f"{server}/raw.h5ad")
        with pytest.raises(BenchmarkError, match="404"):
            download(published, target, IMPATIENT)
        assert (tmp_path / "raw.h5ad.part").stat().st_size > 0
        served["/raw.h5ad"].content, served["/raw.h5ad"].faults = CONTENT, ["none"]
        download(published, target, IMPATIENT)
    assert target.read_bytes() == CONTENT
    asked = served["/raw.h5ad"].requests[-1]
    assert asked.startswith("bytes=") if sends_version else asked == "", "without a version, it starts over"


def test_a_part_of_another_file_is_not_gone_on_with(tmp_path):
    target, served = tmp_path / "raw.h5ad", {"/raw.h5ad": Served(CONTENT, ["cut", "404"])}
    with serving(served) as server:
        url = f"{server}/raw.h5ad"
        with pytest.raises(BenchmarkError, match="404"):
            download(source(url), target, IMPATIENT)
        row_was_changed = CONTENT[::-1]
        served["/raw.h5ad"].content, served["/raw.h5ad"].faults = row_was_changed, ["none"]
        served["/raw.h5ad"].requests.clear()
        download(source(url, content=row_was_changed), target, IMPATIENT)
    assert target.read_bytes() == row_was_changed
    assert served["/raw.h5ad"].requests == [""], "the whole file was asked for"


KILLED = """
import sys
from svae.datasets.download import download
from svae.datasets.sources import Source

url, size, checksum, target = sys.argv[1:]
download(Source("screen", "screen.h5ad", (url,), int(size), checksum, "Somebody", "CC0"), target)
"""


def test_a_killed_download_resumes(tmp_path):
    target, served = tmp_path / "raw.h5ad", {"/raw.h5ad": Served(CONTENT, ["stall", "none"])}
    part = tmp_path / "raw.h5ad.part"
    with serving(served) as server:
        published = source(f"{server}/raw.h5ad")
        arguments = [*published.urls, str(published.bytes), published.checksum, str(target)]
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, *arguments], env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
        wait_until(part, len(CONTENT) // 2)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        there = part.stat().st_size
        assert not target.exists()
        download(published, target, IMPATIENT)
    assert target.read_bytes() == CONTENT
    assert served["/raw.h5ad"].requests == ["", f"bytes={there}-{len(CONTENT) - 1}"]


def wait_until(path: Path, size: int) -> None:
    """Wait for a file of a size."""
    for _ in range(600):
        if path.exists() and path.stat().st_size >= size:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} never had {size} bytes")
