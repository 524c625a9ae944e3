import hashlib
import shutil
from collections import namedtuple
from dataclasses import replace

import anndata as ad
import pytest
from checkout import ROOT
from faulty_server import Served, serving
from screens import GENES, GUIDES, write_screen

from svae.datasets.addresses import Patience, WebAddress
from svae.datasets.download import download
from svae.datasets.part import part_of
from svae.datasets.sources import Source, read_sources, source
from svae.errors import BenchmarkError
from svae.files import checksum

TABLE = ROOT / "config" / "datasets.tsv"
CONTENT = b"counts of cells " * 1000


@pytest.fixture
def published(tmp_path):
    """Return a source whose file lies on this machine."""
    file = tmp_path / "published.h5ad"
    file.write_bytes(CONTENT)
    return Source(
        name="screen",
        file="published.h5ad",
        urls=(file.as_uri(),),
        bytes=len(CONTENT),
        checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
        citation="Somebody et al.",
        licence="CC0",
    )


def test_the_table_is_valid_and_has_the_studies():
    sources = read_sources(TABLE)
    assert len(sources) == 8
    assert source("replogle2022_k562_gwps", TABLE).bytes == 65_830_941_948
    assert source("norman2019", TABLE).checksum.startswith("sha256:b679c157")
    assert all(s.file.endswith(".h5ad") for s in sources.values())
    assert all(url.startswith("https://") for s in sources.values() for url in s.urls)


def test_an_unknown_study_is_answered_with_the_nearest():
    with pytest.raises(BenchmarkError, match="unknown dataset 'norman2018', did you mean 'norman2019'"):
        source("norman2018", TABLE)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("\tbytes\t", "\tsize\t", "column 'bytes' is missing"),
        ("\t147215278\t", "\t147 MB\t", "dataset 'papalexi2021': bytes is '147 MB'"),
        ("\t147215278\t", "\t0\t", "bytes is '0', not a positive"),
        ("md5:d9e8bfe2", "md5:d9e8", "md5 must be 32 hexadecimal digits"),
        ("md5:d9e8bfe2", "crc:d9e8bfe2", "unknown checksum 'crc'"),
        ("papalexi2021\t", "sciplex3\t", "dataset 'sciplex3' occurs more than once"),
        ("\trows\t", "\trow\t", "unknown access 'row', did you mean 'rows'"),
        ("cells=1989578", "cells=many", "content: cells is 'many', not a positive"),
        ("\treplogle2022_k562_gwps_scperturb\n", "\treplogle\n", "instead: unknown dataset 'replogle'"),
        ("papalexi2021\tPapalexiSatija2021_eccite_RNA.h5ad", "papalexi2021\t", "file is empty"),
        (
            "https://zenodo.org/records/13350497/files/Papalexi",
            "zenodo.org/Papalexi",
            "does not begin with https://",
        ),
    ],
)
def test_a_broken_table_is_one_sentence(tmp_path, before, after, message):
    text = TABLE.read_text(encoding="utf-8")
    assert before in text
    table = tmp_path / "datasets.tsv"
    table.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(BenchmarkError, match=message) as caught:
        read_sources(table)
    assert str(caught.value).startswith(str(table))


def test_a_download_is_the_file(published, tmp_path, caplog):
    caplog.set_level("INFO", logger="svae")
    download(published, tmp_path / "new" / "raw.h5ad")
    assert (tmp_path / "new" / "raw.h5ad").read_bytes() == CONTENT
    assert "published.h5ad: 0.0 of 0.0 MB (100 %)" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bytes": len(CONTENT) + 1}, "the file has 16,000 bytes, but must have 16,001"),
        ({"bytes": len(CONTENT) - 1}, "the file has 16,000 bytes, but must have 15,999"),
        (
            {"checksum": "md5:" + 32 * "0"},
            "the checksum of published.h5ad is md5:[0-9a-f]{32}, but must be md5:0+",
        ),
        ({"urls": ("file:///nowhere/at/all.h5ad",)}, r"cannot be read \(No such file or directory\)"),
    ],
)
def test_a_wrong_download_leaves_nothing(published, tmp_path, change, message):
    target = tmp_path / "new" / "raw.h5ad"
    with pytest.raises(BenchmarkError, match=message) as caught:
        download(replace(published, **change), target)
    assert str(caught.value).startswith("download of published.h5ad failed: file:///")
    assert list(target.parent.iterdir()) == []


