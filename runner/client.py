"""A small client of the runner: `RunnerClient(url, token).invoke("plugin", "method", {...})`.

It gives back a `Reply` for every answer of a runner, whatever its status, and can verify the
receipt with the audit log's pinned key. It raises only where there is no answer of a runner.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from urllib3.exceptions import HTTPError

from runner.client_replies import (
    REQUEST_ID,
    Answer,
    CallFailed,
    NoReply,
    Reply,
    no_reply,
)
from runner.sse import MAX_EVENT_BYTES, Event, EventReader, NotEvents
from trust import strictjson
from trust.errors import problem

__all__ = ["CallFailed", "NoReply", "Reply", "RunnerClient", "Wrote", "read_token"]

MAX_REPLY_BYTES = 64 << 20
DEFAULT_SECONDS = 150.0
"""Longer than the longest wall clock limit that a plugin may declare."""
MARGIN_SECONDS = 15.0
"""How much later than a call's own deadline its answer may come: the record of how it ended has to
be durable first."""
EVENT_STREAM = "text/event-stream"
SILENCE_SECONDS = 30.0
"""How long an event stream may be silent; a runner says something every five seconds."""
RECONNECTS = 5
RECONNECT_SECONDS = 0.2
_NOT_TAKEN_ON = ("refused", "invalid_arguments", "unavailable")


@dataclass(frozen=True, slots=True)
class Wrote:
    """Something that a plugin wrote to `stream`; `left_out` bytes before it are missing."""

    stream: str
    text: str
    left_out: int


def _wrote(url: str, event: Event) -> Wrote:
    try:
        data = strictjson.loads(event.data.encode(), max_bytes=MAX_EVENT_BYTES)
        text, left_out = data["text"], data["left_out"]
    except (strictjson.InvalidJSON, KeyError, TypeError) as error:
        raise no_reply(url, "the answer is not a runner's", event.name) from error
    if not isinstance(text, str) or not isinstance(left_out, int):
        raise no_reply(url, "the answer is not a runner's", event.name)
    return Wrote(event.name, text, left_out)


def _headers(idempotency_key: str | None) -> dict[str, str]:
    return {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}


def _body(
    plugin: str,
    method: str,
    arguments: Mapping[str, Any] | None,
    version: str | None,
    timeout_seconds: float | None,
) -> bytes:
    body: dict[str, Any] = {"plugin": plugin, "method": method, "arguments": arguments or {}}
    if version is not None:
        body["version"] = version
    if timeout_seconds is not None:
        body["timeout_seconds"] = timeout_seconds
    return strictjson.dumps(body)


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
        *,
        idempotency_key: str | None = None,
        timeout_seconds: float | None = None,
    ) -> Reply:
        """Call one method.

        Args:
            plugin: the plugin's name.
            method: one that its manifest declares.
            arguments: valid against the method's schema.
            version: a version; None for the highest that is allowed.
            idempotency_key: the same for each repetition of one call that must not run twice.
            timeout_seconds: how long the runner may take for the call, the wait for a container
                included; None: as long as the plugin's limits say, which it never extends.

        Raises:
            NoReply: no answer, or not a runner's.
        """
        body = _body(plugin, method, arguments, version, timeout_seconds)
        seconds = self._seconds
        if timeout_seconds is not None:
            seconds = max(seconds, timeout_seconds + MARGIN_SECONDS)
        return self._post(body, _headers(idempotency_key), seconds).reply()

    def submit(
        self,
        plugin: str,
        method: str,
        arguments: Mapping[str, Any] | None = None,
        version: str | None = None,
        *,
        idempotency_key: str | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """Ask for a call without waiting for it; takes what `invoke` takes.

        Returns:
            The request id, for `result`.

        Raises:
            CallFailed: the call was not taken on.
            NoReply: no answer, or not a runner's.
        """
        headers = _headers(idempotency_key) | {"Prefer": "respond-async"}
        body = _body(plugin, method, arguments, version, timeout_seconds)
        answer = self._post(body, headers, self._seconds)
        if answer.accepted:
            return str(answer.data["request_id"])
        reply = answer.reply()
        if reply.status in _NOT_TAKEN_ON and not answer.replayed:
            raise CallFailed(reply)
        return reply.request_id

    def result(self, request_id: str) -> Reply | None:
        """Return the reply of a call that was submitted; None while it is under way.

        Raises:
            NoReply: no reply is kept under this id, no answer, or not a runner's.
        """
        answer = self._ask("GET", self._address(request_id), None, {})
        return None if answer.accepted else answer.reply()

    def follow(self, request_id: str) -> Iterator[Wrote]:
        """Yield what the plugin of a submitted call writes, as it comes, until the call ends.

        It is the plugin's claim. A connection that breaks is made again, where it was left; after
        `RECONNECTS` in a row without anything new it is given up.

        Raises:
            NoReply: no output is kept under this id, no answer, or not a runner's.
        """
        url = f"{self._address(request_id)}/output"
        position, attempts, broken = "0", 0, "it ended too early"
        while attempts <= RECONNECTS:
            try:
                for event in self._events(url, position):
                    if event.name == "end":
                        return
                    position, attempts = event.id, 0
                    if event.name in ("stdout", "stderr"):
                        yield _wrote(url, event)
            except requests.RequestException as error:
                broken = str(error)
            attempts += 1
            time.sleep(RECONNECT_SECONDS * attempts)
        raise no_reply(url, "the runner's event stream broke off", broken)

    def _events(self, url: str, position: str) -> Iterator[Event]:
        """Yield the events of one connection; for a runner that has no place now, none."""
        with self._session.get(
            url,
            headers={"Accept": EVENT_STREAM, "Last-Event-ID": position},
            timeout=(10.0, SILENCE_SECONDS),
            allow_redirects=False,
            stream=True,
        ) as response:
            if response.status_code in (429, 503):
                raise requests.RequestException(f"HTTP {response.status_code}")
            if response.headers.get("Content-Type", "").split(";")[0] != EVENT_STREAM:
                what = "no output is kept there" if response.status_code == 404 else (
                    "the answer is not a runner's"
                )  # fmt: skip
                raise no_reply(url, what, f"HTTP {response.status_code}")
            reader = EventReader()
            try:
                while data := response.raw.read1(1 << 16):
                    yield from reader.feed(data)
            except NotEvents as error:
                raise no_reply(url, "the answer is not a runner's", error) from error
            except HTTPError as error:
                raise requests.ConnectionError(error) from error

    def cancel(self, request_id: str) -> Reply | None:
        """Cancel a call; may be repeated.

        Returns:
            Its reply if it has ended; None while it is under way, see `result`.

        Raises:
            NoReply: it is not a call of this caller that is known, no answer, or not a runner's.
        """
        answer = self._ask("DELETE", self._address(request_id), None, {})
        return None if answer.accepted else answer.reply()

    def cancel_key(self, idempotency_key: str) -> str:
        """Cancel the call that a key was used for, as `cancel` does; return its request id."""
        answer = self._ask("DELETE", self._url, None, _headers(idempotency_key))
        return str(answer.data["request_id"]) if answer.accepted else answer.reply().request_id

    def wait(self, request_id: str, seconds: float | None = None) -> Reply:
        """Return the reply of a call that is about to end, or for which there is time.

        Args:
            request_id: of a call that was submitted.
            seconds: how long to wait; None: as long as a whole call may take.

        Raises:
            NoReply: as `result`, or the call does not end in time.
        """
        deadline = time.monotonic() + (self._seconds if seconds is None else seconds)
        pause = 0.01
        while (reply := self.result(request_id)) is None:
            if time.monotonic() > deadline:
                raise no_reply(self._url, "the call does not end", request_id)
            time.sleep(pause)
            pause = min(1.0, pause * 1.5)
        return reply

    def _address(self, request_id: str) -> str:
        if not REQUEST_ID.fullmatch(request_id):
            raise no_reply(self._url, "this is not a request id", request_id)
        return f"{self._url}/{request_id}"

    def _post(self, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
        headers = {"Content-Type": "application/json", **headers}
        return self._ask("POST", self._url, body, headers, seconds)

    def _ask(
        self,
        method: str,
        url: str,
        body: bytes | None,
        headers: Mapping[str, str],
        seconds: float | None = None,
    ) -> Answer:
        seconds = self._seconds if seconds is None else seconds
        deadline = time.monotonic() + seconds
        try:
            with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                timeout=(10.0, seconds),
                allow_redirects=False,
                stream=True,
            ) as response:
                data = bytearray()
                for chunk in response.iter_content(1 << 16):
                    data += chunk
                    if len(data) > MAX_REPLY_BYTES or time.monotonic() > deadline:
                        raise no_reply(url, "the answer is too large or slow", len(data))
                headers = response.headers
                status = response.status_code
        except requests.RequestException as error:
            raise no_reply(url, "the runner does not answer", error) from error
        try:
            found = strictjson.loads(bytes(data), max_bytes=MAX_REPLY_BYTES, max_depth=256)
        except strictjson.InvalidJSON as error:
            raise no_reply(url, "the answer is not JSON", f"HTTP {status}") from error
        if not isinstance(found, dict):
            raise no_reply(url, "the answer is not a runner's", f"HTTP {status}")
        return Answer(url, status, headers, found)

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
