"""Addresses of published files, on the web or on this machine, that are read from any byte on."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from svae.errors import BenchmarkError, one_line

BYTES_AT_ONCE = 1 << 16
CONNECTIONS = 8
"""Requests to one server at the same time, as many as a browser makes."""
OVERLOADED = (408, 429, 500, 502, 503, 504)
"""Statuses of servers that may answer later."""
EXPIRED = (401, 403, 404, 410)
"""Statuses of an address that a server had redirected to, and that was good for a while."""


class AddressError(BenchmarkError):
    """An address does not serve a file as it should; another one may."""


class InterruptionError(Exception):
    """The bytes ended early; the next try may go on from there."""


@dataclass(frozen=True)
class Patience:
    """How much a server may ask of us.

    Attributes
    ----------
    timeout
        Seconds without a byte after which a connection counts as broken.
    retries
        Failures in a row after which an address is given up.
    pause
        Seconds to wait after the first failure; each further one doubles them.
    longest_pause
        Seconds that a wait lasts at most, whatever the server asks for (``Retry-After``).
    """

    timeout: float = 60.0
    retries: int = 6
    pause: float = 1.0
    longest_pause: float = 300.0

    def wait(self, failures: int, trouble: InterruptionError) -> None:
        """Wait for the next try; raise a :class:`AddressError` after too many `failures` in a row."""
        if failures > self.retries:
            raise AddressError(f"{trouble}, {failures} times in a row") from trouble
        time.sleep(min(self.pause * 2 ** (failures - 1), self.longest_pause))

    def of_requests(self) -> Retry:
        """Return the same for requests that get no answer, or that of an overloaded server."""
        return Retry(
            total=self.retries,
            status_forcelist=OVERLOADED,
            raise_on_status=False,
            backoff_factor=self.pause,
            backoff_max=self.longest_pause,
            retry_after_max=int(self.longest_pause),
        )


PATIENCE = Patience()


class WebAddress:
    """A file on a server.

    Parameters
    ----------
    url
        Where it is.
    size
        Bytes that it must have.
    patience
        How long to try.
    """

    def __init__(self, url: str, size: int, patience: Patience):
        self.url, self.size, self.patience = url, size, patience
        self.version: str | None = None
        """The ``ETag`` of the file that bytes were read of, if the server sends one."""
        self._location = url
        self._session = requests.Session()
        adapter = HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=patience.of_requests())
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, adapter)

    def stream(self, start: int) -> tuple[int, Iterator[bytes]]:
        """Ask for the bytes from `start` on.

        Returns
        -------
        The place of the first byte that comes, and the bytes in blocks. The place is 0 if the server cannot
        begin elsewhere, or has another version of the file. The blocks end in an :class:`InterruptionError`
        if the connection breaks.
        """
        response = self._ask(start, self.size)
        version = response.headers.get("ETag")
        if response.status_code == requests.codes.partial_content and self.version not in (None, version):
            response.close()
            self.version = None
            return self.stream(0)
        self.version = version
        return start if response.status_code == requests.codes.partial_content else 0, _blocks(response)

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to `stop`, all of one version of the file."""
        for failures in count(1):
            try:
                return self._read(start, stop)
            except InterruptionError as trouble:
                self.patience.wait(failures, InterruptionError(f"{self.url}: {trouble}"))
        raise AssertionError("unreachable")

    def _read(self, start: int, stop: int) -> bytes:
        response = self._ask(start, stop)
        version = response.headers.get("ETag")
        if self.version not in (None, version):
            response.close()
            raise AddressError(f"{self.url}: the file changed while it was read")
        if response.status_code != requests.codes.partial_content:
            response.close()
            raise AddressError(f"{self.url}: the server does not send parts of a file")
        self.version = version
        found = bytearray()
        for block in _blocks(response):
            found += block
            if len(found) > stop - start:
                raise AddressError(f"{self.url}: asked for {stop - start:,} bytes, the server sent more")
        if len(found) < stop - start:
            raise InterruptionError(f"{len(found):,} bytes came, of {stop - start:,}")
        return bytes(found)

    def _ask(self, start: int, stop: int) -> requests.Response:
        """Ask for a range of bytes; return an answer that is this range, or the whole file."""
        headers = {"Accept-Encoding": "identity"}
        if (start, stop) != (0, self.size):
            headers["Range"] = f"bytes={start}-{stop - 1}"
            if self.version is not None and not self.version.startswith("W/"):
                headers["If-Range"] = self.version
        location = self._location
        try:
            response = self._session.get(
                location, headers=headers, stream=True, timeout=self.patience.timeout
            )
        except requests.RequestException as error:
            raise AddressError(
                f"{self.url}: the server cannot be reached ({one_line(str(error), 200)})"
            ) from error
        if response.status_code in EXPIRED and location != self.url:
            self._location = self.url
            return self._ask(start, stop)
        self._location = response.url
        try:
            self._check(response, start, stop)
        except AddressError:
            response.close()
            raise
        return response

    def _check(self, response: requests.Response, start: int, stop: int) -> None:
        """Raise if an answer is neither the bytes that were asked for, nor a file of the right size."""
        if response.status_code == requests.codes.partial_content:
            sent = response.headers.get("Content-Range", "")
            place, _, size = sent.partition("/")
            if size in ("*", str(self.size)) and place != f"bytes {start}-{stop - 1}":
                raise AddressError(
                    f"{self.url}: asked for bytes {start}-{stop - 1}, the server sent '{sent}'"
                )
        elif response.status_code == requests.codes.ok:
            size = response.headers.get("Content-Length", "")
        else:
            answer = f"{response.status_code} {response.reason}"
            raise AddressError(f"{self.url}: the server answers '{answer}'")
        if size.isdigit():
            refuse_size(self.url, int(size), self.size)