def test_a_wrong_download_leaves_the_file_that_was_there(published, tmp_path):
    target = tmp_path / "raw.h5ad"
    target.write_bytes(b"earlier")
    with pytest.raises(BenchmarkError):
        download(replace(published, checksum="md5:" + 32 * "0"), target)
    assert target.read_bytes() == b"earlier"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("moved", "the server answers '404 Not Found'"),
        ("endless", "got more than 16,000 bytes of published.h5ad"),
        ("longer", "the file has 16,004 bytes, but must have 16,000"),
        ("overloaded", "the server answers '503 Service Unavailable'"),
        ("broken", "after 0 of 16,000 bytes, 2 times in a row"),
        ("silent", "the server cannot be reached"),
    ],
)
def test_what_a_server_does_is_told_and_its_mirror_asked(published, tmp_path, path, message, caplog):
    served = {
        "/endless": Served(CONTENT, ["endless"]),
        "/longer": Served(CONTENT + b"more"),
        "/overloaded": Served(CONTENT, ["503"]),
        "/broken": Served(CONTENT, ["cut at once"]),
        "/silent": Served(CONTENT, ["hang up"]),
        "/mirror": Served(CONTENT),
    }
    target, patience = tmp_path / "new" / "raw.h5ad", Patience(0.2, retries=1, pause=0, longest_pause=0)
    with serving(served) as server:
        url = f"{server}/{path}"
        with pytest.raises(BenchmarkError, match=message) as caught:
            download(replace(published, urls=(url,)), target, patience)
        assert url in str(caught.value)
        assert list(target.parent.iterdir()) == []
        download(replace(published, urls=(url, f"{server}/mirror")), target, patience)
    assert target.read_bytes() == CONTENT
    assert url in caplog.text, "the log says why the mirror was asked"


def test_a_redirected_address_is_asked_anew_once_it_has_expired(published):
    """Public archives redirect to addresses that are good for seconds."""
    served = {"/kept": Served(CONTENT, ["none", "403", "none"])}
    with serving(served) as server:
        address = WebAddress(f"{server}/redirect/kept", len(CONTENT), Patience())
        for start in (0, 10, 20):
            assert address.read(start, start + 10) == CONTENT[start : start + 10]
    assert len(served["/kept"].requests) == 4


def test_a_disk_that_is_too_small_is_told_before_the_download(published, tmp_path, monkeypatch):
    usage = namedtuple("usage", "free")(free=15_999)
    monkeypatch.setattr(shutil, "disk_usage", {tmp_path: usage}.get)
    with pytest.raises(
        BenchmarkError, match=r"published.h5ad: 0.0 GB are needed in '.*', but its disk has 0.0"
    ):
        download(published, tmp_path / "raw.h5ad")
    assert list(tmp_path.iterdir()) == [tmp_path / "published.h5ad"]


def test_a_file_is_written_by_one_process_at_a_time(published, tmp_path):
    with part_of(tmp_path / "raw.h5ad"), pytest.raises(BenchmarkError, match="another process is writing"):
        download(published, tmp_path / "raw.h5ad")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"cells": sum(GUIDES.values()), "genes": GENES, "guide": len(GUIDES), "guide:ctrl": 60}, None),
        ({"cells": 3}, "screen.h5ad: cells is 340 in the file, but 3 in the table of sources"),
        ({"guide:ctrl": 61}, "guide:ctrl is 60 in the file, but 61"),
        ({"guides": 8}, "unknown column of obs 'guides', did you mean 'guide'?"),
    ],
)
def test_what_a_file_holds_is_compared_with_the_table(published, tmp_path, content, message):
    screen, target = tmp_path / "screen.h5ad", tmp_path / "raw.h5ad"
    write_screen(screen)
    row = replace(
        published,
        file="screen.h5ad",
        urls=(screen.as_uri(),),
        bytes=screen.stat().st_size,
        checksum=f"md5:{checksum(screen, 'md5')}",
        content=content,
    )
    if message is None:
        download(row, target)
        assert ad.read_h5ad(target).n_vars == GENES
    else:
        with pytest.raises(BenchmarkError, match=message):
            download(row, target)
        assert not target.exists()
