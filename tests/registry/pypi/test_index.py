"""The Simple API, files and provenance: what is listed, in which form, and what never is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from sqlalchemy import Select, update
from werkzeug.test import TestResponse

from registry import coremetadata
from registry.models import Version
from registry.pypi import index, negotiation, published
from registry.states import State
from tests.registry.pypi.tools import metadata
from tests.support.evidence import AUTHOR, TrustFixture, sha256
from tests.support.registry import BASE_URL, RegistryFixture
from tests.support.wheels import make_wheel
from trust.evidence.bundles import BundleVerifier

JSON, HTML, LEGACY = negotiation.JSON, negotiation.HTML, negotiation.LEGACY


def wheel(version: str) -> tuple[str, bytes]:
    return make_wheel(version=version, metadata=metadata(version=version))


@pytest.fixture(scope="module")
def shop(
    trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryFixture]:
    """1.0.0 and 1.10.0 and 1.9.0 are published; every other state has a version too."""
    made = RegistryFixture.make(trust, tmp_path_factory.mktemp("shop"))
    for version in ("1.0.0", "1.10.0", "1.9.0"):
        made.publish(*wheel(version))
    for number, state in enumerate(s for s in State if s != State.PUBLISHED):
        filename, data = wheel(f"9.{number}.0")
        made.submit(filename, data)
        made.submit(*make_wheel(f"only-{state.replace('_', '-')}"))
        with made.services.database.write() as session:
            held = Version.filename.in_([filename, f"only_{state}-1.0.0-py3-none-any.whl"])
            session.execute(update(Version).where(held).values(state=state))
    yield made
    made.services.close()


def get(shop: RegistryFixture, path: str, accept: str = JSON, **headers: str) -> TestResponse:
    return shop.client.get(path, headers={"Accept": accept, **headers})


class Links(HTMLParser):
    """The anchors of a page, and every tag that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self.tags: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "a":
            self.links.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self.texts.append(data)


# -- what is listed --------------------------------------------------------------------------


def test_the_json_page_has_what_the_peps_ask_for(shop: RegistryFixture) -> None:
    page = get(shop, "/simple/example-plugin/").get_json()
    assert page["meta"] == {"api-version": "1.3"}
    assert page["name"] == "example-plugin"
    assert page["versions"] == ["1.0.0", "1.9.0", "1.10.0"]
    for entry, version in zip(page["files"], page["versions"], strict=True):
        filename, data = wheel(version)
        assert entry["filename"] == filename
        assert entry["hashes"] == {"sha256": sha256(data)}
        assert entry["size"] == len(data)
        assert entry["requires-python"] == ">=3.11"
        assert entry["core-metadata"] == {"sha256": sha256(metadata(version=version).encode())}
        assert entry["yanked"] is False
        at = shop.view(version=version)["published_at"]
        assert datetime.fromisoformat(entry["upload-time"]) == datetime.fromisoformat(at)
        assert entry["upload-time"].endswith("Z")
        assert entry["provenance"].startswith(f"{BASE_URL}/integrity/example-plugin/{version}/")


def test_the_html_page_says_the_same(shop: RegistryFixture) -> None:
    page = Links(get(shop, "/simple/example-plugin/", LEGACY).text)
    entries = get(shop, "/simple/example-plugin/").get_json()["files"]
    assert [link["href"] for link in page.links] == [
        f"{entry['url']}#sha256={entry['hashes']['sha256']}" for entry in entries
    ]
    for link, entry in zip(page.links, entries, strict=True):
        assert link["data-requires-python"] == entry["requires-python"]
        assert link["data-core-metadata"] == f"sha256={entry['core-metadata']['sha256']}"
        assert link["data-provenance"] == entry["provenance"]
        assert "data-yanked" not in link
        assert entry["filename"] in page.texts
    assert (
        'name="pypi:repository-version" content="1.3"'
        in get(shop, "/simple/example-plugin/", LEGACY).text
    )


def test_only_what_is_published_is_listed(shop: RegistryFixture) -> None:
    names = get(shop, "/simple/").get_json()
    assert names == {"meta": {"api-version": "1.3"}, "projects": [{"name": "example-plugin"}]}
    links = Links(get(shop, "/simple/", LEGACY).text).links
    assert links == [{"href": "example-plugin/"}]
    everything = "".join(
        get(shop, path, accept).text
        for path in ("/simple/", "/simple/example-plugin/")
        for accept in (JSON, LEGACY)
    )
    assert not re.search(r"[-/\"]9\.[0-9]\.0\b", everything)
    assert "only-" not in everything


@pytest.mark.parametrize("state", [s for s in State if s != State.PUBLISHED])
def test_what_is_not_published_cannot_be_had(shop: RegistryFixture, state: State) -> None:
    name = f"only-{state.replace('_', '-')}"
    filename, data = make_wheel(name)
    assert shop.view(name)["state"] == state
    for path in (
        f"/simple/{name}/",
        f"/files/{sha256(data)}/{filename}",
        f"/files/{sha256(data)}/{filename}.metadata",
        f"/integrity/{name}/1.0.0/{filename}/provenance",
    ):
        answer = get(shop, path)
        assert answer.status_code == 404, path
        assert data not in answer.data


