"""A small client of the runner: `RunnerClient(url, token).invoke("plugin", "method", {...})`.

It gives back a `Reply` for every answer of a runner, whatever its status, and can verify the
receipt with the audit log's pinned key. It raises only where there is no answer of a runner.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from runner.receipts import Proved, verify_reply_receipt
from trust import strictjson
from trust.errors import Problem, SealgateError, problem
from trust.outcomes import Failed, Passed

MAX_REPLY_BYTES = 64 << 20
DEFAULT_SECONDS = 150.0
"""Longer than the longest wall clock limit that a plugin may declare."""
_MEMBERS = frozenset(
    ("request_id", "status", "result", "error", "stdout", "stderr", "usage", "sandbox",
     "evidence", "receipt")
)  # fmt: skip


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


def _no_reply(url: str, what: str, value: object) -> NoReply:
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


class RunnerClient:
    """Calls one runner; may be shared by threads as far as `requests.Session` may."""

    def __init__(self, url: str, token: str, *, seconds: float = DEFAULT_SECONDS) -> None:
        """Name the runner.

        Args:
            url: its base URL.
            token: the caller's bearer token.
            seconds: how long a whole call may take.
        """
        self._url = url.rstrip("/") + "/v1/invocations"
        self._seconds = seconds
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.headers["Authorization"] = f"Bearer {token}"

    def invoke(
        self,
        plugin: str,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> Reply:
        """Call one method.

        Args:
            plugin: the plugin's name.
            method: one that its manifest declares.
            arguments: valid against the method's schema.
            version: a version; None for the highest that is allowed.

        Raises:
            NoReply: no answer, or not a runner's.
        """
        body: dict[str, Any] = {"plugin": plugin, "method": method, "arguments": arguments or {}}
        if version is not None:
            body["version"] = version
        return self._post(strictjson.dumps(body))

    def _post(self, body: bytes) -> Reply:
        deadline = time.monotonic() + self._seconds
        try:
            with self._session.post(
                self._url,
                data=body,
                headers={"Content-Type": "application/json"},
                timeout=(10.0, self._seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                data = bytearray()
                for chunk in response.iter_content(1 << 16):
                    data += chunk
                    if len(data) > MAX_REPLY_BYTES or time.monotonic() > deadline:
                        raise _no_reply(self._url, "the answer is too large or slow", len(data))
                retry = response.headers.get("Retry-After", "")
                status = response.status_code
        except requests.RequestException as error:
            raise _no_reply(self._url, "the runner does not answer", error) from error
        try:
            reply = strictjson.loads(bytes(data), max_bytes=MAX_REPLY_BYTES, max_depth=256)
        except strictjson.InvalidJSON as error:
            raise _no_reply(self._url, "the answer is not JSON", f"HTTP {status}") from error
        if not isinstance(reply, dict) or set(reply) != _MEMBERS:
            raise _no_reply(self._url, "the answer is not a runner's", f"HTTP {status}")
        return Reply(
            str(reply["status"]),
            str(reply["request_id"]),
            reply,
            int(retry) if retry.isdecimal() else None,
        )

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def __enter__(self) -> RunnerClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_token(path: Path) -> str:
    """Read a caller's token file.

    Raises:
        NoReply: there is none; so there is nothing to call with.
    """
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoReply(
            problem(
                "runner.no-token",
                "the caller's token cannot be read",
                value=f"{path}: {error}",
                expected="a file with the caller's bearer token",
                advice="name a caller that `sealgate init` made, or set SEALGATE_TOKEN",
            )
        ) from error
