"""What the policy says about revocations and about the age of a version."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from packaging.version import InvalidVersion, Version

from trust.errors import Problem, SealgateError, problem
from trust.identity import Identity
from trust.log import NoteVerifier

_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
LOG_PATH = "/api/v1/revocations"


@dataclass(frozen=True, slots=True)
class RevocationRule:
    """How the registry's revocation log is followed.

    Attributes:
        poll_seconds: the pause between two looks.
        max_age_seconds: how old the log's head may be; then nothing is admitted.
        log_key: the pinned key of the log.
        revokers: identities that may revoke anything.
        url: the log's address, without a query.
    """

    poll_seconds: float
    max_age_seconds: int
    log_key: NoteVerifier
    revokers: frozenset[Identity]
    url: str


@dataclass(frozen=True, slots=True)
class Waiver:
    """A way around the cool-down for one version, until a time, with the reason."""

    plugin: str
    version: str
    reason: str
    until: datetime

    def as_dict(self) -> dict[str, str]:
        """Return the waiver as a record has it."""
        return {
            "plugin": self.plugin,
            "version": self.version,
            "reason": self.reason,
            "until": self.until.strftime(_FORMAT),
        }


@dataclass(frozen=True, slots=True)
class CoolDown:
    """How many hours a version must have been published before it may run, and who is exempt."""

    hours: float = 0.0
    waivers: tuple[Waiver, ...] = field(default=())


def contradictions(document: Mapping[str, Any]) -> Iterator[Problem]:
    """Find in a policy what the schema cannot say; the places are JSON pointers."""
    rule = document.get("revocation")
    if rule is not None:
        try:
            NoteVerifier.from_vkey(rule["log_key"])
        except SealgateError as error:
            yield problem(
                "policy.log-key",
                "the revocation log's key cannot be read",
                value=error.problem.value,
                expected="a verifier key line, name+id+base64 (C2SP signed-note)",
                advice="copy the line from keys/revocation_log.vkey",
                where="/revocation/log_key",
            )
        if "url" not in rule and document["registry"].startswith("mirror+"):
            yield problem(
                "policy.revocation-url",
                "a mirror has no revocation log",
                value=document["registry"],
                expected=f"the address of a log, such as https://registry.example{LOG_PATH}",
                advice="name the log with `url`, or leave `revocation` out and hand bundles over",
                where="/revocation",
            )
        if rule["max_age_seconds"] <= rule["poll_seconds"]:
            yield problem(
                "policy.revocation-age",
                "the revocation log would always be too old",
                value=f"max_age_seconds {rule['max_age_seconds']}",
                expected=f"more than poll_seconds, {rule['poll_seconds']}",
                advice="allow several polls before nothing is admitted",
                where="/revocation/max_age_seconds",
            )
    for i, waiver in enumerate(document.get("cool_down_waivers", ())):
        where = f"/cool_down_waivers/{i}"
        yield from one_version(
            waiver["version"],
            "the waiver's version is not a version",
            "name the one version that may run at once",
            f"{where}/version",
        )
        yield from one_moment(
            waiver["until"], "policy.until", "the end of the waiver is not a time", f"{where}/until"
        )


def one_version(text: str, what: str, advice: str, where: str) -> Iterator[Problem]:
    """Find that a text is no version (PEP 440)."""
    try:
        Version(text)
    except InvalidVersion:
        yield problem(
            "policy.version",
            what,
            value=text,
            expected="one PEP 440 version such as 1.2.1",
            advice=advice,
            where=where,
        )


def one_moment(text: str, code: str, what: str, where: str) -> Iterator[Problem]:
    """Find that a text is no time."""
    if moment(text) is None:
        yield problem(
            code,
            what,
            value=text,
            expected="RFC 3339 in UTC, such as 2030-01-31T12:00:00Z",
            advice="correct the time",
            where=where,
        )


def moment(text: str) -> datetime | None:
    """Read an RFC 3339 time in UTC with whole seconds; None for anything else."""
    try:
        return datetime.strptime(text, _FORMAT).replace(tzinfo=UTC)
    except ValueError:
        return None


def revocation_rule(document: Mapping[str, Any]) -> RevocationRule | None:
    """Return the policy's rule, from a document without contradictions."""
    rule = document.get("revocation")
    if rule is None:
        return None
    return RevocationRule(
        poll_seconds=rule["poll_seconds"],
        max_age_seconds=rule["max_age_seconds"],
        log_key=NoteVerifier.from_vkey(rule["log_key"]),
        revokers=frozenset(Identity(**who) for who in rule["revokers"]),
        url=rule.get("url", document["registry"].rstrip("/") + LOG_PATH),
    )


def cool_down(document: Mapping[str, Any]) -> CoolDown:
    """Return the policy's cool-down, from a document without contradictions."""
    waivers = ((each, moment(each["until"])) for each in document.get("cool_down_waivers", ()))
    return CoolDown(
        document.get("cool_down_hours", 0.0),
        tuple(
            Waiver(each["plugin"], each["version"], each["reason"], until)
            for each, until in waivers
            if until is not None
        ),
    )
