"""The calls under way, and how they are stopped: by a revocation, or by their caller.

A call is here from its beginning to the moment when its result is judged. Its facts are entered
when it was admitted and before the record of the decision is written; at that moment it is held to
every check again. Whoever revokes something therefore

1. puts the revocation in force where the checks (`check_with`) see it, and then
2. calls `stop`:

a call that was entered before (2) is stopped by it, one that is entered later fails its check.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from runner.sandbox.control import Control
from trust.errors import Problem, problem
from trust.identity import Identity

Reason: TypeAlias = Literal["revoked", "cancelled"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of an admitted call.

    Attributes:
        request_id: UUID.
        caller: the caller's name in the policy.
        plugin: normalised name.
        version: PEP 440, normalised.
        wheel_sha256: hexadecimal.
        author: who signed for the wheel.
        reviewers: who approved it.
        image: the runtime image's id.
        since: when the call was entered, UTC.
    """

    request_id: str
    caller: str
    plugin: str
    version: str
    wheel_sha256: str
    author: Identity
    reviewers: tuple[Identity, ...]
    image: str
    since: datetime


Check: TypeAlias = Callable[[CallFacts], Sequence[Problem]]
"""Says why a call must not go on; () if it may. Quick, and safe to call from any thread."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a call was stopped."""

    reason: Reason
    problems: tuple[Problem, ...]


class Ticket:
    """One call under way. Made by `InFlight.begin`."""

    def __init__(self, inflight: InFlight, request_id: str, caller: str) -> None:
        self.request_id = request_id
        self.caller = caller
        self.control = Control()
        self.facts: CallFacts | None = None
        self.stopped: Stopped | None = None
        self._inflight = inflight

    def enter(self, facts: CallFacts) -> None:
        """Make the facts known, and hold the call to every check; look at `stopped` then."""
        self._inflight.enter(self, facts)

    def end(self) -> Stopped | None:
        """Take the call out; return why it was stopped. No stop comes after that."""
        return self._inflight.end(self)


class InFlight:
    """All calls under way of one runner; safe to share between threads."""

    def __init__(self, counted: Callable[[Reason], None] | None = None) -> None:
        """Take who counts the calls that are stopped."""
        self._counted = counted
        self._lock = threading.Lock()
        self._tickets: dict[str, Ticket] = {}
        self._checks: list[Check] = []

    def check_with(self, check: Check) -> None:
        """Hold every call that is entered from now on to `check`, as a revocation."""
        self._checks.append(check)

    def expect(self, request_id: str, caller: str) -> Ticket:
        """Hold a call that begins soon, and may be stopped before; `forget` it if it does not."""
        with self._lock:
            return self._tickets.setdefault(request_id, Ticket(self, request_id, caller))

    @contextmanager
    def begin(self, request_id: str, caller: str) -> Iterator[Ticket]:
        """Hold a call from its beginning; `request_id` is fresh, or expected."""
        ticket = self.expect(request_id, caller)
        try:
            yield ticket
        finally:
            self.end(ticket)

    def enter(self, ticket: Ticket, facts: CallFacts) -> None:
        """Make a call's facts known, then hold it to every check."""
        with self._lock:
            ticket.facts = facts
        for check in list(self._checks):
            problems = _asked(check, facts)
            if problems:
                self._stop(ticket, Stopped("revoked", problems))

    def end(self, ticket: Ticket) -> Stopped | None:
        """Take a call out; return why it was stopped."""
        with self._lock:
            self._tickets.pop(ticket.request_id, None)
            return ticket.stopped

    def forget(self, request_id: str) -> None:
        """Take out a call that was expected and did not begin, if it is still here."""
        with self._lock:
            self._tickets.pop(request_id, None)

    def calls(self) -> tuple[CallFacts, ...]:
        """Return the facts of the admitted calls under way, the oldest first."""
        with self._lock:
            return tuple(t.facts for t in self._tickets.values() if t.facts is not None)

    def stop(self, matches: Callable[[CallFacts], bool], problems: Sequence[Problem]) -> int:
        """Stop every call that matches, because something was revoked.

        Args:
            matches: chooses by the facts; where it raises, the call is stopped as well.
            problems: why, for the reply and the audit log.

        Returns:
            How many were stopped now; each ends `refused` with these problems.

        Raises:
            ValueError: no problems.
        """
        why = tuple(problems)
        if not why:
            raise ValueError("a stop needs a reason")
        return self.stop_where(lambda facts: why if matches(facts) else ())

    def stop_where(self, check: Check) -> int:
        """Stop every call for which `check` has problems; return how many."""
        return sum(
            self._stop(ticket, Stopped("revoked", why))
            for ticket in self._entered()
            if (why := _asked(check, ticket.facts))
        )

    def cancel(self, request_id: str, caller: str) -> bool:
        """Stop a call because its caller wants that.

        Returns:
            Whether this caller has a call under way with that id; it is stopped then, now or
            earlier.
        """
        with self._lock:
            ticket = self._tickets.get(request_id)
        if ticket is None or ticket.caller != caller:
            return False
        return self._stop(ticket, Stopped("cancelled", (_cancelled(request_id),))) or (
            ticket.stopped is not None
        )

    def _entered(self) -> list[Ticket]:
        with self._lock:
            return [ticket for ticket in self._tickets.values() if ticket.facts is not None]

    def _stop(self, ticket: Ticket, why: Stopped) -> bool:
        """Stop a call; return whether it was under way, and not stopped before."""
        with self._lock:
            if ticket.request_id not in self._tickets or ticket.stopped is not None:
                return False
            ticket.stopped = why
        if self._counted is not None:
            self._counted(why.reason)
        _logger.warning("call %s is stopped: %s", ticket.request_id, why.problems[0].what)
        ticket.control.stop()
        return True


def _asked(check: Check, facts: CallFacts | None) -> tuple[Problem, ...]:
    if facts is None:
        return ()
    try:
        return tuple(check(facts))
    except Exception as error:  # whether it may go on is not known, so it must not
        _logger.exception("a call under way could not be checked")
        return (
            problem(
                "call.unchecked",
                "whether the call may go on could not be checked",
                value=type(error).__name__,
                expected="a check that ends",
                advice="the operator should look at the runner's own log",
            ),
        )


def _cancelled(request_id: str) -> Problem:
    return problem(
        "call.cancelled",
        "the caller cancelled the call",
        value=request_id,
        expected="a call that its caller wants",
        advice="call again if that was a mistake",
    )
