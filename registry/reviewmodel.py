"""What reviewers see: frozen views, as those of `registry.readmodel`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from registry.filemodel import Change, CoverageView, Delta, FileOutline, FindingView
from registry.readmodel import SignerView, VersionView
from registry.risk import Risk

if TYPE_CHECKING:
    from registry.drift import Flag

QueueOrder = Literal["waiting", "newest", "risk"]


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One line of the review queue: a version in state `in_review`.

    Attributes:
        risk: how much there is to look at, with reasons; None where it is not worked out yet.
        flags: keys of `registry.risk.FLAGS`.
    """

    name: str
    version: str
    summary: str
    sha256: str
    author: SignerView
    submitted_at: datetime
    in_review_since: datetime
    waits_for: str
    approvals: int
    approvals_needed: int
    counts: Mapping[str, int]
    previous_version: str | None
    risk: Risk | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """What a reviewer said to one finding, in a signed approval of a published version.

    Attributes:
        version: the version that was approved.
        reviewer: the signer.
        reason: their words, plain text.
        at: when the registry took the review.
        evidence_sha256: the review's bundle.
    """

    version: str
    reviewer: SignerView
    reason: str
    at: datetime
    evidence_sha256: str


@dataclass(frozen=True, slots=True)
class ToAcknowledge:
    """One finding that every approval must acknowledge, as the scan statement names it.

    Attributes:
        fingerprint: by which it is acknowledged.
        rule: the rule's identifier.
        path: the file in the wheel.
        line: 1-based line number, or 0.
        message: what was found.
        earlier: what was said to the same finding in the newest published version that had it.
    """

    fingerprint: str
    rule: str
    path: str
    line: int
    message: str
    earlier: Reason | None


@dataclass(frozen=True, slots=True)
class Materials:
    """What a reviewer's statement must name; `sealgate review` and web signing both use it.

    Attributes:
        acknowledge: the findings that an approval must answer, in the report's order.
    """

    filename: str
    sha256: str
    report_sha256: str
    previous_sha256: str | None
    policy_sha256: str
    acknowledge: tuple[ToAcknowledge, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewView:
    """Everything a reviewer needs on one page.

    Attributes:
        version: the version under review.
        materials: the digests that the signed review names, or None before the scan ended.
        delta: against the last published version, None for a first version.
        files: every file of the wheel and those that are gone; `queries.files` has their texts.
        findings: every finding, worst first.
        coverage: what the scan looked at, or None before the scan ended.
        reviewers: who may review according to the layout (the author is never among them).
        acknowledged: what the reviews of this version say to findings, by fingerprint.
        previous: the version compared with, None for a first version.
        flags: what is suspicious beside that version.
        risk: how much there is to look at, with reasons.
        dependencies: what changed of the wheels that the plugin locks.
        siblings: the numbers of all versions of the plugin, in the order of submission.
    """

    version: VersionView
    materials: Materials | None
    delta: Delta | None
    files: tuple[FileOutline, ...]
    findings: tuple[FindingView, ...]
    coverage: CoverageView | None
    reviewers: tuple[SignerView, ...]
    acknowledged: Mapping[str, tuple[Reason, ...]]
    previous: VersionView | None
    flags: tuple[Flag, ...]
    risk: Risk
    dependencies: tuple[Change, ...]
    siblings: tuple[str, ...]
