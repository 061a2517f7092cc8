"""The API's promises beside its data: document, errors, headers, caching, paging, health."""

from __future__ import annotations

import json
import logging
import re
import shutil
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from registry import queries
from tests.support.evidence import TrustFixture, sha256
from tests.support.registry import BASE_URL, RegistryFixture
from tests.support.wheels import make_wheel

PLACE = "/api/v1/plugins/example-plugin/1.0.0"


@pytest.fixture
def published(registry: RegistryFixture) -> RegistryFixture:
    registry.publish(*make_wheel())
    return registry


# -- the document ----------------------------------------------------------------------------


def test_the_document_is_valid_openapi(registry: RegistryFixture) -> None:
    document = registry.client.get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    validate(document)


ELSEWHERE = ("web.", "pypi.", "accounts.", "tuf.")
"""Endpoints that the document leaves out: pages are for people, and the interfaces of packaging
tools and of TUF clients have specifications of their own (docs/pypi.md, docs/tuf.md)."""


def test_document_and_routes_are_the_same(registry: RegistryFixture) -> None:
    document = registry.client.get("/openapi.json").get_json()
    described = {
        (method.upper(), path) for path, item in document["paths"].items() for method in item
    }
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in registry.app.url_map.iter_rules()
        if not rule.endpoint.startswith(ELSEWHERE)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert routes == described


