"""The road of one call.

authenticate -> policy -> admission -> arguments -> audit -> execute -> result -> audit -> reply

Each part is injected. Whatever goes wrong anywhere ends in a reply of the one shape, and in the
audit log; nothing is executed before its record is durable, and no result leaves before the
record of its outcome is. While the record is on its way to the disk, a container is made ready
for the call: it has the plugin's bytes, and cannot begin without the arguments (docs/adr/0024).
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from runner import records
from runner.admission import (
    Admissions,
    CompiledMethod,
)
from runner.audit import Appending, Audit, AuditUnavailable
from runner.calls import InvocationReply, InvocationRequest, Status
from runner.clock import Clock
from runner.decisions import Decisions, Road, Stop
from runner.endings import (
    internal_problem,
    judge,
    not_executed,
    reply_of,
    stopped_after,
)
from runner.floods import Floods
from runner.inflight import CallFacts, InFlight, Stopped
from runner.metrics import Metrics
from runner.policy import Caller, Policy
from runner.records import Call, Origin
from runner.revocations.follower import Follower
from runner.revocations.guard import Guard
from runner.sandbox import Execution, Job
from runner.sandbox.deadline import Deadline
from runner.sandbox.execution import DriverName
from trust.errors import Problem
from trust.gate import Gate
from trust.outcomes import Failed, Passed

_logger = logging.getLogger(__name__)


class Executes(Protocol):
    """What the runner needs of a sandbox."""

    def execute(self, job: Job) -> Execution:
        """Execute one job, once `job.ask` was called and `job.clear` has returned; never raises for
        what the plugin does.
        """


class Runner:
    """Answers calls; its methods may be called by any thread and never raise."""

    def __init__(
        self,
        *,
        policy: Policy,
        admissions: Admissions,
        sandbox: Executes,
        audit: Audit,
        clock: Clock,
        origin: Origin,
        metrics: Metrics | None = None,
        inflight: InFlight | None = None,
        revocations: Follower | None = None,
        driver: DriverName | None = None,
    ) -> None:
        """Take the parts.

        `origin` is what every audit record of this process says; `driver` is what makes its
        containers, where that is not what the policy names.
        """
        self._grounds = (policy, origin)
        self._adopting = threading.Lock()
        self._admissions = admissions
        self._sandbox = sandbox
        self._audit = audit
        self._clock = clock
        self._origin = origin
        self._floods = Floods(clock.steady)
        self._metrics = metrics or Metrics()
        self.inflight = inflight or InFlight(self._metrics.stopped)
        self.inflight.check_with(self._revoked)
        self._revocations = Guard(revocations, self.inflight)
        self._revocations.record_with(
            lambda found: audit.begin(records.handed(self._grounds[1], found, clock.now()))
        )
        self._decisions = Decisions(admissions, self._revocations, clock, driver)

    @property
    def policy(self) -> Policy:
        """The policy in force."""
        return self._grounds[0]

    def adopt(self, policy: Policy) -> None:
        """Put another policy in force, at once, for every call that has not been decided.

        Of those that have, the ones that it revokes are stopped.
        """
        with self._adopting:
            self._admissions.adopt(policy)
            self._grounds = (policy, replace(self._grounds[1], policy_sha256=policy.digest))
        self.inflight.stop_where(self._revoked)
        self._revocations.adopt(policy)

    def adopt_gate(self, gate: Gate) -> None:
        """Decide by another gate, at once, for every call that has not been decided.

        Raises:
            RuntimeError: the gate has no layout; nothing has changed.
        """
        if gate.layout is None:
            raise RuntimeError("a gate without a layout is never adopted")
        with self._adopting:
            policy, origin = self._grounds
            self._admissions.adopt_gate(gate)
            origin = replace(origin, layout_sha256=gate.layout.sha256, trust_epoch=gate.epoch)
            self._grounds = (policy, origin)
        self._revocations.adopt_gate(gate)

    def _revoked(self, facts: CallFacts) -> Sequence[Problem]:
        """Return how the policy in force revokes what a call under way executes."""
        outcome = self.policy.is_revoked(
            facts.wheel_sha256, facts.plugin, facts.version, frozenset({facts.author})
        )
        return outcome.problems if isinstance(outcome, Failed) else ()

    @property
    def gate(self) -> Gate:
        """The gate in force."""
        return self._admissions.gate

    def authenticate(self, token: str) -> Passed[Caller] | Failed:
        """Find the caller who holds `token`."""
        return self.policy.authenticate(token, self._clock.now())

    def invoke(
        self, request: InvocationRequest, caller: Caller, request_id: str | None = None
    ) -> InvocationReply:
        """Answer one call of an authenticated caller; `request_id` is a fresh UUID by default."""
        seconds = request.timeout_seconds
        deadline = None if seconds is None else Deadline.after(seconds)
        call = Call(
            request_id or str(uuid.uuid4()),
            caller=caller.name,
            plugin=request.plugin,
            version=request.version,
            method=request.method,
        )
        started = self._clock.steady()
        with self.inflight.begin(call.request_id, caller.name) as ticket:
            road = Road(call, *self._grounds, ticket, deadline=deadline)
            reply = self._travel(road, request, caller, started)
        seconds = self._clock.steady() - started
        self._metrics.phase("total", seconds)
        _logger.info("call %s: %s in %.1f ms", reply.request_id, reply.status, seconds * 1000)
        return replace(reply, executed=road.executed)

    def _travel(
        self, road: Road, request: InvocationRequest, caller: Caller, started: float
    ) -> InvocationReply:
        """Go the whole road; whatever happens on it, there is a reply."""
        try:
            method = self._decisions.decide(road, request, caller)
            self._metrics.phase("decide", self._clock.steady() - started)
            return self._execute(road, method)
        except Stop as stop:
            return self._refuse(road, stop.status, stop.problems)
        except Exception as error:  # noqa: BLE001 - the reply's shape is a promise
            return self._internal(road, error)

    def malformed(self, caller: Caller, problems: Sequence[Problem]) -> InvocationReply:
        """Answer a request of an authenticated caller whose body cannot be read."""
        road = Road(Call(str(uuid.uuid4()), caller=caller.name), *self._grounds)
        return self._refuse(road, "invalid_arguments", problems)

    def unauthenticated(self, problems: Sequence[Problem]) -> InvocationReply:
        """Answer a request without a valid token. Its reply has no receipt."""
        return self._before_any_call("unauthenticated", None, "refused", problems)

    def turned_away(self, caller: Caller, problems: Sequence[Problem]) -> InvocationReply:
        """Answer a request that is over a quota. Its reply has no receipt."""
        return self._before_any_call("turned_away", caller.name, "unavailable", problems)

    def _before_any_call(
        self, kind: str, caller: str | None, status: Status, problems: Sequence[Problem]
    ) -> InvocationReply:
        request_id = str(uuid.uuid4())
        self._metrics.ended(status, problems)
        attempts = self._floods.note(f"{kind} {caller}")
        if attempts:
            call, now = Call(request_id, caller=caller), self._clock.now()
            self._audit.owe(
                records.turned_away(
                    self._grounds[1], call, now, status, problems, kind=kind, attempts=attempts
                )
            )
        return reply_of(request_id, status, tuple(problems))

    def _execute(self, road: Road, method: CompiledMethod) -> InvocationReply:
        admission = road.admission
        if admission is None or road.ticket is None:
            raise RuntimeError("a call without an admission")
        road.ticket.enter(self._decisions.facts(road, admission))
        if road.ticket.stopped:
            raise Stop("refused", road.ticket.stopped.problems)
        asked = recorded = self._clock.steady()
        recording: Appending | None = None

        def ask() -> None:
            nonlocal asked, recording
            asked = self._clock.steady()
            recording = self._begin_decision(road)

        def clear() -> None:
            nonlocal recorded
            if recording is None:
                raise RuntimeError("a call whose decision nobody asked to be recorded")
            road.decision = recording.wait()
            recorded = self._clock.steady()
            self._metrics.phase("record", recorded - asked)
            road.executed = True  # or it may have been, whatever happens from here on

        try:
            execution = self._sandbox.execute(
                Job(
                    wheel=admission.wheel,
                    module=method.method.module,
                    qualname=method.method.qualname,
                    arguments=road.arguments,
                    limits=admission.admitted.plugin.manifest.limits,
                    request_id=road.call.request_id,
                    level=road.level,
                    control=road.ticket.control,
                    ask=ask,
                    clear=clear,
                    deadline=road.deadline,
                )
            )
        finally:
            if road.decision is None:  # there was no place for the call, or the log failed
                recording = recording or self._begin_decision(road)
                road.decision = recording.wait()
        # Time runs from sending the request: without any, the plugin was never sent one.
        road.executed = (
            execution.status not in ("unavailable", "stopped") or execution.usage.wall_seconds > 0
        )
        stopped = road.ticket.end()
        executed = self._clock.steady()
        self._metrics.phase("execute", executed - recorded)
        if stopped is None:
            reply = self._finish(road, method, execution)
        else:
            reply = self._stopped(road, execution, stopped)
        self._metrics.phase("outcome", self._clock.steady() - executed)
        return reply

    def _begin_decision(self, road: Road) -> Appending:
        """Begin to record that a call is admitted, as it is now decided."""
        return self._audit.begin(
            records.admitted(road.origin, road.call, self._clock.now()),
            if_late=lambda index: self._outcome(road, "unavailable", index, (not_executed(),)),
        )

    def _finish(self, road: Road, method: CompiledMethod, execution: Execution) -> InvocationReply:
        """Judge what came out, record it, and only then answer."""
        status, error, problems = judge(method, execution)
        result = execution.result if status == "ok" else None
        usage = execution.usage.as_dict()
        receipt = self._record_outcome(
            road,
            status,
            problems,
            usage=usage,
            result_sha256=records.digest_of(result) if status == "ok" else None,
        )
        self._metrics.ended(status, problems)
        return InvocationReply(
            road.call.request_id,
            status,
            result,
            error,
            execution.stdout,
            execution.stderr,
            usage,
            execution.sandbox,
            road.evidence(),
            receipt,
        )

    def _stopped(self, road: Road, execution: Execution | None, why: Stopped) -> InvocationReply:
        """Record and answer a call that was stopped after its decision had been recorded."""
        problems = (*why.problems, stopped_after(road.executed))
        usage = execution.usage.as_dict() if execution else None
        receipt = self._record_outcome(road, "refused", problems, usage=usage, record_values=True)
        self._metrics.ended("refused", problems)
        reply = reply_of(road.call.request_id, "refused", problems, road.evidence(), receipt)
        if execution is None:
            return reply
        return replace(
            reply,
            stdout=execution.stdout,
            stderr=execution.stderr,
            usage=usage,
            sandbox=execution.sandbox,
        )

    def _outcome(
        self,
        road: Road,
        status: Status,
        decision_index: int,
        problems: Sequence[Problem],
        **more: Any,
    ) -> dict[str, Any]:
        return records.outcome(
            road.origin,
            road.call,
            self._clock.now(),
            status,
            decision_index=decision_index,
            problems=problems,
            **more,
        )

    def _record_outcome(
        self, road: Road, status: Status, problems: Sequence[Problem], **more: Any
    ) -> dict[str, Any]:
        if road.decision is None:
            raise RuntimeError("an outcome without a decision")
        index = road.decision.index
        recorded = self._audit.append(self._outcome(road, status, index, problems, **more))
        # From here on the outcome is recorded: an error while the receipt is made must not
        # record a second one.
        road.decision = None
        return self._audit.receipt(recorded)

    def _refuse(self, road: Road, status: Status, problems: Sequence[Problem]) -> InvocationReply:
        """Record and answer a call that is not executed."""
        receipt: Mapping[str, Any] | None = None
        try:
            record = records.refused(road.origin, road.call, self._clock.now(), status, problems)
            receipt = self._audit.receipt(self._audit.append(record))
        except AuditUnavailable as error:
            status, problems = "unavailable", error.problems
        except Exception as error:
            _logger.exception("call %s could not be recorded", road.call.request_id)
            status, problems = "unavailable", (internal_problem(error),)
        self._metrics.ended(status, problems)
        return reply_of(road.call.request_id, status, tuple(problems), road.evidence(), receipt)

    def _internal(self, road: Road, error: Exception) -> InvocationReply:
        """Answer what must not happen, and see to it that the log has its outcome."""
        if isinstance(error, AuditUnavailable):
            problems = error.problems
        else:
            _logger.exception("call %s failed inside the runner", road.call.request_id)
            problems = (internal_problem(error),)
        if road.decision is None:
            if isinstance(error, AuditUnavailable):
                self._metrics.ended("unavailable", problems)
                return reply_of(road.call.request_id, "unavailable", problems, road.evidence())
            return self._refuse(road, "unavailable", problems)
        # The log may just have failed, so nobody waits for it again: what is owed comes before
        # the next record, or at the next start (`interrupted`).
        self._audit.owe(self._outcome(road, "unavailable", road.decision.index, problems))
        self._metrics.ended("unavailable", problems)
        return reply_of(road.call.request_id, "unavailable", problems, road.evidence())