# -- files -----------------------------------------------------------------------------------


def test_files_are_what_the_index_promises(shop: RegistryFixture) -> None:
    for entry in get(shop, "/simple/example-plugin/").get_json()["files"]:
        path = urljoin("/simple/example-plugin/", entry["url"])
        file = get(shop, path, "*/*")
        assert sha256(file.data) == entry["hashes"]["sha256"] == file.headers["ETag"].strip('"')
        assert int(file.headers["Content-Length"]) == entry["size"] == len(file.data)
        assert "immutable" in file.headers["Cache-Control"]
        core = get(shop, f"{path}.metadata", "*/*")
        assert sha256(core.data) == entry["core-metadata"]["sha256"]
        assert "immutable" in core.headers["Cache-Control"]
        for answer, address in ((file, path), (core, f"{path}.metadata")):
            again = get(shop, address, "*/*", **{"If-None-Match": answer.headers["ETag"]})
            assert (again.status_code, again.data) == (304, b"")
        head = shop.client.head(path)
        assert (head.status_code, head.data) == (200, b"")
        assert head.headers["Content-Length"] == str(entry["size"])


def test_a_file_has_one_name_only(shop: RegistryFixture) -> None:
    filename, data = wheel("1.0.0")
    digest = sha256(data)
    for path in (
        f"/files/{digest}/other_plugin-1.0.0-py3-none-any.whl",
        f"/files/{digest}/{filename}.metadata.metadata",
        f"/files/{'0' * 64}/{filename}",
        f"/files/{digest.upper()}/{filename}",
        f"/files/..%2f..%2fregistry.db/{filename}",
    ):
        assert get(shop, path).status_code == 404, path


def test_a_damaged_file_is_not_served(trust: TrustFixture, tmp_path: Path) -> None:
    registry = RegistryFixture.make(trust, tmp_path)
    filename, data = wheel("1.0.0")
    registry.publish(filename, data)
    registry.services.blobs.path(sha256(data)).write_bytes(data[:-1])
    for suffix in ("", ".metadata"):
        answer = get(registry, f"/files/{sha256(data)}/{filename}{suffix}")
        assert answer.status_code == 500
        assert "registry.blob-damaged" in answer.text
    registry.services.close()


def test_rows_from_before_the_columns_are_read_from_the_wheel(
    trust: TrustFixture, tmp_path: Path
) -> None:
    registry = RegistryFixture.make(trust, tmp_path)
    registry.publish(*wheel("1.0.0"))
    before = get(registry, "/simple/example-plugin/").get_json()
    with registry.services.database.write() as session:
        session.execute(update(Version).values(metadata_sha256=None, requires_python=None))
    assert get(registry, "/simple/example-plugin/").get_json() == before
    registry.services.close()


# -- provenance ------------------------------------------------------------------------------


def test_the_provenance_is_the_authors_signature(shop: RegistryFixture) -> None:
    from registry.pypi.attestations import to_bundle

    (entry,) = (
        e
        for e in get(shop, "/simple/example-plugin/").get_json()["files"]
        if "1.10.0" in e["filename"]
    )
    answer = get(shop, entry["provenance"].removeprefix(BASE_URL), "*/*")
    assert answer.mimetype == "application/vnd.pypi.integrity.v1+json"
    document = json.loads(answer.data)
    assert document["version"] == 1
    (bundle,) = document["attestation_bundles"]
    assert bundle["publisher"] == {
        "kind": "Sigstore",
        "claims": None,
        "issuer": shop.trust.issuer,
        "subject": AUTHOR,
    }
    (attestation,) = bundle["attestations"]
    verified = BundleVerifier(shop.trust.sigstore.trusted_root).verify(to_bundle(attestation))
    assert verified.identity.subject == AUTHOR
    assert verified.subjects[0].sha256 == entry["hashes"]["sha256"]


