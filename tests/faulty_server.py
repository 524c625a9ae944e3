"""A server of files that treats each request as badly as it is told."""

import gc
import http.server
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from zlib import crc32

FAULTS = (
    *("cut", "cut at once", "hang up", "stall", "refuse ranges", "wrong byte", "wrong range", "endless"),
    *("another version", "another size", "404", "429", "503"),
)
"""What can go wrong with one request; anything else is answered as it should be."""
STALL = 0.6
"""Seconds for which a server stalls, longer than any client of the tests waits."""
OTHER_BYTES = bytes(255 - byte for byte in range(256))
RETRY_AFTER = {"429": "0", "503": "1"}


@dataclass
class Served:
    """A file, and what becomes of each request for it; the last fault is that of all further ones."""

    content: bytes
    faults: Sequence[str] = ("none",)
    sends_version: bool = True
    requests: list[str] = field(default_factory=list)
    sent: list[tuple[int, int]] = field(default_factory=list)
    """First byte of each answer, and the one after its last."""

    def next_fault(self, asked: str) -> str:
        """Note a request; return what becomes of it."""
        self.requests.append(asked)
        return self.faults[min(len(self.requests), len(self.faults)) - 1]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # small answers would wait for each other
    files: Mapping[str, Served]
    closing: threading.Event

    def do_GET(self):
        if self.path.startswith("/redirect/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/redirect"))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        served = self.files.get(self.path)
        if served is None:
            self.send_error(404)
            return
        asked = self.headers.get("Range", "")
        fault = served.next_fault(asked)
        content = served.content
        if fault == "hang up":
            self.close_connection = True
        elif fault.isdigit():
            self.send_response(int(fault))
            if fault in RETRY_AFTER:
                self.send_header("Retry-After", RETRY_AFTER[fault])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif fault == "another version":
            self._answer(served, content.translate(OTHER_BYTES), asked, fault)
        elif fault == "another size":
            self._answer(served, content + b"more", asked, fault)
        else:
            self._answer(served, content, asked, fault)

    def _answer(self, served: Served, content: bytes, asked: str, fault: str):
        """Send the part of the content that was asked for, and do a fault to it."""
        version = f'"{crc32(content):08x}"'
        place = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        same = self.headers.get("If-Range", version) == version
        start, stop = 0, len(content)
        if place is not None and same and fault != "refuse ranges":
            start, stop = int(place[1]), min(int(place[2]) + 1 if place[2] else stop, stop)
            self.send_response(206)
            told = start + 1 if fault == "wrong range" else start
            self.send_header("Content-Range", f"bytes {told}-{stop - 1}/{len(content)}")
        else:
            self.send_response(200)
        body = bytearray(content[start:stop])
        if served.sends_version:
            self.send_header("ETag", version)
        if fault == "endless":
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == "wrong byte" and body:
            body[len(body) // 2] ^= 1
        if fault in ("cut", "stall"):
            body = body[: 2 * len(body) // 3]
        if fault == "cut at once":
            body = body[:0]
        with suppress(OSError):
            self.wfile.write(body)
            self.wfile.flush()
            served.sent.append((start, start + len(body)))
            if fault == "endless":
                while not self.closing.is_set():
                    self.wfile.write(content)
            if fault == "stall":
                self.closing.wait(STALL)
        if fault in ("cut", "cut at once", "stall"):
            self.close_connection = True

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128  # clients open several connections at once


@contextmanager
def serving(files: Mapping[str, Served]) -> Iterator[str]:
    """Serve some files by their paths, which begin with a slash; yield the address of the server."""
    # The client holds the lock of h5py while it waits for an answer, and both are threads of one process. A
    # thread of the server that collects garbage of h5py would wait for that lock, and the client for it.
    gc.collect()
    gc.disable()
    closing = threading.Event()
    handler = type("Handler", (_Handler,), {"files": files, "closing": closing})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            closing.set()
            server.shutdown()
            gc.enable()
