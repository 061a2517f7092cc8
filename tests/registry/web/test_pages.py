"""Every page in every state, in the real application, without a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from registry import queries
from registry.http import SECURITY_HEADERS
from registry.web.assets import ASSETS
from tests.registry.web import plugins, town
from tests.registry.web.stage import Stage

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """A registry with a plugin in every state."""
    made = Stage(tmp_path_factory.mktemp("town"))
    town.build(made)
    yield made
    made.services.close()


@pytest.fixture(scope="module")
def pages(full: Stage) -> FlaskClient:
    return full.app.test_client()


def words(html: str) -> str:
    """Return the page's text, without markup, blanks made single."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


ADDRESSES = [
    "/",
    "/?q=markdown",
    "/?q=nothing-like-it",
    "/?page=2",
    "/?page=0",
    "/?page=x%00",
    "/submit",
    "/review",
    "/review?page=9",
    "/plugins/markdown-render",
    "/plugins/csv-clean",
    *(f"/plugins/{name}/{version}" for name, version in town.STATES.values()),
    *(f"/review/{name}/{version}" for name, version in town.STATES.values()),
    "/review/markdown-render/1.1.0/files?path=markdown_render/__init__.py",
    "/review/markdown-render/1.1.0/files?path=markdown_render/__init__.py&show=source&from=5",
    "/review/markdown-render/1.1.0/files?path=markdown_render/__init__.py&from=9999",
    "/review/markdown-render/1.1.0/files?path=markdown_render/logo.png",
    "/review/markdown-render/1.1.0/files?path=markdown_render/py.typed",
]


FOLLOWING = {
    "/plugins/{}/{}".format(*town.STATES[state])
    for state in ("received", "scanning", "scan_incomplete", "in_review")
}
"""Pages with a script that follows what happens."""

