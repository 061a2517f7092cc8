"""Where a version's methods can be tried: the address of a runner, and the client that asks for it.

The registry itself never calls the runner: the visitor's browser does, as the visitor.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_URL = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~-]+)*")
EXPECTED = "a http(s) URL without a final slash, query or fragment"


@dataclass(frozen=True, slots=True)
class CallingSettings:
    """What the operator says about the runner that pages may call.

    Attributes:
        runner_url: its base URL as browsers reach it, without a trailing slash.
        client_id: the client of the pages that call, at the issuer of the sign-in.

    Raises:
        ValueError: the address is not one; nothing else may get into a page's policy.
    """

    runner_url: str
    client_id: str

    def __post_init__(self) -> None:
        if not _URL.fullmatch(self.runner_url):
            raise ValueError(self.runner_url)

    @property
    def origin(self) -> str:
        """The runner's origin (RFC 6454)."""
        parts = urlsplit(self.runner_url)
        return f"{parts.scheme}://{parts.netloc}"