# -- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/plugins/nothing", 404),
        ("GET", "/api/v1/plugins/<script>alert(1)<%2fscript>", 404),
        ("GET", "/api/v1/plugins/example-plugin/not a version", 404),
        ("GET", f"{PLACE}/evidence/{'0' * 64}", 404),
        ("GET", f"{PLACE}/evidence/..%2f..%2fregistry.db", 404),
        ("DELETE", "/api/v1/plugins", 405),
        ("PUT", "/api/v1/submissions", 405),
        ("GET", "/api/v1/plugins?page=0", 400),
        ("GET", "/api/v1/plugins?page=-1", 400),
        ("GET", "/api/v1/plugins?page=1e9", 400),
        ("GET", "/api/v1/plugins?page=99999999999", 400),
        ("GET", "/api/v1/plugins?per_page=101", 400),
        ("GET", "/api/v1/plugins?q=" + "x" * 201, 400),
        ("GET", "/api/v1/plugins?q=%00", 400),
        ("GET", "/api/v1/queue?page=x", 400),
    ],
)
def test_every_error_is_a_problem_document(
    published: RegistryFixture, method: str, path: str, status: int
) -> None:
    answer = published.client.open(path, method=method)
    body = answer.get_json()
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert body["status"] == status
    assert body["problems"][0]["what"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_defect_tells_the_client_nothing_but_the_id(
    registry: RegistryFixture, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr(queries, "queue", broken)
    answer = registry.client.get("/api/v1/queue", headers={"X-Request-ID": "trace-me-0001"})
    assert answer.status_code == 500
    text = answer.get_data(as_text=True)
    assert "hunter2" not in text
    assert "Traceback" not in text
    assert answer.get_json()["request_id"] == "trace-me-0001"
    assert "trace-me-0001" in caplog.text
    assert "hunter2" in caplog.text


def test_a_database_that_is_gone_is_told_as_such(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    with registry.services.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE timeline RENAME TO elsewhere")
    answer = registry.client.get(PLACE)
    assert answer.status_code == 503
    assert "timeline" not in answer.get_data(as_text=True)
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize("given", ["", "x", "a" * 65, "evil\tid-12345", "<script>-12345"])
def test_a_request_id_that_is_not_plain_is_replaced(registry: RegistryFixture, given: str) -> None:
    answer = registry.client.get("/healthz", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["X-Request-ID"])


def test_each_request_leaves_one_line_of_log(
    registry: RegistryFixture, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "registry.access"):
        registry.client.get("/healthz", headers={"X-Request-ID": "trace-me-0002"})
    (record,) = [r for r in caplog.records if r.name == "registry.access"]
    line = json.loads(record.getMessage())
    assert (line["request_id"], line["status"]) == ("trace-me-0002", 200)


@pytest.mark.parametrize("path", ["/healthz", "/api/v1/plugins", "/api/v1/nothing", "/nothing"])
def test_every_answer_has_the_security_headers(registry: RegistryFixture, path: str) -> None:
    headers = registry.client.get(path).headers
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "script-src" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"]
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"


# -- downloads -------------------------------------------------------------------------------


def test_downloads_are_named_by_digest_and_cached(published: RegistryFixture) -> None:
    filename, wheel = make_wheel()
    answer = published.client.get(f"{PLACE}/wheel")
    assert answer.headers["ETag"] == f'"{sha256(wheel)}"'
    assert "immutable" in answer.headers["Cache-Control"]
    assert filename in answer.headers["Content-Disposition"]
    assert answer.headers["Content-Disposition"].startswith("attachment")
    again = published.client.get(
        f"{PLACE}/wheel", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (again.status_code, again.data) == (304, b"")


def test_report_and_bundles_have_the_digests_that_are_told(published: RegistryFixture) -> None:
    view = published.view()
    assert sha256(published.client.get(f"{PLACE}/report").data) == view["scan"]["report_sha256"]
    for line in published.client.get(f"{PLACE}/evidence").get_json()["evidence"]:
        answer = published.client.get(line["url"].removeprefix(BASE_URL))
        assert sha256(answer.data) == line["sha256"]
        assert line["filename"] in answer.headers["Content-Disposition"]
        assert line["filename"].endswith(".sigstore.json")


def test_a_bundle_is_not_served_under_another_version(registry: RegistryFixture) -> None:
    for version in ("1.0.0", "1.1.0"):
        registry.submit(*make_wheel(version=version))
    (line,) = registry.client.get(f"{PLACE}/evidence").get_json()["evidence"]
    other = f"/api/v1/plugins/example-plugin/1.1.0/evidence/{line['sha256']}"
    assert registry.client.get(other).status_code == 404


# -- lists -----------------------------------------------------------------------------------


def test_lists_come_in_pages(registry: RegistryFixture) -> None:
    for name in ("alpha", "beta", "gamma-ray"):
        registry.submit(*make_wheel(name))
    first = registry.client.get("/api/v1/plugins?per_page=2").get_json()
    assert [item["name"] for item in first["items"]] == ["alpha", "beta"]
    assert (first["total"], first["pages"], first["links"]["previous"]) == (3, 2, None)
    second = registry.client.get(first["links"]["next"].removeprefix(BASE_URL)).get_json()
    assert [item["name"] for item in second["items"]] == ["gamma-ray"]
    assert second["links"]["next"] is None
    assert registry.client.get("/api/v1/plugins?page=9").get_json()["items"] == []

    found = registry.client.get("/api/v1/plugins?q=Gamma").get_json()
    assert [item["name"] for item in found["items"]] == ["gamma-ray"]
    for text in ("%25", "_", "'", '"', "gamma%25"):
        assert registry.client.get(f"/api/v1/plugins?q={text}").get_json()["total"] == 0


def test_latest_is_the_highest_published_version(registry: RegistryFixture) -> None:
    for version in ("1.10.0", "1.9.0"):
        registry.publish(*make_wheel(version=version))
    registry.submit(*make_wheel(version="2.0.0"))
    view = registry.client.get("/api/v1/plugins/Example.Plugin").get_json()
    assert view["latest"] == "1.10.0"
    assert [line["version"] for line in view["versions"]] == ["2.0.0", "1.10.0", "1.9.0"]


def test_the_queue_has_what_waits_for_reviewers(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel(version="1.0.0"))
    registry.submit(*make_wheel(version="1.1.0"))
    assert registry.client.get("/api/v1/queue").get_json()["items"] == []
    registry.worker.run_once()
    (item,) = registry.client.get("/api/v1/queue").get_json()["items"]
    assert (item["version"], item["previous_version"]) == ("1.1.0", "1.0.0")
    assert item["waits_for"] == "0 of 2 approvals"


# -- health ----------------------------------------------------------------------------------


def test_a_registry_that_can_work_is_ready(registry: RegistryFixture) -> None:
    body = registry.client.get("/readyz").get_json()
    assert set(body["checks"]) == {"database", "blobs", "trusted_root", "layout"}


@pytest.mark.parametrize("part", ["database", "blobs", "trusted_root", "layout"])
def test_a_registry_that_lacks_something_is_not_ready(
    trust: TrustFixture, tmp_path: Path, part: str
) -> None:
    registry = RegistryFixture.make(trust, tmp_path)
    settings = registry.settings
    if part == "database":
        with registry.services.database.engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
    elif part == "blobs":
        shutil.rmtree(settings.blob_dir)
    elif part == "trusted_root":
        settings.trusted_root.write_bytes(b"{}")
    else:
        settings.layout.unlink()
    answer = registry.client.get("/readyz")
    assert answer.status_code == 503
    assert len(answer.get_json()["problems"]) == 1
    assert registry.client.get("/healthz").status_code == 200
    registry.services.close()
