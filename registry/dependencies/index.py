"""A package index that the operator named: locked wheels are fetched from it, by digest.

The index is asked for its list of files (PEP 691, JSON) and for one file. Both answers are bounded
in size and time, redirects are not followed, and only bytes with the locked digest are taken: an
index that lies can withhold, nothing more.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urljoin, urlsplit

import requests

from registry.errors import Unavailable
from trust.errors import problem
from trust.wheel.bounds import MAX_WHEEL_BYTES

MAX_LIST_BYTES: Final = 32 << 20
TIMEOUT: Final = (5.0, 30.0)
"""Seconds to connect, and to wait for data."""
_JSON: Final = "application/vnd.pypi.simple.v1+json"


@dataclass(frozen=True, slots=True)
class Index:
    """A Simple API.

    Attributes:
        url: its base, such as `https://pypi.org/simple`.
    """

    url: str

    def fetch(self, name: str, filename: str, sha256: str) -> bytes | None:
        """Return the file with this digest, or None where the index has none.

        Args:
            name: the project, normalised.
            filename: the wheel's file name.
            sha256: the digest that it must have.

        Raises:
            Unavailable: the index does not answer, not in bounds, or with other bytes.
        """
        page = f"{self.url.rstrip('/')}/{quote(name, safe='')}/"
        listing = self._get(page, MAX_LIST_BYTES, _JSON)
        if listing is None:
            return None
        try:
            files = json.loads(listing)["files"]
            addresses = [
                urljoin(page, item["url"]) for item in files if item["filename"] == filename
            ]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._failed(page, error) from error
        for address in addresses:
            data = self._get(address, MAX_WHEEL_BYTES, "*/*")
            if data is not None:
                found = hashlib.sha256(data).hexdigest()
                if found != sha256:
                    raise self._failed(address, f"sha256:{found} in place of sha256:{sha256}")
                return data
        return None

    def _get(self, address: str, most: int, accept: str) -> bytes | None:
        if urlsplit(address).scheme not in ("https", urlsplit(self.url).scheme):
            raise self._failed(address, "another scheme than the index's")
        try:
            with requests.get(
                address,
                headers={"Accept": accept},
                timeout=TIMEOUT,
                allow_redirects=False,
                stream=True,
            ) as reply:
                if reply.status_code == 404:
                    return None
                if reply.status_code != 200:
                    raise self._failed(address, f"status {reply.status_code}")
                data: bytes = reply.raw.read(most + 1, decode_content=True)
        except (requests.RequestException, OSError) as error:
            raise self._failed(address, error) from error
        if len(data) > most:
            raise self._failed(address, f"more than {most} bytes")
        return data

    def _failed(self, address: str, value: object) -> Unavailable:
        return Unavailable(
            problem(
                "registry.dependency-index",
                "the index of dependencies gave no usable answer",
                value=value,
                expected="the locked file, within bounds",
                advice="it is asked again by itself; the operator may look at the index",
                where=address,
            )
        )
