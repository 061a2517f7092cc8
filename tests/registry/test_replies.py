"""The bodies of replies: bounded, and every way to break off is the one error callers expect."""

from __future__ import annotations

import gzip
import io

import pytest
import requests
from urllib3 import HTTPResponse

from registry import replies


def reply(body: bytes, **headers: str) -> requests.Response:
    made = requests.Response()
    made.raw = HTTPResponse(io.BytesIO(body), headers, preload_content=False)
    return made


def test_a_body_is_read_to_one_byte_above_its_bound() -> None:
    assert replies.read(reply(b"12345"), 5) == b"12345"
    assert replies.read(reply(b"1234567"), 5) == b"123456"


def test_the_bound_holds_for_what_was_decompressed() -> None:
    packed = gzip.compress(b"0" * (1 << 20))
    assert replies.read(reply(packed, **{"Content-Encoding": "gzip"}), 100) == b"0" * 101


@pytest.mark.parametrize("headers", [{"Content-Length": "6"}, {"Content-Encoding": "gzip"}])
def test_a_body_that_breaks_off_or_lies_is_an_error_of_requests(headers: dict[str, str]) -> None:
    with pytest.raises(requests.RequestException):
        replies.read(reply(b"12345", **headers), 100)