# -- the form of a page ----------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/simple/", "/simple/example-plugin/"])
@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        (None, LEGACY),
        ("", LEGACY),
        ("*/*", LEGACY),
        ("text/html", LEGACY),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", LEGACY),
        (HTML, HTML),
        (JSON, JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        ("application/vnd.pypi.simple.latest+html", HTML),
        (f"{JSON}, {HTML}; q=0.1, text/html; q=0.01", JSON),
        (f"{JSON};q=0.2, {HTML};q=0.5, text/html;q=0.01", HTML),
        (f"application/vnd.pypi.simple.v9+json, {JSON};q=0.1", JSON),
        (f"{JSON};q=0, text/html", LEGACY),
    ],
)
def test_the_client_gets_the_form_that_it_prefers(
    shop: RegistryFixture, path: str, accept: str | None, mimetype: str
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    answer = shop.client.get(path, headers=headers)
    assert (answer.status_code, answer.mimetype) == (200, mimetype)
    assert "Accept" in answer.vary
    assert answer.data.startswith(b"{" if mimetype == JSON else b"<!DOCTYPE html>")


@pytest.mark.parametrize("accept", ["application/pdf", f"{JSON};q=0", "image/*"])
def test_a_client_that_takes_none_of_them_is_told_so(shop: RegistryFixture, accept: str) -> None:
    answer = get(shop, "/simple/example-plugin/", accept)
    assert answer.status_code == 406
    assert JSON in answer.text


@pytest.mark.parametrize("path", ["/simple/", "/simple/example-plugin/"])
def test_who_has_the_page_does_not_get_it_again(shop: RegistryFixture, path: str) -> None:
    tags = set()
    for accept in (JSON, HTML, LEGACY):
        first = get(shop, path, accept)
        tag = first.headers["ETag"]
        again = get(shop, path, accept, **{"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
        assert "Accept" in again.vary
        assert again.headers["ETag"] == tag
        tags.add(tag)
    assert len(tags) == 3
    # The tag of one form is not that of another.
    assert get(shop, path, JSON, **{"If-None-Match": tag}).status_code == 200


def test_the_tag_changes_with_what_is_published(trust: TrustFixture, tmp_path: Path) -> None:
    registry = RegistryFixture.make(trust, tmp_path)
    registry.publish(*wheel("1.0.0"))
    tag = get(registry, "/simple/example-plugin/").headers["ETag"]
    registry.submit(*wheel("1.1.0"))
    registry.worker.run_once()
    same = get(registry, "/simple/example-plugin/", **{"If-None-Match": tag})
    assert same.status_code == 304
    registry.publish(*wheel("1.2.0"))
    other = get(registry, "/simple/example-plugin/", **{"If-None-Match": tag})
    assert other.status_code == 200
    assert other.headers["ETag"] != tag
    registry.services.close()


# -- addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["Example-Plugin", "example_plugin", "EXAMPLE.PLUGIN", "example-_-plugin"]
)
def test_other_spellings_lead_to_the_one_address(shop: RegistryFixture, name: str) -> None:
    answer = get(shop, f"/simple/{name}/")
    assert (answer.status_code, answer.location) == (301, "/simple/example-plugin/")
    without = get(shop, f"/simple/{name}")
    assert without.status_code in (301, 308)
    assert without.location.endswith(f"/simple/{name}/")


HOSTILE = [
    "nothing",
    "<script>alert(1)<%2fscript>",
    "%22onload=%22x",
    "..",
    "%2e%2e%2fetc",
    "x" * 5000,
    "%00",
    "%0d%0aX-Evil:%20yes",
    "exämple",
]


@pytest.mark.parametrize("accept", [JSON, LEGACY, "*/*", "application/json"])
@pytest.mark.parametrize("name", HOSTILE)
def test_an_unknown_name_is_not_found_and_runs_nowhere(
    shop: RegistryFixture, name: str, accept: str
) -> None:
    for path in (
        f"/simple/{name}/",
        f"/files/{name}/{name}",
        f"/integrity/{name}/1.0.0/{name}/provenance",
    ):
        answer = get(shop, path, accept)
        assert answer.status_code in (301, 404, 308), path
        assert "X-Evil" not in answer.headers
        assert "<script>alert" not in answer.text or answer.mimetype != "text/html"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_a_hostile_value_stays_one_attribute() -> None:
    """No wheel with such values passes the intake; the page would hold all the same."""
    evil = "\"><script>alert(1)</script><a href='javascript:x'>&"
    file = published.File(evil, evil, evil, evil, 1, datetime.now(UTC), evil, evil)
    page = Links(index.project_html([file, replace(file, requires_python="")], evil).decode())
    assert page.tags == {"html", "head", "meta", "title", "body", "a", "br"}
    assert len(page.links) == 2
    assert page.links[0]["data-requires-python"] == evil
    names = Links(index.names_html([evil]).decode())
    assert names.tags == page.tags
    assert len(names.links) == 1


# -- the database ----------------------------------------------------------------------------


@pytest.mark.parametrize("analysed", [False, True])
@pytest.mark.parametrize("what", ["names", "project", "file"])
def test_queries_go_by_index(shop: RegistryFixture, what: str, analysed: bool) -> None:
    statements: dict[str, Select[Any]] = {
        "names": published.names_statement(),
        "project": published.project_statement("example-plugin"),
        "file": published.file_statement("0" * 64),
    }
    engine = shop.services.database.engine
    text = statements[what].compile(engine, compile_kwargs={"literal_binds": True})
    with engine.connect() as connection:
        if analysed:
            connection.exec_driver_sql("ANALYZE")
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    assert not any(line.startswith("SCAN versions") for line in plan), plan
    assert not any("ix_versions_state " in line for line in plan), plan
    if what != "names":  # which lists every plugin
        assert not any(line.startswith("SCAN") for line in plan), plan


def test_core_metadata_is_the_wheels(shop: RegistryFixture) -> None:
    core = coremetadata.read(wheel("1.0.0")[1])
    assert core.data == metadata().encode()
    assert core.sha256 == hashlib.sha256(core.data).hexdigest()
    assert core.requires_python == ">=3.11"
    assert coremetadata.read(make_wheel()[1]).requires_python == ""
