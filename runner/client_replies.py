"""What a client of the runner gets back: a reply, or the error that there is none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.receipts import Proved, verify_reply_receipt
from trust.errors import Problem, SealgateError, problem
from trust.outcomes import Failed, Passed

_MEMBERS = frozenset(
    ("request_id", "status", "result", "error", "stdout", "stderr", "usage", "sandbox",
     "evidence", "receipt")
)  # fmt: skip
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class NoReply(SealgateError):
    """There is no answer, or it is not one of a runner."""


class CallFailed(SealgateError):
    """The call ended with another status than ok; `reply` has everything."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.problems)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Reply:
    """What a runner answered; `raw` is the JSON object itself. See `runner.calls`."""

    status: str
    request_id: str
    raw: Mapping[str, Any] = field(repr=False)
    retry_after: int | None = None

    @property
    def result(self) -> Any:
        """The plugin's result.

        Raises:
            CallFailed: the status is not ok.
        """
        if self.status != "ok":
            raise CallFailed(self)
        return self.raw["result"]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the status is not ok."""
        error = self.raw["error"] or {}
        found = tuple(Problem.from_dict(item) for item in error.get("problems", ()))
        return found or (problem("call.ended", f"the call ended with status {self.status}"),)

    def verify_receipt(self, vkey: str) -> Passed[Proved] | Failed:
        """Verify that this very reply is in the audit log whose verifier key is `vkey`."""
        return verify_reply_receipt(self.raw, vkey)


def no_reply(url: str, what: str, value: object) -> NoReply:
    """Make a `NoReply`."""
    return NoReply(
        problem(
            "runner.no-reply",
            what,
            value=value,
            expected="the answer of a Sealgate runner",
            advice="check the address, and that the runner is up (`sealgate up`)",
            where=url,
        )
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """A JSON object that came over HTTP."""

    url: str
    code: int
    headers: Mapping[str, str]
    data: Mapping[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether the call is under way."""
        found = str(self.data.get("request_id"))
        return self.code == 202 and REQUEST_ID.fullmatch(found) is not None

    @property
    def replayed(self) -> bool:
        """Whether this was answered before."""
        return self.headers.get("Idempotency-Replayed") == "true"

    def reply(self) -> Reply:
        """Return it as a reply, or raise `NoReply`."""
        if set(self.data) != _MEMBERS:
            what = "the answer is not a runner's"
            if self.code == 404:
                what = "no reply is kept there"
            raise no_reply(self.url, what, f"HTTP {self.code}")
        retry = self.headers.get("Retry-After", "")
        return Reply(
            str(self.data["status"]),
            str(self.data["request_id"]),
            self.data,
            int(retry) if retry.isdecimal() else None,
        )
