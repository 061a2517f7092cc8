"""Where calls are taken on: at once or for later, each with a place in the quotas.

A call that is asked for with an idempotency key, or with `Prefer: respond-async` (RFC 7240), is
known by its request id while it is under way, and its reply is kept for a while. What a call that
nobody waits for writes can be read as it comes. No call waits in
a queue: there is a place and a thread for it, or it is turned away.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass

from runner.calls import InvocationReply, InvocationRequest
from runner.endings import reply_of
from runner.idempotency import Claim, Keys, reply_gone, under_way
from runner.output import Outputs
from runner.policy import Caller
from runner.quota import OverQuota, Quotas
from runner.replies import KeptReply, Replies
from runner.service import Runner
from trust import strictjson
from trust.errors import problem

LATER_AT_ONCE = 16
"""Calls under way at one time that nobody waits for; they count in the quotas as all others do."""
WAITERS = 4
"""Requests that may wait at one time for the first sending of their key; fewer than the server
has threads beside those for calls."""
WAIT_SECONDS = 30.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a request: `reply` is None where the call is under way."""

    request_id: str
    reply: KeptReply | None
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Key:
    """An idempotency key and the SHA-256 of the body that it came with, in hexadecimal."""

    key: str
    body_sha256: str


def kept(reply: InvocationReply) -> KeptReply:
    """Return a reply as it goes over the wire."""
    return KeptReply(reply.status, reply.executed, strictjson.dumps(reply.as_dict()))


class Desk:
    """Takes on calls; safe to share between threads."""

    def __init__(
        self,
        runner: Runner,
        quotas: Quotas,
        keys: Keys | None = None,
        replies: Replies | None = None,
        outputs: Outputs | None = None,
        *,
        later_at_once: int = LATER_AT_ONCE,
        waiters: int = WAITERS,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """Take who answers calls, the quotas, what is remembered, and the bounds."""
        self._runner = runner
        self._quotas = quotas
        self._keys = keys or Keys()
        self._replies = replies or Replies()
        self.outputs = outputs or Outputs()
        self._later = threading.BoundedSemaphore(later_at_once)
        self._waiters = threading.BoundedSemaphore(waiters)
        self._wait_seconds = wait_seconds

    def take(
        self,
        request: InvocationRequest,
        caller: Caller,
        key: Key | None = None,
        *,
        later: bool = False,
    ) -> Taken:
        """Run a call and answer it, or with `later` take it on and answer at once.

        Raises:
            OverQuota: it is turned away; nothing was done.
            OtherRequest: the key was used for another request.
        """
        if key is None:
            return self._start(request, caller, str(uuid.uuid4()), None, later=later)
        deadline = time.monotonic() + self._wait_seconds
        while True:
            request_id = str(uuid.uuid4())
            claim = self._keys.claim(caller.name, key.key, key.body_sha256, request_id)
            if claim.request_id == request_id:
                return self._start(request, caller, request_id, claim, later=later)
            if claim.executed is None:
                if later:
                    return Taken(claim.request_id, None, replayed=True)
                self._wait(claim, deadline)
            if claim.executed:
                return self._again(claim, caller)

    def find(self, request_id: str, caller: Caller) -> Taken | None:
        """Return how this caller's call stands; None if nothing is known of it (any more)."""
        if self._replies.under_way(request_id, caller.name):
            return Taken(request_id, None)
        reply = self._replies.reply(request_id, caller.name)
        return None if reply is None else Taken(request_id, reply)

    def cancel(self, request_id: str, caller: Caller) -> Taken | None:
        """Stop this caller's call if it is under way; return how it stands, as `find` does.

        A call that has ended stays as it ended, and one that is stopped twice is stopped once.
        """
        if self._runner.inflight.cancel(request_id, caller.name):
            return Taken(request_id, None)
        return self.find(request_id, caller)

    def cancel_key(self, key: str, caller: Caller) -> Taken | None:
        """Stop the call that this caller's idempotency key was used for, as `cancel` does."""
        request_id = self._keys.find(caller.name, key)
        return None if request_id is None else self.cancel(request_id, caller)

    def _start(
        self,
        request: InvocationRequest,
        caller: Caller,
        request_id: str,
        claim: Claim | None,
        *,
        later: bool,
    ) -> Taken:
        if claim is not None or later:
            self._replies.begin(request_id, caller.name)
            ticket = self._runner.inflight.expect(request_id, caller.name)
        if later:
            ticket.control.live = self.outputs.begin(request_id, caller.name).write
        if claim is None and not later:
            with self._quotas.slot(caller):
                return Taken(request_id, self._run(request, caller, request_id, None))
        with ExitStack() as held:
            try:
                held.enter_context(self._quotas.slot(caller))
                if later:
                    self._take_thread(held)
                    self._hand_over(held, request, caller, request_id, claim)
                    return Taken(request_id, None)
            except BaseException:
                self._ended(request_id, claim, None, executed=False, later=later)
                raise
            return Taken(request_id, self._run(request, caller, request_id, claim))

    def _take_thread(self, held: ExitStack) -> None:
        if not self._later.acquire(blocking=False):
            found = problem(
                "call.later-full",
                "the runner has as many calls under way for later as it takes on",
                expected="fewer calls with Prefer: respond-async",
                advice="try again in a moment, or wait for the reply",
            )
            raise OverQuota(found, 503, 1)
        held.callback(self._later.release)

    def _hand_over(
        self,
        held: ExitStack,
        request: InvocationRequest,
        caller: Caller,
        request_id: str,
        claim: Claim | None,
    ) -> None:
        """Run a call in a thread of its own, which gives back what is `held` when it ends."""
        places = held.pop_all()

        def work() -> None:
            with places:
                try:
                    self._run(request, caller, request_id, claim, later=True)
                except Exception:
                    _logger.exception("call %s ended without a reply", request_id)

        try:
            threading.Thread(target=work, name=f"call-{request_id}", daemon=True).start()
        except BaseException:
            places.close()
            raise

    def _run(
        self,
        request: InvocationRequest,
        caller: Caller,
        request_id: str,
        claim: Claim | None,
        *,
        later: bool = False,
    ) -> KeptReply:
        executed, ready = True, None  # until a reply says otherwise, it may have been executed
        try:
            reply = self._runner.invoke(request, caller, request_id)
            executed, ready = reply.executed, kept(reply)
            return ready
        finally:
            self._ended(request_id, claim, ready, executed=executed, later=later)

    def _ended(
        self,
        request_id: str,
        claim: Claim | None,
        reply: KeptReply | None,
        *,
        executed: bool,
        later: bool,
    ) -> None:
        """Keep the reply first, then let those go on who wait for it."""
        self._runner.inflight.forget(request_id)
        if claim is not None or later:
            self._replies.end(request_id, reply if later or executed else None)
            self.outputs.end(request_id)
        if claim is not None:
            self._keys.end(claim, executed=executed)

    def _wait(self, claim: Claim, deadline: float) -> None:
        """Wait for the first sending of a key.

        Raises:
            OverQuota: it is still under way, or too many wait already.
        """
        if not self._waiters.acquire(blocking=False):
            raise under_way()
        try:
            left = max(0.0, deadline - time.monotonic())
            if not claim.ended.wait(left):
                raise under_way()
        finally:
            self._waiters.release()

    def _again(self, claim: Claim, caller: Caller) -> Taken:
        reply = self._replies.reply(claim.request_id, caller.name)
        if reply is None:
            gone = reply_of(claim.request_id, "unavailable", (reply_gone(claim.request_id),))
            return Taken(claim.request_id, kept(gone), replayed=True)
        return Taken(claim.request_id, reply, replayed=True)
