"""What python-tuf fetches with: the runner's own bounded GET.

Each file has the size bound that python-tuf asks for and a bound in time; all files of one
refresh together have another one, so that a server that drips cannot hold a refresh for ever.
Redirects are not followed.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Final

from tuf.api.exceptions import (
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    SlowRetrievalError,
)
from tuf.ngclient.fetcher import FetcherInterface

from runner.http_get import Bounds, FetchFailed, get

FILE_SECONDS: Final = 10.0
WHEEL_SECONDS: Final = 30.0
REFRESH_SECONDS: Final = 20.0
"""The longest that all requests of one refresh, or of one look at a plugin, may take."""
MAX_BYTES: Final = 64 << 20


class _Request(threading.local):
    """What one thread is fetching: the last address, and its bounds."""

    url = ""
    end: float | None = None
    seconds = FILE_SECONDS


class BoundedFetcher(FetcherInterface):
    """Fetches by `runner.http_get`; several threads may use it, each under its own budget."""

    def __init__(
        self, steady: Callable[[], float], fetch: Callable[[str, Bounds], bytes] = get
    ) -> None:
        """Take the clock, in seconds, and what does one bounded GET."""
        self._steady = steady
        self._get = fetch
        self._request = _Request()

    @property
    def url(self) -> str:
        """The last address that this thread asked for."""
        return self._request.url

    @contextmanager
    def budget(self, url: str, seconds: float, each: float = FILE_SECONDS) -> Iterator[None]:
        """Bound everything that this thread fetches inside.

        Args:
            url: what it is about, until something is asked for.
            seconds: the bound on everything together.
            each: the bound on one file, in seconds.
        """
        request = self._request
        request.url, request.end, request.seconds = url, self._steady() + seconds, each
        try:
            yield
        finally:
            request.end, request.seconds = None, FILE_SECONDS

    def _bounded(self, url: str, max_length: int) -> bytes:
        request = self._request
        request.url = url
        seconds = request.seconds
        if request.end is not None:
            seconds = min(seconds, request.end - self._steady())
            if seconds <= 0:
                raise SlowRetrievalError(f"no time is left for {url}")
        try:
            return self._get(url, Bounds(seconds, max_length))
        except FetchFailed as error:
            text = f"{error.problem.what}: {error.problem.value}"
            if error.reason == "too slow":
                raise SlowRetrievalError(text) from error
            if error.reason == "too large":
                raise DownloadLengthMismatchError(text) from error
            if error.status is not None and error.status != 200:
                raise DownloadHTTPError(text, error.status) from error
            raise DownloadError(text) from error

    @contextmanager
    def download_file(self, url: str, max_length: int) -> Iterator[IO[bytes]]:
        """Fetch within python-tuf's own bound; the base class would first fetch and then count."""
        yield io.BytesIO(self._bounded(url, max_length))

    def _fetch(self, url: str) -> Iterator[bytes]:
        yield self._bounded(url, MAX_BYTES)


class KeptFetcher(FetcherInterface):
    """Reaches nobody: offers the timestamp that was kept, so that what was verified can be read.

    python-tuf verifies it all again, expiry included.
    """

    def __init__(self, timestamp: bytes) -> None:
        """Take the timestamp as it was persisted."""
        self._timestamp = timestamp
        self.url = ""

    def _fetch(self, url: str) -> Iterator[bytes]:
        self.url = url
        if url.endswith("/timestamp.json"):
            yield self._timestamp
        elif url.endswith(".root.json"):
            raise DownloadHTTPError("not kept", 404)
        else:
            raise DownloadError("not kept")
