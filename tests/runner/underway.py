"""Calls that are under way while a test looks at them, stops them, or asks for them later."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator

from runner.openapi import document
from runner.receipts import verify_reply_receipt
from runner.sandbox import Execution, Job, Usage
from tests.runner.kit import NAME, Calls, Site, codes, executed
from trust.outcomes import Passed

BODY = {"plugin": NAME, "version": "1.0.0", "method": "greet", "arguments": {"name": "Ada"}}
LATER = {"Prefer": "respond-async"}
KEY = {"Idempotency-Key": "one"}


@dataclass
class Gate:
    """Holds executions until it is opened."""

    inside: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def behave(self, job: Job) -> Execution:
        self.inside.set()
        assert self.opened.wait(20)
        return executed(job)


class Held:
    """Executions that go on until their control ends them, as a real container does."""

    def __init__(self) -> None:
        self.inside = threading.Semaphore(0)
        self.killed: list[str] = []

    def behave(self, job: Job) -> Execution:
        ended = threading.Event()
        with job.control.attached(ended.set):
            self.inside.release()
            assert ended.wait(20)
        self.killed.append(job.request_id)
        return executed(job, status="stopped", result=None, usage=Usage(0.5))


def started(calls: Calls, held: Held, **options: Any) -> tuple[threading.Thread, list[Any]]:
    """Start a call in a thread and return when it is being executed."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(calls.post(BODY, **options)))
    thread.start()
    assert held.inside.acquire(timeout=20)
    return thread, answers


def assert_stopped(site: Site, reply: dict[str, Any], code: str, *, partly: bool = True) -> None:
    """The call was stopped for this reason, and that is told and recorded."""
    assert (reply["status"], reply["result"]) == ("refused", None)
    assert codes(reply) == [code, "call.stopped"]
    assert ("executed in part" in reply["error"]["problems"][1]["what"]) == partly
    decision, outcome = site.records()[-2:]
    assert (decision["decision"], outcome["type"], outcome["status"]) == (
        "admitted",
        "outcome",
        "refused",
    )
    assert [p["code"] for p in outcome["problems"]] == [code, "call.stopped"]
    assert outcome["request_id"] == reply["request_id"]
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)


def ended(calls: Calls, location: str, token: str) -> Any:
    """Return the answer of a call that was taken on, once it has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        answer = calls.get(location, token)
        if answer.status_code != 202:
            return answer
        time.sleep(0.01)
    raise AssertionError("the call does not end")


def assert_accepted(answer: Any) -> str:
    """The call was taken on; return where its reply will be."""
    assert answer.status_code == 202
    described = document()
    schema = {"$ref": "#/components/schemas/Accepted", "components": described["components"]}
    Draft202012Validator(schema).validate(answer.get_json())
    location: str = answer.headers["Location"]
    assert location == f"/v1/invocations/{answer.get_json()['request_id']}"
    assert answer.headers["Retry-After"] == "1"
    return location