class FileAddress:
    """A file of this machine; it has the methods of :class:`WebAddress`.

    Parameters
    ----------
    url
        Where it is, beginning with ``file://``.
    size
        Bytes that it must have.
    """

    def __init__(self, url: str, size: int):
        self.url = url
        self.version: str | None = None
        self._path = Path(url2pathname(urlsplit(url).path))
        try:
            found = self._path.stat()
        except OSError as error:
            raise AddressError(f"{url}: the file cannot be read ({error.strerror})") from error
        refuse_size(url, found.st_size, size)
        self._modified = str(found.st_mtime_ns)

    def stream(self, start: int) -> tuple[int, Iterator[bytes]]:
        """Return the place of the first byte that comes, and the bytes in blocks."""
        if self.version != self._modified:
            start = 0
        self.version = self._modified
        return start, self._blocks(start)

    def _blocks(self, start: int) -> Iterator[bytes]:
        with open(self._path, "rb") as file:
            file.seek(start)
            while block := file.read(BYTES_AT_ONCE):
                yield block

    def read(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to `stop`."""
        self.version = self._modified
        with open(self._path, "rb") as file:
            file.seek(start)
            return file.read(stop - start)


Address = WebAddress | FileAddress


def open_address(url: str, size: int, patience: Patience) -> Address:
    """Return what reads the file at `url`, which must have `size` bytes."""
    return FileAddress(url, size) if urlsplit(url).scheme == "file" else WebAddress(url, size, patience)


def refuse_size(url: str, found: int, size: int) -> None:
    """Raise if a file has another size than what was published."""
    if found != size:
        raise AddressError(f"{url}: the file has {found:,} bytes, but must have {size:,}")


def _blocks(response: requests.Response) -> Iterator[bytes]:
    """Return the bytes of an answer; a connection that breaks or stalls is :class:`InterruptionError`."""
    try:
        with response:
            yield from response.iter_content(BYTES_AT_ONCE)
    except requests.RequestException as error:
        raise InterruptionError(one_line(str(error), 200)) from error
