"""The way of a call to its decision: policy, revocations, admission, cool-down, arguments.

Nothing here executes or records anything: `runner.service` does, with what is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from runner.admission import (
    Admission,
    AdmissionRefused,
    Admissions,
    AdmissionUnavailable,
    CompiledMethod,
)
from runner.audit import Recorded
from runner.calls import InvocationRequest, Status
from runner.clock import Clock
from runner.endings import no_version, not_normalised, undeclared
from runner.inflight import CallFacts, Ticket
from runner.policy import Caller, Policy
from runner.records import Call, Origin
from runner.revocations import cooldown
from runner.revocations.guard import Guard
from runner.sandbox.deadline import Deadline
from runner.sandbox.execution import HOST_IMAGE, DriverName, Level
from trust import strictjson
from trust.errors import Problem
from trust.outcomes import Failed, Incomplete, Passed
from trust.wheel import Limits


class Stop(Exception):
    """The call ends before it is executed."""

    def __init__(self, status: Status, problems: Sequence[Problem]) -> None:
        super().__init__(status)
        self.status: Status = status
        self.problems = tuple(problems)


@dataclass(slots=True)
class Road:
    """How far a call has come; one policy holds for all of it.

    `arguments` are in canonical form, and `level` is where they go; both are set by the decision.
    `deadline` is the caller's, if it named one.
    """

    call: Call
    policy: Policy
    origin: Origin
    ticket: Ticket | None = None
    admission: Admission | None = None
    decision: Recorded | None = None
    executed: bool = False
    arguments: bytes = b""
    level: Level = "container"
    deadline: Deadline | None = None

    def evidence(self) -> dict[str, Any] | None:
        """Return the `evidence` member of the reply."""
        if self.admission is None:
            return None
        admitted = self.admission.admitted
        return {
            "plugin": admitted.plugin.name,
            "version": admitted.plugin.version,
            "wheel_sha256": admitted.plugin.sha256,
            "author": admitted.author.as_dict(),
            "reviewers": [identity.as_dict() for identity in admitted.reviewers],
            "layout_sha256": admitted.layout_sha256,
            "bundle_sha256s": list(admitted.bundle_sha256s),
        }


class Decisions:
    """Decides on calls; safe to share between threads."""

    def __init__(
        self,
        admissions: Admissions,
        revocations: Guard,
        clock: Clock,
        driver: DriverName | None = None,
    ) -> None:
        """Take the parts; `driver` makes the containers where the policy names another."""
        self._admissions = admissions
        self._revocations = revocations
        self._clock = clock
        self._driver = driver

    def decide(self, road: Road, request: InvocationRequest, caller: Caller) -> CompiledMethod:
        """Come to a yes, or raise `Stop`; `road` learns what is found out on the way.

        Args:
            road: the call, its policy and its origin.
            request: what is asked for.
            caller: who asks, authenticated.

        Raises:
            Stop: the call is not to be executed; with its status and problems.
        """
        name = request.plugin
        if canonicalize_name(name) != name:
            raise Stop("refused", (not_normalised(name),))
        _stop_if(road.policy.may_call(caller, name, None, request.method))
        version = self._version(road.policy, caller, request)
        road.call.version = version
        _stop_if(road.policy.may_call(caller, name, version, request.method))
        _stop_if(road.policy.is_revoked(None, name, version))
        _stop_if(self._revocations.check(name, version, road.origin.image))
        try:
            admission = self._admissions.admit(name, version)
        except AdmissionRefused as error:
            raise Stop("refused", error.problems) from error
        except AdmissionUnavailable as error:
            raise Stop("unavailable", error.problems) from error
        admitted = admission.admitted
        road.admission = admission
        road.level = road.policy.level_of(name, version)
        call = road.call
        call.wheel_sha256 = admitted.plugin.sha256
        call.evidence = admitted.bundle_sha256s
        call.author = admitted.author
        call.reviewers = admitted.reviewers
        call.sandbox = {
            **self._isolation(road.policy, road.level),
            "limits": dict(_limits(admitted.plugin.manifest.limits)),
        }
        cooled = cooldown.check(
            road.policy.cool_down, name, version, admitted.published_at, self._clock.now()
        )
        _stop_if(cooled)
        if isinstance(cooled, Passed) and cooled.value is not None:
            call.cool_down_waiver = cooled.value.as_dict()
        method = admission.methods.get(request.method)
        if method is None:
            raise Stop("refused", (undeclared(request.method, admission),))
        road.arguments = strictjson.dumps(request.arguments)
        call.take_arguments(
            request.arguments, road.arguments, recorded=road.policy.record_arguments
        )
        wrong = method.arguments.check(
            request.arguments, code="arguments.schema", subject="the arguments"
        )
        if wrong:
            raise Stop("invalid_arguments", wrong)
        return method

    def _isolation(self, policy: Policy, level: Level) -> dict[str, str]:
        """Return what the record of a decision says of where the call is to run."""
        driver = (self._driver or policy.driver) if level == "container" else policy.driver
        if driver == "subprocess":
            told = {"runtime": "bubblewrap", "level": "subprocess", "driver": driver}
            return {**told, "image": HOST_IMAGE}
        return {"runtime": policy.runtime, "level": level, "driver": driver}

    def _version(self, policy: Policy, caller: Caller, request: InvocationRequest) -> str:
        if request.version is not None:
            try:
                return _canonical_version(request.version)
            except InvalidVersion:
                raise Stop("refused", (no_version(request.version),)) from None

        def allowed(version: str) -> bool:
            return (
                isinstance(policy.may_call(caller, request.plugin, version, request.method), Passed)
                and isinstance(policy.is_revoked(None, request.plugin, version), Passed)
                and self._revocations.allows(request.plugin, version)
            )

        try:
            return self._admissions.resolve(request.plugin, allowed)
        except AdmissionRefused as error:
            raise Stop("refused", error.problems) from error
        except AdmissionUnavailable as error:
            raise Stop("unavailable", error.problems) from error

    def facts(self, road: Road, admission: Admission) -> CallFacts:
        """Return what a call under way can be stopped by."""
        plugin = admission.admitted.plugin
        return CallFacts(
            request_id=road.call.request_id,
            caller=road.call.caller or "",
            plugin=plugin.name,
            version=plugin.version,
            wheel_sha256=plugin.sha256,
            author=admission.admitted.author,
            reviewers=tuple(admission.admitted.reviewers),
            image=road.origin.image,
            since=self._clock.now(),
        )


@lru_cache(maxsize=1024)
def _canonical_version(text: str) -> str:
    return str(Version(text))


@lru_cache(maxsize=256)
def _limits(limits: Limits) -> Mapping[str, Any]:
    return MappingProxyType(asdict(limits))


def _stop_if(outcome: object) -> None:
    if isinstance(outcome, Failed):
        raise Stop("refused", outcome.problems)
    if isinstance(outcome, Incomplete):
        raise Stop("unavailable", outcome.problems)
