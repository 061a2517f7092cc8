"""The runner's HTTP API answers as its OpenAPI document says, whatever it is asked."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from runner.openapi import document
from tests.runner.kit import NAME, Site

OPERATIONS = [(path, verb) for path, verbs in document()["paths"].items() for verb in verbs]
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
TIME_SECONDS = 60.0

bounded = settings(
    max_examples=30,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.timeout(TIME_SECONDS)


def operation(app: Any, path: str, verb: str) -> Any:
    return schemathesis.openapi.from_wsgi("/openapi.json", app)[path][verb.upper()]


def ask(case: Any, site: Site, token: str | None) -> int:
    """Send one case, and hold the answer against the document; return its HTTP status."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    answer = case.call(headers=headers)
    case.validate_response(answer, checks=CHECKS)
    status: int = answer.status_code
    # The engine, the registry and the log are all there: nothing may be unavailable.
    assert status < 500, answer.text
    return status


@pytest.mark.parametrize(("path", "verb"), OPERATIONS)
@pytest.mark.parametrize("held", [True, False], ids=["caller", "nobody"])
def test_what_fits_the_document_is_answered_by_it(
    site: Site, path: str, verb: str, held: bool
) -> None:
    with site.runner() as calls:
        asked = operation(calls.service.app, path, verb)
        token = site.token.token if held else None

        @bounded
        @given(case=asked.as_strategy())
        def holds(case: Any) -> None:
            status = ask(case, site, token)
            assert held or not asked.definition.raw.get("security", True) or status == 401

        holds()


@pytest.mark.parametrize(
    ("path", "verb"), [each for each in OPERATIONS if "invocations" in each[0]]
)
def test_what_does_not_fit_the_document_is_refused_by_it(site: Site, path: str, verb: str) -> None:
    with site.runner() as calls:
        asked = operation(calls.service.app, path, verb)

        @bounded
        @given(case=asked.as_strategy(generation_mode=GenerationMode.NEGATIVE))
        def holds(case: Any) -> None:
            answer = case.call(headers={"Authorization": f"Bearer {site.token.token}"})
            case.validate_response(answer, checks=[*CHECKS, negative_data_rejection])
            assert answer.status_code < 500, answer.text

        holds()
        assert site.sandbox.jobs == []


def test_any_arguments_of_a_call_that_is_allowed(site: Site) -> None:
    """Calls that come as far as the plugin, with arguments of any shape."""
    seen: set[int] = set()
    with site.runner() as calls:
        asked = operation(calls.service.app, "/v1/invocations", "post")

        @bounded
        @given(case=asked.as_strategy())
        def holds(case: Any) -> None:
            method = "echo" if len(site.sandbox.jobs) % 2 else "greet"
            case.body = {"plugin": NAME, "method": method, "arguments": case.body["arguments"]}
            seen.add(ask(case, site, site.token.token))

        holds()
    assert 422 in seen
