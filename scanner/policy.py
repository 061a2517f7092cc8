"""The scan policy: everything beside the wheel that a scan's outcome depends on.

Two scans of the same wheel under policies with the same digest give the same report, byte for
byte. That is why the versions of bandit, of Python's grammar and of the rules are part of it: a
scan refuses to run where they differ.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from trust import strictjson
from trust.errors import SealgateError, problem

RULE_SET = 1
"""Raised by one whenever a rule is added, removed or finds other things than before."""

MIB = 1 << 20


class PolicyInvalid(SealgateError):
    """The document is not a scan policy."""


def installed_bandit() -> str:
    """Return the version of the bandit that is installed, or `missing`."""
    try:
        return importlib.metadata.version("bandit")
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def python_grammar() -> str:
    """Return the version of the Python grammar that sources are parsed with, such as `3.11`."""
    return ".".join(platform.python_version_tuple()[:2])


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """What a scan does and how much it may use.

    Attributes:
        wall_seconds: elapsed time of the confined process, in seconds.
        cpu_seconds: its processor time, in seconds.
        memory_bytes: its address space, in bytes (RLIMIT_AS).
        output_bytes: the largest reply that is read from it, in bytes.
        max_findings: more findings than this make the scan incomplete.
        require_network_isolation: whether a host that grants no network namespace makes the scan
            incomplete. Only an operator who isolates the scanner in another way turns it off.
        known_names: names of plugins that another plugin's name must not be mistaken for, beside
            the list of well-known projects that the scanner carries.
        rule_set: the version of the scanner's own rules.
        bandit: the version of bandit.
        python: the Python grammar that sources are parsed with.
    """

    wall_seconds: float = 120.0
    cpu_seconds: int = 90
    memory_bytes: int = 1024 * MIB
    output_bytes: int = 16 * MIB
    max_findings: int = 5000
    require_network_isolation: bool = True
    known_names: tuple[str, ...] = ()
    rule_set: int = RULE_SET
    bandit: str = field(default_factory=installed_bandit)
    python: str = field(default_factory=python_grammar)

    def __post_init__(self) -> None:
        """Sort `known_names`, so that their order does not change the digest."""
        object.__setattr__(self, "known_names", tuple(sorted(set(self.known_names))))

    def to_json(self) -> bytes:
        """Return the policy as canonical JSON: sorted, compact, UTF-8."""
        return strictjson.dumps({"schema_version": 1, **asdict(self)})

    @property
    def sha256(self) -> str:
        """The digest of `to_json`, hexadecimal."""
        return hashlib.sha256(self.to_json()).hexdigest()

    @classmethod
    def from_json(cls, data: bytes) -> ScanPolicy:
        """Read a policy document; keys that are left out have their defaults.

        Raises:
            PolicyInvalid: a key is unknown, or a value has the wrong type or is out of range.
            InvalidJSON: the document is not strict JSON.
        """
        return cls._from_mapping(strictjson.loads(data))

    @classmethod
    def _from_mapping(cls, document: Any) -> ScanPolicy:
        if not isinstance(document, Mapping):
            raise _invalid("", document, "a JSON object")
        values = dict(document)
        if (version := values.pop("schema_version", 1)) != 1:
            raise _invalid("/schema_version", version, "1")
        known = {f.name for f in fields(cls)}
        for key, value in values.items():
            if key not in known:
                raise _invalid(f"/{key}", value, "one of " + ", ".join(sorted(known)))
            if (expected := _expectation(key, value)) is not None:
                raise _invalid(f"/{key}", value, expected)
        if "known_names" in values:
            values["known_names"] = tuple(values["known_names"])
        return cls(**values)


def _expectation(key: str, value: Any) -> str | None:
    """Return what `key` should hold, or None where `value` is that."""
    if key == "require_network_isolation":
        return None if isinstance(value, bool) else "true or false"
    if key == "known_names":
        good = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return None if good else "an array of strings"
    if key in ("bandit", "python"):
        return None if isinstance(value, str) else "a string"
    if key == "wall_seconds":
        good = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
        return None if good else "a number of seconds above 0"
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return None if good else "a whole number above 0"


def _invalid(where: str, value: object, expected: str) -> PolicyInvalid:
    return PolicyInvalid(
        problem(
            "scan.policy-invalid",
            "the document is not a scan policy",
            value=value,
            expected=expected,
            advice="see docs/scanner.md for the policy's keys",
            where=where,
        )
    )


DEFAULT = ScanPolicy()
"""The policy that the registry and `sealgate scan` use unless they are told otherwise."""
