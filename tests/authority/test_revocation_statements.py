"""What a window shows of a revocation, and which ones it does not show at all."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from authority import statements
from authority.errors import RequestRefused
from trust.revocation import Target, revocation_statement

NOW = datetime(2026, 3, 9, tzinfo=UTC)


def details(statement: dict[str, Any]) -> str:
    text = base64.urlsafe_b64encode(json.dumps(statement).encode()).decode().rstrip("=")
    return json.dumps([{"type": statements.DETAILS_TYPE, "statement": text}])


def statement(**changes: Any) -> dict[str, Any]:
    target = Target.of_version("table-query", "1.0.0", "ab" * 32)
    made = revocation_statement(target, action="quarantine", reason="Why.", effective=NOW)
    found: dict[str, Any] = json.loads(made)
    return {**found, **changes}


def test_a_revocation_is_shown_for_what_it_is() -> None:
    asked = statements.read(details(statement()))
    assert (asked.action, asked.comment) == ("quarantine", "Why.")
    assert (asked.filename, asked.sha256) == ("version table-query==1.0.0", "ab" * 32)


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": [{"name": "version harmless==1.0.0", "digest": {"sha256": "ab" * 32}}]},
        {"subject": [{"name": "version table-query==1.0.0", "digest": {"sha256": "cd" * 32}}]},
        {"predicate": {"action": "revoke"}},
        {"predicate": {**statement()["predicate"], "reason": ""}},
        {"predicate": {**statement()["predicate"], "more": 1}},
        {"predicate": {**statement()["predicate"], "target": {"kind": "everything"}}},
        {"predicateType": "https://sealgate.dev/attestation/other/v1"},
    ],
)
def test_what_is_about_something_else_than_it_says_is_not_offered(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused):
        statements.read(details(statement(**changes)))
