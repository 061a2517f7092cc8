"""Findings that a scan statement names, and what a reviewer says to each of them.

A scan statement with the result WARNED lists in `warnedTests` (in-toto test result v0.1) every
finding that reviewers must acknowledge, each as one line of text: fingerprint, rule, path, apart
by one blank. The fingerprint is the report's `partialFingerprints["sealgate/v1"]`: SHA-256 of path,
rule, the finding's own lines and its occurrence. It outlives lines that move, and changes with the
lines that were found. An approval answers in `acknowledged`, one entry for one finding.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

MAX_WARNED: Final = 200
"""Findings that a scan statement may name: nobody weighs more of them one by one."""
MAX_REASON: Final = 400
"""Characters of the reason for one finding."""

_TEXT: Final = re.compile(r"([0-9a-f]{64}) (\S{1,64}) (.{1,1000})", re.DOTALL)


@dataclass(frozen=True, slots=True, order=True)
class Warned:
    """One finding that reviewers must acknowledge.

    Attributes:
        fingerprint: SHA-256 of path, rule, content and occurrence, lowercase hexadecimal.
        rule: the rule's identifier, such as `B608`.
        path: the file in the wheel.
    """

    fingerprint: str
    rule: str
    path: str

    @property
    def text(self) -> str:
        """The finding as `warnedTests` names it."""
        return f"{self.fingerprint} {self.rule} {self.path}"

    @classmethod
    def parse(cls, text: str) -> Warned:
        """Read an entry of `warnedTests`.

        Raises:
            ValueError: it does not name a finding in this form.
        """
        match = _TEXT.fullmatch(text)
        if match is None:
            raise ValueError(f"not a fingerprint, a rule and a path: {text[:100]!r}")
        return cls(*match.groups())


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What a reviewer says to one finding.

    Attributes:
        finding: the finding, as the scan names it.
        reason: why it is acceptable; at most `MAX_REASON` characters, not blank.
    """

    finding: Warned
    reason: str

    def as_dict(self) -> dict[str, str]:
        """Return the entry of a review's `acknowledged`."""
        found = self.finding
        return {
            "fingerprint": found.fingerprint,
            "rule": found.rule,
            "path": found.path,
            "reason": self.reason,
        }


def warned(predicate: Mapping[str, Any]) -> tuple[Warned, ...]:
    """Return the findings that a scan's predicate names.

    Args:
        predicate: a test result that `check_predicate` accepted.

    Raises:
        ValueError: an entry is not in the form of `Warned.text`.
    """
    return tuple(Warned.parse(text) for text in predicate.get("warnedTests", ()))


def acknowledged(predicate: Mapping[str, Any]) -> tuple[Acknowledgement, ...]:
    """Return what a review's predicate acknowledges.

    Args:
        predicate: a review that `check_predicate` accepted.
    """
    return tuple(
        Acknowledgement(Warned(entry["fingerprint"], entry["rule"], entry["path"]), entry["reason"])
        for entry in predicate.get("acknowledged", ())
    )
