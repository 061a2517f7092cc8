"""How calls end: arguments, results, and every end of an execution."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runner.receipts import verify_reply_receipt
from runner.sandbox import Execution, Job
from tests.runner.kit import (
    MEMBERS,
    Calls,
    Site,
    assert_refused,
    codes,
    executed,
)
from trust.outcomes import Passed


@pytest.mark.parametrize(
    "arguments", [{}, {"name": 5}, {"name": "x" * 101}, {"name": "Ada", "more": 1}]
)
def test_arguments_that_break_the_schema(
    site: Site, calls: Calls, arguments: dict[str, Any]
) -> None:
    assert_refused(site, calls.call(arguments=arguments), "arguments.schema", "invalid_arguments")


def test_a_result_that_breaks_the_schema_is_the_plugin_s_error(site: Site, calls: Calls) -> None:
    site.sandbox.behave = lambda job: executed(job, result={"greeting": 5})
    reply = calls.call()
    assert reply["status"] == "plugin_error"
    assert reply["result"] is None
    assert codes(reply) == ["result.schema"]
    assert site.records()[-1]["status"] == "plugin_error"


ERROR = {"type": "ValueError", "message": "no", "traceback": "…"}


@pytest.mark.parametrize(
    ("changes", "status", "kind"),
    [
        ({"status": "plugin_error", "result": None, "error": ERROR}, "plugin_error", "ValueError"),
        ({"status": "protocol_error", "detail": "two frames"}, "plugin_error", "protocol_error"),
        ({"status": "timeout", "detail": "10 s"}, "timeout", "timeout"),
        ({"status": "resource_limit", "detail": "memory"}, "resource_limit", "resource_limit"),
        ({"status": "unavailable", "detail": "no engine"}, "unavailable", "unavailable"),
    ],
)
def test_every_end_of_an_execution(
    site: Site, calls: Calls, changes: dict[str, Any], status: str, kind: str
) -> None:
    site.sandbox.behave = lambda job: executed(job, **changes)
    reply = calls.call()
    assert (reply["status"], reply["error"]["type"]) == (status, kind)
    assert reply["result"] is None
    assert site.records()[-1]["status"] == status
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)


def test_a_sandbox_that_fails_is_unavailable_and_has_its_outcome(site: Site) -> None:
    def fail(job: Job) -> Execution:
        raise RuntimeError("secret detail")

    site.sandbox.behave = fail
    with site.runner() as calls:
        reply = calls.call()
    assert set(reply) == MEMBERS
    assert reply["status"] == "unavailable"
    assert "secret detail" not in json.dumps(reply)
    assert [r["status"] for r in site.records()] == [None, "unavailable"]


def test_a_failing_admission_is_unavailable_and_recorded(
    site: Site, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> Any:
        raise MemoryError

    monkeypatch.setattr("runner.admission.Admissions.admit", fail)
    assert_refused(site, calls.call(), "runner.internal", "unavailable")
