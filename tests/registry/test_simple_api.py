"""What an index may answer to those who ask it for files, and what they make of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from registry.dependencies.index import Index
from registry.dependencies.simple import NoAnswer, SimpleApi
from registry.errors import Unavailable
from sealgate.adopt import provenance
from sealgate.adopt.resolve import NotAdopted
from tests.support import servers
from tests.support.dependencies import make_library

LIBRARY, DATA = make_library()
PAGE = "/simple/shouting/"


@contextmanager
def index(answers: dict[str, bytes | int], cut: int = 0) -> Iterator[str]:
    """Serve these pages or statuses, each without its last `cut` bytes."""
    with servers.pages(answers, cut) as address:
        yield f"{address}/simple"


def listing(**changes: Any) -> bytes:
    line = {
        "filename": LIBRARY.filename,
        "url": "../../files/library",
        "hashes": {"sha256": LIBRARY.sha256},
        "provenance": "/proof",
    }
    return json.dumps({"files": [{"filename": "other.whl", "url": "o"}, line | changes]}).encode()


def test_a_file_and_its_provenance_are_had() -> None:
    with index({PAGE: listing(), "/files/library": DATA, "/proof": b"{}"}) as url:
        assert Index(url).fetch("shouting", LIBRARY.filename, LIBRARY.sha256) == DATA
        assert provenance.fetch(url, LIBRARY) == b"{}"


def test_what_is_not_there_is_none() -> None:
    with index({PAGE: listing(provenance=None)}) as url:
        assert SimpleApi(url).files("whispering", LIBRARY.filename) is None
        assert Index(url).fetch("whispering", LIBRARY.filename, LIBRARY.sha256) is None
        assert Index(url).fetch("shouting", LIBRARY.filename, LIBRARY.sha256) is None
        assert provenance.fetch(url, LIBRARY) is None


@pytest.mark.parametrize(
    "page",
    [
        b"<html>",
        b"[]",
        b'{"files": [1]}',
        b'{"files": [{"filename": "%s"}]}' % LIBRARY.filename.encode(),
        listing(hashes=[]),
        b"[" * 100_000,
        302,
        500,
        listing(url="ftp://127.0.0.1/library", provenance="ftp://127.0.0.1/proof"),
    ],
    ids=lambda page: str(page)[:24],
)
def test_an_answer_that_cannot_be_used_is_refused_with_the_callers_code(page: bytes | int) -> None:
    with index({PAGE: page}) as url:
        with pytest.raises(Unavailable) as unavailable:
            Index(url).fetch("shouting", LIBRARY.filename, LIBRARY.sha256)
        assert unavailable.value.problem.code == "registry.dependency-index"
        with pytest.raises(NotAdopted) as refused:
            provenance.fetch(url, LIBRARY)
        assert refused.value.problem.code == "adopt.provenance"


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ({}, "list of files"),
        ({PAGE: b'{"files": []}'}, "list of files"),
        ({PAGE: listing(hashes={"sha256": "0" * 64})}, "another file"),
        ({PAGE: listing(hashes={})}, "another file"),
        ({PAGE: listing()}, "404"),
    ],
)
def test_adopting_takes_nothing_but_this_files_provenance(
    pages: dict[str, bytes | int], said: str
) -> None:
    with index(pages) as url, pytest.raises(NotAdopted) as refused:
        provenance.fetch(url, LIBRARY)
    assert said in refused.value.diagnostics()


def test_an_answer_is_bounded() -> None:
    with index({PAGE: listing()}) as url:
        assert SimpleApi(url).get(url + "/shouting/", len(listing())) == listing()
        with pytest.raises(NoAnswer, match="no usable answer"):
            SimpleApi(url).get(url + "/shouting/", len(listing()) - 1)


def test_an_answer_that_breaks_off_is_none() -> None:
    with index({PAGE: listing()}, cut=10) as url, pytest.raises(NoAnswer):
        SimpleApi(url).get(url + "/shouting/", len(listing()))
