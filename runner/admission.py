"""Which bytes may run: the gate's decision, kept for a bounded time together with the bytes.

An admission holds the wheel's bytes in memory. They were hashed, verified and admitted, and they
are what is sent to the sandbox; nothing is read again from a disk or from the registry.

How long an admission lasts: until `admission_max_age_seconds` have passed (by the steady clock and
by the wall clock, whichever is earlier), until the layout expires, and only under the same trust
epoch and policy. Within that time the registry may be down; after it, the registry is asked again
and, if it does not answer, nothing runs. Refusals are kept for `REFUSAL_SECONDS` at most.

A name and version, once admitted by this runner, is bound to its digest for good: a registry that
offers other bytes under the same name and version is refused even if they carry full evidence.
The bindings are rebuilt from the audit log at start (`runner.recovery`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from packaging.version import Version

from runner.clock import Clock
from runner.fetch import Offer, Registry, RegistryRefused, RegistryUnavailable
from runner.policy import Policy
from runner.sandbox.harness import closure
from runner.schemas import CompiledSchema, SchemaUnusable
from trust.errors import Problem, SealgateError, problem
from trust.gate import Admitted, Gate, Refused
from trust.identity import Identity
from trust.outcomes import Failed
from trust.wheel import Method, inspect_wheel, lock

MAX_CACHED_BYTES = 256 << 20
"""Wheel bytes that are kept in memory; the least recently used go first."""
LISTING_SECONDS = 3.0
"""How long the registry's list of versions is used."""
FLIGHT_SECONDS = 120.0
"""The longest that a call waits for another call's admission of the same version."""


class AdmissionRefused(SealgateError):
    """This version must not run here."""


class AdmissionUnavailable(SealgateError):
    """It could not be decided: the registry does not answer, or not in time."""


@dataclass(frozen=True, slots=True)
class CompiledMethod:
    """A method of an admitted plugin with its compiled schemas."""

    method: Method
    arguments: CompiledSchema
    result: CompiledSchema


@dataclass(frozen=True, slots=True)
class Admission:
    """A wheel that may run now: its bytes and what the gate found.

    `wheel` has the wheels that the plugin locks too (`runner.sandbox.harness.closure`).
    """

    wheel: bytes = field(repr=False)
    admitted: Admitted
    methods: Mapping[str, CompiledMethod] = field(repr=False)
    epoch: str
    policy_digest: str
    decided_at: datetime
    decided_steady: float
    excluded: frozenset[Identity] = frozenset()

    def is_fresh(
        self,
        clock: Clock,
        max_age_seconds: float,
        epoch: str,
        policy: str,
        excluded: frozenset[Identity] = frozenset(),
    ) -> bool:
        """Tell whether the admission may still be used."""
        now = clock.now()
        age = max(
            clock.steady() - self.decided_steady, (now - self.decided_at).total_seconds(), 0.0
        )
        return (
            age < max_age_seconds
            and now < self.admitted.expires
            and self.epoch == epoch
            and self.policy_digest == policy
            and self.excluded == excluded
        )


