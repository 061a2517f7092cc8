"""The body of an HTTP reply, read in bounds. Who asks, and whom, is the caller's."""

from __future__ import annotations

import requests
from urllib3.exceptions import HTTPError


def read(reply: requests.Response, most: int) -> bytes:
    """Return the body of a reply that was asked for with `stream=True`, decompressed.

    Args:
        reply: the reply, open.
        most: bytes of a usable body; of a longer one, one byte more is returned.

    Raises:
        requests.RequestException: the body breaks off, stalls, or cannot be decompressed.
    """
    try:
        data: bytes = reply.raw.read(most + 1, decode_content=True)
    except HTTPError as error:
        raise requests.ConnectionError(error) from error
    return data