OWN_SCRIPTS = (
    "; script-src 'self'; connect-src 'self'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
OWN_SCRIPT = r'<script type="module" src="/assets/[0-9a-f]{16}/\w+\.js">'


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_page_is_there_and_protected(pages: FlaskClient, address: str) -> None:
    reply = pages.get(address)
    assert reply.status_code == 200
    assert reply.mimetype == "text/html"
    scripted = address.startswith(("/submit", "/review/")) or address in FOLLOWING
    expected = dict(SECURITY_HEADERS)
    if scripted:
        expected["Content-Security-Policy"] += OWN_SCRIPTS
    assert {k: reply.headers[k] for k in SECURITY_HEADERS} == expected
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert "unsafe" not in reply.headers["Content-Security-Policy"]
    tags = re.findall(r"<script[^>]*>", reply.text)
    assert all(re.fullmatch(OWN_SCRIPT, tag) for tag in tags)
    assert bool(tags) == scripted
    assert not re.search(r"<style|<iframe|\son\w+=|\sstyle=|javascript:", reply.text)
    assert reply.text.count("<h1") == 1
    assert '<html lang="en">' in reply.text


@pytest.mark.parametrize(("state", "place"), town.STATES.items())
def test_the_version_page_says_where_it_stands(
    full: Stage, pages: FlaskClient, state: str, place: tuple[str, str]
) -> None:
    view = queries.version(full.services, *place)
    assert view.state == state
    text = words(pages.get("/plugins/{}/{}".format(*place)).text)
    label = {
        "received": "Received",
        "scanning": "Scanning",
        "scan_failed": "Scan failed",
        "scan_incomplete": "Scan incomplete",
        "in_review": "In review",
        "rejected": "Rejected",
        "published": "Published",
    }[state]
    assert label in text
    assert view.sha256 in text
    for bundle in view.evidence:
        assert bundle.signer.subject in text
        assert bundle.sha256 in text
    for event in view.timeline:
        assert event.detail in text
    for found in view.problems:
        for part in (found.what, found.code, found.value, found.expected, found.advice):
            assert part in text


def test_the_version_page_shows_scan_findings_and_reviews(pages: FlaskClient) -> None:
    reply = pages.get("/plugins/markdown-render/1.1.0")
    text = words(reply.text)
    assert "Passed with warnings" in text
    assert "B314" in text
    assert re.search(r"markdown_render/__init__\.py :\d+", text)
    assert "The XML parser only sees our own output." in text
    assert "Waits for reviewers: 1 of 2 approvals" in text
    assert "sealgate fetch markdown-render==1.1.0" in text
    assert "--cert-identity bob@example.com" in text


def test_every_download_on_the_version_page_works(full: Stage, pages: FlaskClient) -> None:
    html = pages.get("/plugins/markdown-render/1.0.0").text
    links = [unescape(link) for link in re.findall(r'href="(/api/[^"]+)"', html)]
    assert len(links) == 1 + 1 + 5
    assert all(pages.get(link).status_code == 200 for link in links)


def test_the_queue_shows_what_a_reviewer_chooses_by(pages: FlaskClient) -> None:
    text = words(pages.get("/review").text)
    old, new = text.index("markdown-render 1.1.0"), text.index("date-words 1.0.0")
    assert old < new
    assert "after 1.0.0" in text[old:new]
    assert "3 days" in text[old:new]
    assert "1 medium" in text[old:new]
    assert "1 of 2" in text[old:new]
    assert "first version" in text[new:]
    assert "0 of 2" in text[new:]
    assert "dan@example.com" in text[new:]


def test_the_review_page_shows_what_changed(full: Stage, pages: FlaskClient) -> None:
    html = pages.get("/review/markdown-render/1.1.0").text
    text = words(html)
    for name in ("1.0.0", "1.1.0"):
        assert queries.version(full.services, "markdown-render", name).sha256 in text
    assert "limit memory_bytes changed may do more 64 MiB 128 MiB" in text
    assert "method sample added may do more" in text
    assert re.search(r'path=markdown_render/legacy.py"><s><bdi>legacy.py</bdi></s>', html)
    assert "logo.png" in text
    assert "sealgate review approve markdown-render==1.1.0" in text
    assert "sealgate review reject markdown-render==1.1.0" in text
    assert "bob@example.com" in text
    assert "alice@example.com same" in text
    assert re.search(
        r"ElementTree.*fromstring.*\n<tr class=\"inline-finding medium.*\n.*\n.*\n.*B314", html
    )


def test_a_first_version_is_shown_whole_and_says_so(pages: FlaskClient) -> None:
    text = words(pages.get("/review/date-words/1.0.0").text)
    assert "First version" in text
    assert "return {&quot;value" not in text
    assert 'return { "value" : arguments}' in text or 'return {"value": arguments}' in text


def test_what_was_not_scanned_is_named(full: Stage, pages: FlaskClient) -> None:
    view = queries.review(full.services, "markdown-render", "1.1.0")
    assert view.coverage is not None
    assert "markdown_render/logo.png" in view.coverage.not_scanned
    text = words(pages.get("/review/markdown-render/1.1.0").text)
    assert view.coverage.not_scanned["markdown_render/logo.png"] in text


def test_the_plugin_page_shows_methods_schemas_and_limits(pages: FlaskClient) -> None:
    text = words(pages.get("/plugins/markdown-render").text)
    assert "alice@example.com" in text
    assert "as version 1.0.0 declares them" in text
    assert "text string required The Markdown source. at most 200000 characters" in text
    assert "64 MiB" in text
    assert "sealgate run markdown-render render --arg" in text
    assert "In review" in text


def test_a_name_in_another_spelling_leads_to_the_page(pages: FlaskClient) -> None:
    for address, place in (
        ("/plugins/Markdown_Render", "/plugins/markdown-render"),
        ("/plugins/markdown.render/v1.0.0", "/plugins/markdown-render/1.0.0"),
        ("/review/markdown_render/1.1.0", "/review/markdown-render/1.1.0"),
    ):
        reply = pages.get(address)
        assert (reply.status_code, reply.headers["Location"]) == (308, place)


@pytest.mark.parametrize(
    "address",
    [
        "/nowhere",
        "/plugins/no-such-plugin",
        "/plugins/markdown-render/9.9",
        "/review/markdown-render/9.9",
        "/review/markdown-render/1.1.0/files",
        "/review/markdown-render/1.1.0/files?path=../etc/passwd",
        "/assets/0000000000000000/sealgate.css",
    ],
)
def test_what_is_not_there_gets_a_page_with_the_request_id(
    pages: FlaskClient, address: str
) -> None:
    reply = pages.get(address)
    assert reply.status_code == 404
    assert reply.mimetype == "text/html"
    assert reply.headers["X-Request-ID"] in reply.text
    assert "There is nothing at this address" in reply.text


def test_a_wrong_method_gets_a_page(pages: FlaskClient) -> None:
    reply = pages.delete("/submit")
    assert reply.status_code == 405
    assert reply.headers["X-Request-ID"] in reply.text


def test_a_defect_gets_a_page_without_its_text(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.app.view_functions["web.home"] = lambda: 1 / 0
    reply = stage.app.test_client().get("/")
    assert reply.status_code == 500
    assert reply.headers["X-Request-ID"] in reply.text
    assert "division" not in reply.text
    stage.services.close()


def test_without_a_valid_layout_nothing_looks_approved(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.submit(plugins.table())
    stage.work()
    stage.review("table-query", "1.0.0", stage.trust.reviewers[0])
    stage.later(days=400)
    client = stage.app.test_client()
    text = words(client.get("/plugins/table-query/1.0.0").text)
    assert "Approved no layout Published not yet" in text
    assert "Waits for a valid layout" in text
    assert "no valid layout" in words(client.get("/review").text)
    assert "No valid layout names anybody" in words(client.get("/review/table-query/1.0.0").text)
    stage.services.close()


def test_assets_have_their_digest_in_the_address_and_stay_cached(pages: FlaskClient) -> None:
    html = pages.get("/").text
    for name, asset in ASSETS.items():
        address = f"/assets/{asset.digest}/{name}"
        # Scripts are only where one can sign, the reviewers' sheet where one reads.
        assert (address in html) == (name in ("sealgate.css", "icon.svg"))
        reply = pages.get(address)
        assert reply.data == asset.data
        assert reply.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
