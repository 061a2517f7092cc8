"""The runner's policy: which callers may call which methods of which plugins by whom.

Deny by default: what no rule allows is refused. Every decision is a pure
function of the policy that returns a typed outcome; `runner.policy_file` reads the file.
Tokens stand in the file as SHA-256 of random 256-bit tokens (no guessing such a token from its
digest, so no slow hash is needed) and are compared in constant time.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from runner import jwt_callers
from runner.jwt_callers import Issuer
from runner.revocations.rules import CoolDown, RevocationRule
from runner.sandbox.execution import DriverName, Level
from trust.errors import problem
from trust.identity import Identity
from trust.outcomes import Failed, Passed


@dataclass(frozen=True, slots=True)
class Versions:
    """A set of versions: PEP 440 specifiers, or `*` for all."""

    text: str
    _specifiers: SpecifierSet = field(compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Versions:
        """Read specifiers.

        Raises:
            InvalidSpecifier: `text` is neither `*` nor PEP 440 specifiers.
        """
        if text != "*" and not text.strip():
            raise InvalidSpecifier(text)
        return cls(text, SpecifierSet("" if text == "*" else text))

    def __contains__(self, version: object) -> bool:
        """Tell whether the set has `version`; what is not a PEP 440 version is never in it."""
        return _contains(self, str(version))


@lru_cache(maxsize=4096)
def _contains(versions: Versions, version: str) -> bool:
    """Tell whether a set has a version; both decide it, so it is worked out once."""
    try:
        parsed = Version(version)
    except InvalidVersion:
        return False
    return versions._specifiers.contains(parsed, prereleases=True)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may call: methods (or `*`) of versions of one plugin."""

    plugin: str
    versions: Versions
    methods: frozenset[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that may call.

    Attributes:
        name: what the audit log calls it.
        token_sha256: hexadecimal digest of its token; None where `identity` says who it is.
        grants: what it may call.
        identity: whom a configured issuer's token must name, or None.
        expires: when its token, or the caller itself, ends, aware, or None.
        may_read_audit: whether it may read entries of the audit log.
        calls_per_minute: its bound in a minute, or None.
        calls_at_once: its bound of calls under way at one time; None for the default.
    """

    name: str
    token_sha256: str | None = field(repr=False)
    grants: tuple[Grant, ...]
    identity: Identity | None = None
    expires: datetime | None = None
    may_read_audit: bool = False
    calls_per_minute: int | None = None
    calls_at_once: int | None = None


@dataclass(frozen=True, slots=True)
class PluginRule:
    """A plugin that may run: who may publish it, which versions, and which of them in cells."""

    name: str
    publishers: tuple[Identity, ...]
    versions: Versions
    cell_versions: Versions | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Something that must never run again; exactly one of the three kinds is set."""

    reason: str
    sha256: str | None = None
    plugin: str | None = None
    version: str | None = None
    publisher: Identity | None = None


@dataclass(frozen=True, slots=True)
class PoolBounds:
    """How many warm containers are kept: always `floor`, never more than `ceiling` in all."""

    floor: int = 2
    ceiling: int = 16


@dataclass(frozen=True, slots=True)
class Distribution:
    """How the TUF repository is followed.

    Attributes:
        url: its address, without a trailing slash: the registry's or a copy's.
        refresh_seconds: how often it is refreshed.
        max_age_seconds: how long after the last refresh new versions are still admitted.
        follow_trust: whether a newer layout and trusted root are taken from it.
    """

    url: str
    refresh_seconds: int
    max_age_seconds: int
    follow_trust: bool = True


@dataclass(frozen=True, slots=True)
class Policy:
    """A valid policy. `digest` is the SHA-256 of the file's bytes, in hexadecimal."""

    digest: str
    image: str
    runtime: str
    level: Level
    registry: str
    admission_max_age_seconds: int
    callers: tuple[Caller, ...]
    plugins: Mapping[str, PluginRule]
    revoked: tuple[Revocation, ...]
    record_arguments: bool
    pool: PoolBounds = PoolBounds()
    issuers: Mapping[str, Issuer] = field(default_factory=dict)
    driver: DriverName = "engine"
    fallback: DriverName | None = None
    distribution: Distribution | None = None
    revocation: RevocationRule | None = None
    cool_down: CoolDown = field(default_factory=CoolDown)
    browser_origins: frozenset[str] = frozenset()

    def authenticate(self, token: str, now: datetime) -> Passed[Caller] | Failed:
        """Find the caller who holds `token`: a configured issuer's, or else an opaque one.

        Args:
            token: the bearer token as it came.
            now: the time, aware.
        """
        issuer = jwt_callers.issuer_of(token, self.issuers)
        if issuer is None:
            found = self._holder(token)
        else:
            verified = jwt_callers.verify(token, issuer, now)
            if isinstance(verified, Failed):
                return verified
            found = next((c for c in self.callers if c.identity == verified.value), None)
        if found is None:
            return _denied(
                "caller.unknown",
                "the bearer token is not one of a known caller",
                expected="Authorization: Bearer and the token of a caller in the policy",
                advice="ask the operator for a token",
            )
        if found.expires is not None and now >= found.expires:
            return _denied(
                "caller.expired",
                "the caller's token has expired",
                value=found.expires.isoformat(),
                expected="a token that is still valid",
                advice="ask the operator for a new token",
            )
        return Passed(found)

    def _holder(self, token: str) -> Caller | None:
        """Find the caller of an opaque token. Every caller is compared, in constant time."""
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
        found: Caller | None = None
        for caller in self.callers:
            if hmac.compare_digest(caller.token_sha256 or "", digest):
                found = caller
        return found if token else None

    def may_call(
        self, caller: Caller, plugin: str, version: str | None, method: str
    ) -> Passed[PluginRule] | Failed:
        """Decide whether `caller` may call `method` of `plugin`.

        Args:
            caller: who calls.
            plugin: the plugin's normalised name.
            version: a version, or None to ask whether any version may be allowed.
            method: the method's name.
        """
        rule = self.plugins.get(plugin)
        grants = [g for g in caller.grants if g.plugin == plugin]
        # One answer for "not in the policy" and "not for you": a caller learns nothing about
        # plugins that are not theirs.
        if rule is None or not grants:
            return _denied(
                "policy.plugin",
                "the policy does not let this caller call this plugin",
                value=plugin,
                expected="a plugin that the policy allows to this caller",
                advice="ask the operator to allow it in the runner's policy",
                where="/plugin",
            )
        grants = [g for g in grants if method in g.methods or "*" in g.methods]
        if not grants:
            return _denied(
                "policy.method",
                "the policy does not let this caller call this method",
                value=method,
                expected="a method that the policy allows to this caller",
                advice="ask the operator to allow it in the runner's policy",
                where="/method",
            )
        if version is not None and (
            version not in rule.versions or not any(version in g.versions for g in grants)
        ):
            allowed = " or ".join(sorted({g.versions.text for g in grants}))
            return _denied(
                "policy.version",
                "the policy does not let this caller call this version",
                value=version,
                expected=f"a version in {rule.versions.text} and in {allowed}",
                advice="name an allowed version, or ask the operator to allow this one",
                where="/version",
            )
        return Passed(rule)

    def level_of(self, plugin: str, version: str | None) -> Level:
        """Return the isolation level of a version's calls: `container` unless it is said."""
        rule = self.plugins.get(plugin)
        if rule is None or rule.cell_versions is None or version not in rule.cell_versions:
            return self.level
        return "cell"

    def uses_cells(self) -> bool:
        """Tell whether the policy allows any version the level `cell`."""
        return any(rule.cell_versions is not None for rule in self.plugins.values())

    @property
    def revocation_log_key(self) -> str | None:
        """The pinned key of the revocation log; None where none is followed."""
        return None if self.revocation is None else self.revocation.log_key.vkey

    def publishers_of(self, plugin: str) -> frozenset[Identity]:
        """Return who may publish `plugin`; nobody for one that the policy does not name."""
        rule = self.plugins.get(plugin)
        return frozenset(rule.publishers) if rule else frozenset()

    def is_revoked(
        self,
        digest: str | None,
        name: str,
        version: str | None,
        publishers: Collection[Identity] = (),
    ) -> Passed[None] | Failed:
        """Check the revocations; `Failed` names every one that matches.

        Args:
            digest: the wheel's SHA-256 in hexadecimal, or None while it is unknown.
            name: the plugin's normalised name.
            version: its version in any PEP 440 form, or None while it is unknown.
            publishers: identities that signed for the wheel.
        """
        problems = tuple(
            problem(
                "policy.revoked",
                f"the {kind} was revoked: {revocation.reason}",
                value=value,
                expected="a version that has not been revoked",
                advice="use another version, or ask the operator",
            )
            for revocation, kind, value in self._matches(digest, name, version, publishers)
        )
        return Failed(problems) if problems else Passed(None)

    def _matches(
        self,
        digest: str | None,
        name: str,
        version: str | None,
        publishers: Collection[Identity],
    ) -> Iterator[tuple[Revocation, str, str]]:
        for revocation in self.revoked:
            if revocation.sha256 is not None and revocation.sha256 == digest:
                yield revocation, "wheel", f"sha256:{digest}"
            if (
                revocation.plugin == name
                and revocation.version is not None
                and version is not None
                and _same_version(revocation.version, version)
            ):
                yield revocation, "version", f"{name}=={version}"
            if revocation.publisher is not None and revocation.publisher in publishers:
                yield revocation, "publisher", str(revocation.publisher)


def _denied(code: str, what: str, **parts: Any) -> Failed:
    return Failed((problem(code, what, **parts),))


def _same_version(one: str, other: str) -> bool:
    try:
        return Version(one) == Version(other)
    except InvalidVersion:
        return one == other
