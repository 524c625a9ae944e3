import hashlib
import http.server
import threading
from contextlib import suppress
from dataclasses import replace

import pytest
from checkout import ROOT

from svae.datasets.download import Source, download, read_sources, source
from svae.errors import BenchmarkError

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
        url=file.as_uri(),
        bytes=len(CONTENT),
        checksum=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
        citation="Somebody et al.",
        licence="CC0",
    )


@pytest.fixture
def server():
    """Return the address of a server that hangs up half way, or never stops."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path not in ("/published.h5ad", "/endless.h5ad"):
                self.send_error(404)
                return
            self.send_response(200)
            if self.path == "/endless.h5ad":
                self.end_headers()
                with suppress(OSError):
                    while True:
                        self.wfile.write(CONTENT)
                return
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT[: len(CONTENT) // 2])

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def test_the_table_is_valid_and_has_the_studies():
    sources = read_sources(TABLE)
    assert len(sources) == 8
    assert source("replogle2022_k562_gwps", TABLE).bytes == 65_830_941_948
    assert source("norman2019", TABLE).checksum.startswith("sha256:b679c157")
    assert all(s.url.startswith("https://") and s.file.endswith(".h5ad") for s in sources.values())


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
        ({"bytes": len(CONTENT) + 1}, "got 16,000 bytes, but published.h5ad has 16,001"),
        ({"bytes": len(CONTENT) - 1}, "got more than 15,999 bytes"),
        ({"checksum": "md5:" + 32 * "0"}, "md5 of published.h5ad is [0-9a-f]{32}, but must be 0{32}"),
        ({"url": "file:///nowhere/at/all.h5ad"}, "download of published.h5ad failed"),
    ],
)
def test_a_wrong_download_leaves_nothing(published, tmp_path, change, message):
    target = tmp_path / "new" / "raw.h5ad"
    with pytest.raises(BenchmarkError, match=message):
        download(replace(published, **change), target)
    assert list(target.parent.iterdir()) == []


def test_a_wrong_download_leaves_the_file_that_was_there(published, tmp_path):
    target = tmp_path / "raw.h5ad"
    target.write_bytes(b"earlier")
    with pytest.raises(BenchmarkError):
        download(replace(published, checksum="md5:" + 32 * "0"), target)
    assert target.read_bytes() == b"earlier"


def test_a_connection_that_breaks_and_a_page_that_is_gone_are_told(published, server, tmp_path):
    target = tmp_path / "new" / "raw.h5ad"
    with pytest.raises(BenchmarkError, match="8000 bytes read, 8000 more expected"):
        download(replace(published, url=f"{server}/published.h5ad"), target)
    with pytest.raises(BenchmarkError, match="404"):
        download(replace(published, url=f"{server}/moved.h5ad"), target)
    assert list(target.parent.iterdir()) == []


def test_a_server_that_sends_without_end_is_stopped(published, server, tmp_path):
    target = tmp_path / "new" / "raw.h5ad"
    with pytest.raises(BenchmarkError, match="got more than 16,000 bytes"):
        download(replace(published, url=f"{server}/endless.h5ad"), target)
    assert list(target.parent.iterdir()) == []
