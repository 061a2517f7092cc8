"""The registry's JSON API answers as its OpenAPI document says, whatever it is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from registry.openapi import document
from tests.support.evidence import TrustFixture
from tests.support.registry import BASE_URL, RegistryFixture
from tests.support.wheels import make_wheel

PATHS: dict[str, Any] = document(BASE_URL, 1)["paths"]
OPERATIONS = [
    (path, verb) for path, verbs in PATHS.items() for verb in ("get", "post") if verb in verbs
]
CHECKS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
KNOWN = {"name": "example-plugin", "version": "1.0.0"}


def can_be_wrong(path: str, verb: str) -> bool:
    """Tell whether a request can break the document: a text in a path cannot."""
    operation = PATHS[path][verb]
    named = operation.get("parameters", ())
    return "requestBody" in operation or any(each["in"] == "query" for each in named)


bounded = settings(
    max_examples=15,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def published(
    trust: TrustFixture, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RegistryFixture]:
    """A registry with one published version, shared: nothing that is asked here changes it."""
    made = RegistryFixture.make(trust, tmp_path_factory.mktemp("registry"))
    made.publish(*make_wheel())
    yield made
    made.services.close()


def hold(published: RegistryFixture, path: str, verb: str, mode: GenerationMode) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", published.app)
    asked = schema[path][verb.upper()]

    @bounded
    @given(case=asked.as_strategy(generation_mode=mode))
    def holds(case: Any) -> None:
        check(case)
        known = {name: KNOWN[name] for name in KNOWN if name in (case.path_parameters or {})}
        if known:  # and about a plugin that there is
            case.path_parameters = {**case.path_parameters, **known}
            check(case)

    holds()


def check(case: Any) -> None:
    answer = case.call()
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize(("path", "verb"), OPERATIONS)
def test_what_fits_the_document_is_answered_by_it(
    published: RegistryFixture, path: str, verb: str
) -> None:
    hold(published, path, verb, GenerationMode.POSITIVE)


@pytest.mark.parametrize(("path", "verb"), [each for each in OPERATIONS if can_be_wrong(*each)])
def test_what_does_not_fit_the_document_is_answered_by_it(
    published: RegistryFixture, path: str, verb: str
) -> None:
    hold(published, path, verb, GenerationMode.NEGATIVE)
