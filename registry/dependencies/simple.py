"""A Simple API that somebody else serves: its list of a project's files, and files, in bounds.

The list is asked for as JSON (PEP 691). Every answer is bounded in size, and waiting for it in
time; redirects are not followed, and no address is asked but with HTTPS or the index's own scheme.
What the index says is a claim: whoever takes a file from it compares the digest.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import requests

from registry import replies
from registry.pypi.negotiation import JSON
from trust.errors import SealgateError, problem

MAX_LIST_BYTES: Final = 32 << 20
TIMEOUT: Final = (5.0, 30.0)
"""Seconds to connect, and to wait for data."""


class NoAnswer(SealgateError):
    """The index gave no usable answer. Its callers say what that means for them."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a project, as the index lists it.

    Attributes:
        filename: its name.
        address: where the index says that it is, absolute.
        sha256: the digest that the index gives, or None.
        provenance: where the index says that its provenance is (PEP 740), absolute, or None.
    """

    filename: str
    address: str
    sha256: str | None
    provenance: str | None


@dataclass(frozen=True, slots=True)
class SimpleApi:
    """A Simple API.

    Attributes:
        url: its base, such as `https://pypi.org/simple`.
    """

    url: str

    def files(self, name: str, filename: str) -> list[Listed] | None:
        """Return the files of this name that the index lists; None where it has no such project.

        Args:
            name: the project, normalised.
            filename: the file name.

        Raises:
            NoAnswer: the index does not answer, not in bounds, or with something else than a list.
        """
        page = f"{self.url.rstrip('/')}/{quote(name, safe='')}/"
        listing = self.get(page, MAX_LIST_BYTES, JSON)
        if listing is None:
            return None
        try:
            files = json.loads(listing)["files"]
            return [_listed(page, item) for item in files if item["filename"] == filename]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _no_answer(page, error, "a list of files (PEP 691, JSON)") from error

    def get(self, address: str, most: int, accept: str = "*/*") -> bytes | None:
        """Return the answer of one address; None where nothing is there.

        Args:
            address: absolute, such as the list gives it.
            most: bytes of a usable answer.
            accept: the media type to ask for.

        Raises:
            NoAnswer: the index does not answer, or not in bounds, or with another status.
        """
        if urlsplit(address).scheme not in ("https", urlsplit(self.url).scheme):
            raise _no_answer(address, "another scheme than the index's", "https")
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
                    raise _no_answer(address, f"status {reply.status_code}", "status 200")
                data = replies.read(reply, most)
        except (requests.RequestException, OSError) as error:
            raise _no_answer(address, error, "an answer") from error
        if len(data) > most:
            raise _no_answer(address, f"more than {most} bytes", f"at most {most} bytes")
        return data


def _listed(page: str, item: Any) -> Listed:
    provenance = item.get("provenance")
    return Listed(
        filename=item["filename"],
        address=urljoin(page, item["url"]),
        sha256=item.get("hashes", {}).get("sha256"),
        provenance=None if provenance is None else urljoin(page, str(provenance)),
    )


def _no_answer(address: str, value: object, expected: str) -> NoAnswer:
    return NoAnswer(
        problem(
            "registry.simple-api",
            "the index gave no usable answer",
            value=value,
            expected=expected,
            where=address,
        )
    )