class Admissions:
    """Admits plugins; may be called by any thread. The same version is decided once at a time."""

    def __init__(
        self,
        gate: Gate,
        registry: Registry,
        policy: Policy,
        clock: Clock,
        *,
        bindings: Mapping[tuple[str, str], str] | None = None,
        max_cached_bytes: int = MAX_CACHED_BYTES,
        excluded: Callable[[], frozenset[Identity]] = frozenset,
    ) -> None:
        """Take the parts.

        Args:
            gate: decides.
            registry: offers wheels and evidence.
            policy: who may publish what, what was revoked, how long an admission lasts.
            clock: the time.
            bindings: (name, version) -> wheel digest of what was admitted before.
            max_cached_bytes: wheel bytes that are kept.
            excluded: the reviewers who are revoked now; what rested on them is decided anew.
        """
        self._excluded = excluded
        self._gate = gate
        self._registry = registry
        self._policy = policy
        self._clock = clock
        self._max_cached_bytes = max_cached_bytes
        self._lock = threading.Lock()
        self._bindings = dict(bindings or {})
        self._cache: OrderedDict[tuple[str, str], Admission] = OrderedDict()
        self._listings: dict[str, tuple[float, tuple[str, ...]]] = {}
        self._flights: dict[tuple[str, str], Future[Any]] = {}

    def adopt(self, policy: Policy) -> None:
        """Judge by another policy from now on: what was admitted under the old one is void."""
        self._policy = policy

    @property
    def gate(self) -> Gate:
        """The gate in force."""
        return self._gate

    def adopt_gate(self, gate: Gate) -> None:
        """Decide by another gate from now on: what was admitted by the old one is void."""
        self._gate = gate

    def resolve(self, name: str, allowed: Callable[[str], bool]) -> str:
        """Choose the version for a call that names none.

        The highest version that the registry offers and `allowed` accepts; a pre-release only if
        there is no other (PEP 440). If the registry does not answer, the highest one that is
        admitted and still fresh.

        Raises:
            AdmissionRefused: there is none.
            AdmissionUnavailable: the registry does not answer and nothing is admitted.
        """
        try:
            offered = self._versions(name)
        except RegistryUnavailable as error:
            with self._lock:
                offered = tuple(
                    version
                    for (plugin, version), admission in self._cache.items()
                    if plugin == name and self._fresh(admission)
                )
            if not any(map(allowed, offered)):
                raise AdmissionUnavailable(error.problems) from error
        except RegistryRefused as error:
            raise AdmissionRefused(error.problems) from error
        candidates = sorted(Version(version) for version in offered if allowed(version))
        finals = [version for version in candidates if not version.is_prerelease]
        if not candidates:
            raise AdmissionRefused(
                problem(
                    "registry.no-version",
                    "the registry offers no version of this plugin that the policy allows",
                    value=", ".join(offered) or "none",
                    expected="a published version within the policy's specifiers",
                    advice="ask the operator, or name a version to see why it is refused",
                    where="/version",
                )
            )
        return str((finals or candidates)[-1])

    def admit(self, name: str, version: str) -> Admission:
        """Return a fresh admission of `name`==`version`, decided anew if need be.

        Args:
            name: the plugin's normalised name.
            version: its canonical version.

        Raises:
            AdmissionRefused: the gate, the policy or the binding refuses it.
            AdmissionUnavailable: the registry does not answer.
        """
        key = (name, version)
        with self._lock:
            cached = self._cache.get(key)
            if cached is not None and self._fresh(cached):
                self._cache.move_to_end(key)
                return cached
        admission: Admission = self._once(key, lambda: self._decide(name, version))
        return admission

    def _fresh(self, admission: Admission) -> bool:
        return admission.is_fresh(
            self._clock,
            self._policy.admission_max_age_seconds,
            self._gate.epoch,
            self._policy.digest,
            self._excluded(),
        )

    def _once(self, key: tuple[str, str], work: Callable[[], Any]) -> Any:
        """Do `work` in one thread for all that ask for `key` at the same time."""
        with self._lock:
            flight = self._flights.get(key)
            leads = flight is None
            if flight is None:
                flight = self._flights[key] = Future()
        if leads:
            try:
                flight.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to everybody who waits
                flight.set_exception(error)
            finally:
                with self._lock:
                    del self._flights[key]
        try:
            return flight.result(FLIGHT_SECONDS)
        except TimeoutError as error:
            raise AdmissionUnavailable(
                problem(
                    "registry.slow",
                    "the admission of this version takes too long",
                    value=" ".join(key),
                    expected=f"a decision within {FLIGHT_SECONDS:g} s",
                    advice="try again later",
                )
            ) from error

    def _versions(self, name: str) -> tuple[str, ...]:
        with self._lock:
            kept = self._listings.get(name)
            if kept is not None and self._clock.steady() - kept[0] < LISTING_SECONDS:
                return kept[1]

        def ask() -> tuple[str, ...]:
            versions = self._registry.versions(name)
            if versions:  # "nothing yet" is not kept: the first publication counts at once
                with self._lock:
                    self._listings[name] = (self._clock.steady(), versions)
            return versions

        found: tuple[str, ...] = self._once((name, ""), ask)
        return found

    def _decide(self, name: str, version: str) -> Admission:
        key = (name, version)
        try:
            admission = self._judge(name, version)
        except (AdmissionRefused, RegistryRefused) as error:
            with self._lock:
                self._cache.pop(key, None)
            raise AdmissionRefused(error.problems) from error
        except RegistryUnavailable as error:
            raise AdmissionUnavailable(error.problems) from error
        with self._lock:
            self._bindings[key] = admission.admitted.plugin.sha256
            self._cache[key] = admission
            self._cache.move_to_end(key)
            self._evict()
        return admission

    def _evict(self) -> None:
        total = sum(len(admission.wheel) for admission in self._cache.values())
        while total > self._max_cached_bytes and len(self._cache) > 1:
            _, gone = self._cache.popitem(last=False)
            total -= len(gone.wheel)

    def _judge(self, name: str, version: str) -> Admission:
        steady, now, policy = self._clock.steady(), self._clock.now(), self._policy
        gate, excluded = self._gate, self._excluded()
        offer = self._registry.offer(name, version)
        self._check_binding(offer)
        _raise_if(policy.is_revoked(offer.sha256, name, version))
        with self._lock:
            kept = self._cache.get((name, version))
        same = kept is not None and kept.admitted.plugin.sha256 == offer.sha256
        if kept is not None and same:
            wheel, *locked = closure.split(kept.wheel)
        else:
            wheel = self._registry.wheel(offer)
            locked = self._locked(offer, wheel)
        bundles = self._registry.evidence(offer)
        publishers = policy.publishers_of(name)
        decision = gate.decide(
            wheel, offer.filename, bundles, publishers, now, wheels=locked, excluded=excluded
        )
        if isinstance(decision, Refused):
            raise AdmissionRefused(_with_step(decision))
        plugin = decision.plugin
        if (plugin.name, Version(plugin.version)) != (name, Version(version)):
            raise AdmissionRefused(
                problem(
                    "admission.other-plugin",
                    "the wheel is another plugin or version than the one that was asked for",
                    value=f"{plugin.name} {plugin.version}",
                    expected=f"{name} {version}",
                    advice="ask the operator to look at the registry; nothing was run",
                )
            )
        _raise_if(policy.is_revoked(plugin.sha256, name, version, frozenset({decision.author})))
        return Admission(
            wheel=closure.join([wheel, *locked]),
            admitted=decision,
            methods=_compile(plugin.manifest.methods),
            epoch=gate.epoch,
            policy_digest=policy.digest,
            decided_at=now,
            decided_steady=steady,
            excluded=excluded,
        )

    def _locked(self, offer: Offer, wheel: bytes) -> list[bytes]:
        """Fetch the wheels that the plugin's lock names; the gate judges all of them."""
        if not lock.may_be_in(wheel):
            return []  # and need not be read here before the gate reads it
        outcome = inspect_wheel(wheel, offer.filename)
        if isinstance(outcome, Failed):
            return []  # the gate says why
        return [
            self._registry.dependency(offer, item.sha256) for item in outcome.value.dependencies
        ]

    def _check_binding(self, offer: Offer) -> None:
        with self._lock:
            bound = self._bindings.get((offer.name, offer.version))
        if bound is not None and bound != offer.sha256:
            raise AdmissionRefused(
                problem(
                    "admission.rebound",
                    "the registry offers other bytes under a name and version that ran before",
                    value=f"{offer.name} {offer.version} sha256:{offer.sha256}",
                    expected=f"sha256:{bound}, which this runner admitted first",
                    advice="release the new bytes under a new version, and find out who changed "
                    "the registry",
                )
            )


def _raise_if(outcome: object) -> None:
    if isinstance(outcome, Failed):
        raise AdmissionRefused(outcome.problems)


def _with_step(refused: Refused) -> tuple[Problem, ...]:
    head = problem(
        "gate.refused",
        f"the gate refused the wheel at the step `{refused.step}`",
        value=refused.step,
        expected="evidence for every step of the layout",
        advice="see the problems that follow",
        where=refused.step,
    )
    return (head, *refused.problems)


def _compile(methods: Mapping[str, Method]) -> dict[str, CompiledMethod]:
    try:
        return {
            name: CompiledMethod(
                method, CompiledSchema(method.arguments), CompiledSchema(method.result)
            )
            for name, method in methods.items()
        }
    except SchemaUnusable as error:
        raise AdmissionRefused(error.problems) from error
