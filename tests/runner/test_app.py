"""The HTTP API: one shape, bounded bodies, strict JSON, and the document that describes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from runner.answers import CODES
from runner.app import create_app
from runner.calls import MAX_BODY_BYTES
from runner.openapi import document
from runner.readiness import NotReady, Readiness
from runner.receipts import verify_receipt
from runner.setup import make_caller_token
from tests.runner.kit import NAME, Calls, Site, codes, executed
from trust.errors import problem
from trust.log import Checkpoint, NoteVerifier, verify_consistency
from trust.outcomes import Passed

BODY = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}


def reply_schema() -> Any:
    described = document()
    schema = {"$ref": "#/components/schemas/Reply", "components": described["components"]}
    return Draft202012Validator(schema)


def assert_shape(response: Any, code: int, status: str) -> dict[str, Any]:
    assert response.status_code == code
    reply: dict[str, Any] = response.get_json()
    reply_schema().validate(reply)
    assert reply["status"] == status
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Cache-Control"] == "no-store"
    return reply


def test_a_call(calls: Calls) -> None:
    assert_shape(calls.post(BODY), 200, "ok")


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic eDp5", "bearer wrong", "Bearer \x7f", "Bearer a, Bearer b"],
)
def test_without_a_valid_token(site: Site, calls: Calls, header: str) -> None:
    response = calls.post(BODY, headers={"Authorization": header})
    reply = assert_shape(response, 401, "refused")
    assert codes(reply) == ["caller.unknown"]
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert site.sandbox.jobs == []


def test_an_expired_token(site: Site) -> None:
    site.policy["callers"][0]["expires"] = "2020-01-01T00:00:00Z"
    with site.runner() as calls:
        assert codes(assert_shape(calls.post(BODY), 401, "refused")) == ["caller.expired"]


def test_a_token_counts_before_the_body_is_looked_at(site: Site, calls: Calls) -> None:
    assert_shape(calls.post(b"{", token="wrong"), 401, "refused")


BAD_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"x"',
    b"\xff\xfe",
    b"\xef\xbb\xbf{}",
    json.dumps(BODY).encode()[:-1] + b', "plugin": "other"}',
    b'{"plugin": "example-plugin", "method": "greet", "arguments": {"name": NaN}}',
    b'{"plugin": "example-plugin", "method": "greet", "arguments": {"name": Infinity}}',
    b'{"plugin": "example-plugin", "method": "greet", "arguments": {"name": "\\ud800"}}',
    b'{"plugin": "example-plugin", "method": "greet", "arguments": {"a": 1, "a": 2}}',
    b'{"plugin": "example-plugin", "method": "greet", "arguments": ' + b'{"a":' * 500,
    b'{"plugin": "example-plugin", "method": "greet", "arguments": {"a": 1e999}}',
    json.dumps({**BODY, "extra": 1}).encode(),
    json.dumps({**BODY, "arguments": []}).encode(),
    json.dumps({**BODY, "version": 1}).encode(),
    json.dumps({**BODY, "version": None}).encode(),
    json.dumps({**BODY, "plugin": ""}).encode(),
    json.dumps({**BODY, "method": "x" * 101}).encode(),
    json.dumps({"plugin": NAME}).encode(),
]


@pytest.mark.parametrize("body", BAD_BODIES)
def test_a_body_that_is_no_request(site: Site, calls: Calls, body: bytes) -> None:
    assert_shape(calls.post(body), 400, "invalid_arguments")
    assert site.sandbox.jobs == []
    assert site.records()[-1]["status"] == "invalid_arguments"


def test_a_body_that_is_too_large(site: Site, calls: Calls) -> None:
    body = json.dumps({**BODY, "arguments": {"name": "x" * MAX_BODY_BYTES}}).encode()
    assert_shape(calls.post(body), 413, "invalid_arguments")
    fits = json.dumps({**BODY, "method": "echo", "arguments": {"x": ""}}).encode()
    padded = fits.replace(b'""', b'"' + b"y" * (MAX_BODY_BYTES - len(fits)) + b'"')
    assert len(padded) == MAX_BODY_BYTES
    assert_shape(calls.post(padded), 200, "ok")


@pytest.mark.parametrize("media", ["text/plain", "", "application/x-www-form-urlencoded"])
def test_another_media_type(calls: Calls, media: str) -> None:
    response = calls.post(BODY, headers={"Content-Type": media})
    assert_shape(response, 415, "invalid_arguments")


@pytest.mark.parametrize("method", ["get", "put", "patch"])
def test_another_method_keeps_the_shape(calls: Calls, method: str) -> None:
    with calls.service.app.test_client() as client:
        response = getattr(client, method)("/v1/invocations")
    assert_shape(response, 405, "invalid_arguments")


@pytest.mark.parametrize("status", list(CODES))
def test_every_status_has_its_code(site: Site, calls: Calls, status: str) -> None:
    if status == "refused":
        response = calls.post({**BODY, "method": "missing"})
    elif status == "invalid_arguments":
        response = calls.post({**BODY, "arguments": {}})
    else:
        ended: Any = {} if status == "ok" else {"status": status, "result": None}
        site.sandbox.behave = lambda job: executed(job, **ended)
        response = calls.post(BODY)
    assert_shape(response, CODES[status], status)
    assert ("Retry-After" in response.headers) is (status == "unavailable")


def test_what_fails_unexpectedly_keeps_the_shape_and_tells_nothing(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("runner.service.Runner.authenticate", fail)
    response = calls.post(BODY)
    assert_shape(response, 503, "unavailable")
    assert "secret detail" not in response.text
    response = calls.get("/v1/audit/entries/0", "x")
    assert response.status_code == 503
    assert response.headers["Content-Type"] == "application/problem+json"


def test_an_unknown_path_is_a_problem(calls: Calls) -> None:
    response = calls.get("/v2/anything")
    assert response.status_code == 404
    assert response.headers["Content-Type"] == "application/problem+json"
    assert set(response.get_json()) == {"type", "title", "status", "problems"}


# The audit log over HTTP.


def test_entries_are_for_callers_with_audit_rights_only(site: Site) -> None:
    other = make_caller_token()
    site.policy["callers"].append({"name": "other", "token_sha256": other.sha256, "allow": []})
    with site.runner() as calls:
        calls.call()
        assert calls.get("/v1/audit/entries/0").status_code == 401
        assert calls.get("/v1/audit/entries/0", "wrong").status_code == 401
        denied = calls.get("/v1/audit/entries/0", other.token)
        assert denied.status_code == 403
        assert denied.get_json()["problems"][0]["code"] == "caller.no-audit"
        answer = calls.get("/v1/audit/entries/0", site.token.token)
        assert isinstance(verify_receipt(answer.get_json(), site.vkey), Passed)
        assert calls.get("/v1/audit/entries/2", site.token.token).status_code == 404
        assert calls.get("/v1/audit/entries/-1", site.token.token).status_code == 404


def test_checkpoint_and_proofs_are_public_and_verify(site: Site, calls: Calls) -> None:
    verifier = NoteVerifier.from_vkey(site.vkey)
    calls.call()
    old = Checkpoint.verify(calls.get("/v1/audit/checkpoint").text, verifier)
    calls.call()
    new = Checkpoint.verify(calls.get("/v1/audit/checkpoint").text, verifier)
    assert (old.size, new.size) == (2, 4)
    found = calls.get("/v1/audit/proof/consistency?old=2&new=4").get_json()
    proof = [bytes.fromhex(text) for text in found["proof"]]
    verify_consistency(old.size, old.root, new.size, new.root, proof)
    receipt = calls.get("/v1/audit/proof/inclusion?index=1&size=2").get_json()
    assert receipt["index"] == 1
    assert "entry" not in receipt


@pytest.mark.parametrize(
    "path",
    [
        "inclusion?index=99",
        "inclusion?index=0&size=99",
        "inclusion?index=-1",
        "inclusion?index=x",
        "inclusion?index=0&size=0",
        "inclusion?index=99999999999999999999",
        "inclusion?index=%D9%A3",
        "consistency?old=3&new=1",
        "consistency?old=0&new=99",
        "consistency?old=1e3",
    ],
)
def test_proofs_that_make_no_sense_are_refused(calls: Calls, path: str) -> None:
    calls.call()
    response = calls.get(f"/v1/audit/proof/{path}")
    assert response.status_code == 400
    assert response.get_json()["problems"]


# Probes and the document.


def test_health_and_readiness(calls: Calls) -> None:
    assert calls.get("/healthz").get_json() == {"status": "ok"}
    ready = calls.get("/readyz")
    assert ready.status_code == 200
    assert set(ready.get_json()["checks"]) == {"gate", "audit", "clock", "cells"}


def test_a_check_that_fails_in_any_way_is_not_ready(calls: Calls) -> None:
    def refuse() -> None:
        raise NotReady(problem("x.y", "no"))

    def crash() -> None:
        raise RuntimeError("secret detail")

    checks = {"one": refuse, "two": crash, "three": lambda: None}
    service = calls.service
    app = create_app(service.runner, service.audit, Readiness(checks, lambda: 0.0))
    with app.test_client() as client:
        response = client.get("/readyz")
    assert response.status_code == 503
    assert "secret detail" not in response.text
    found = response.get_json()["checks"]
    assert (bool(found["one"]), bool(found["two"]), bool(found["three"])) == (True, True, False)


def test_the_document_is_valid_and_served(calls: Calls) -> None:
    served = calls.get("/openapi.json").get_json()
    validate(served)
    assert served == json.loads(json.dumps(document()))
    assert served["openapi"].startswith("3.1")


def test_the_document_and_the_routes_agree(calls: Calls) -> None:
    import re

    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in calls.service.app.url_map.iter_rules()
        if not rule.rule.startswith("/audit")  # pages for people: runner.explorer
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(path, method) for path, item in document()["paths"].items() for method in item}
    assert routes == described
