"""What pages and JSON show: frozen views, free of the database session they were read in.

Every value that an author or a reviewer wrote (names, summaries, comments, file contents) is
plain text here, never markup: whoever renders it escapes it. Datetimes are timezone-aware UTC,
digests are lower-case hexadecimal SHA-256, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from registry.filemodel import (
    Change,
    ChangeKind,
    CoverageView,
    Delta,
    DiffLine,
    FileOutline,
    FileView,
    FindingView,
    LineKind,
    Severity,
    SourceLine,
)
from registry.risk import Risk
from trust.errors import Problem

if TYPE_CHECKING:
    from registry.drift import Flag

T = TypeVar("T")

Decision = Literal["approve", "reject"]
QueueOrder = Literal["waiting", "newest", "risk"]
Result = Literal["PASSED", "WARNED", "FAILED"]
Verdict = Literal["passed", "failed", "incomplete"]


@dataclass(frozen=True, slots=True)
class SignerView:
    """A verified Sigstore identity.

    Attributes:
        issuer: the OIDC issuer URL.
        subject: an e-mail address or a URI.
    """

    issuer: str
    subject: str


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One row of a version's history; rows are only ever added.

    Attributes:
        at: when it happened.
        event: a slug: `submitted`, `scan-started`, `scan-passed`, `scan-failed`,
            `scan-incomplete`, `scan-retried`, `approved`, `rejected`, `publish-refused`,
            `publish-delayed`, `published`, `rescan-requested`.
        actor: who caused it: the signer, or the worker's own identity, or None.
        detail: one sentence for a person.
        problems: why, where the event is a refusal; else empty.
    """

    at: datetime
    event: str
    actor: SignerView | None
    detail: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class ScanView:
    """The scan of a version.

    Attributes:
        verdict: `passed`, `failed` or `incomplete`; only `passed` goes on to review.
        result: `PASSED`, `WARNED` (medium findings to acknowledge) or `FAILED`, as signed.
        counts: findings by severity: keys `high`, `medium`, `low`.
        report_sha256: digest of the SARIF 2.1.0 report.
        policy_sha256: digest of the scan policy.
        finished_at: when the scan ended.
        problems: why it failed or is incomplete; empty when it passed.
    """

    verdict: Verdict
    result: Result
    counts: Mapping[str, int]
    report_sha256: str
    policy_sha256: str
    finished_at: datetime
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class EvidenceView:
    """One stored Sigstore bundle.

    Attributes:
        sha256: digest of the bundle's bytes, by which it can be downloaded.
        step: `submit`, `scan`, `review` or `publish`.
        predicate_type: the statement's predicateType.
        signer: the verified signer.
        signed_at: when it was signed by the verified timestamp, if it has one.
        url: the path of the download.
        filename: a name for the download, ending in `.sigstore.json`.
    """

    sha256: str
    step: str
    predicate_type: str
    signer: SignerView
    signed_at: datetime | None
    url: str
    filename: str


@dataclass(frozen=True, slots=True)
class ReviewRecord:
    """One reviewer's signed decision.

    Attributes:
        reviewer: the verified signer.
        decision: `approve` or `reject`.
        comment: what the reviewer wrote, plain text, or "".
        at: when the registry took it.
        evidence_sha256: the bundle.
    """

    reviewer: SignerView
    decision: Decision
    comment: str
    at: datetime
    evidence_sha256: str


@dataclass(frozen=True, slots=True)
class MethodView:
    """One method that the manifest declares; `arguments` and `result` are JSON Schemas."""

    name: str
    callable: str
    summary: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LimitsView:
    """The limits that the manifest declares, in seconds, bytes and a count."""

    wall_seconds: float
    cpu_seconds: int
    memory_bytes: int
    processes: int
    output_bytes: int


@dataclass(frozen=True, slots=True)
class VersionView:
    """Everything about one version.

    Attributes:
        state: `received`, `scanning`, `scan_failed`, `scan_incomplete`, `in_review`,
            `rejected` or `published`.
        waits_for: what happens next, in words ("the scan", "1 of 2 approvals", "publication",
            "nothing").
        approvals: approvals that count so far.
        approvals_needed: the layout's threshold.
        timeline: oldest first.
        problems: why the version is held, from the last refusal; empty otherwise.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    summary: str
    package: str
    state: str
    waits_for: str
    approvals: int
    approvals_needed: int
    author: SignerView
    submitted_at: datetime
    published_at: datetime | None
    methods: tuple[MethodView, ...]
    limits: LimitsView
    permissions: tuple[str, ...]
    scan: ScanView | None
    reviews: tuple[ReviewRecord, ...]
    evidence: tuple[EvidenceView, ...]
    timeline: tuple[TimelineEvent, ...]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionLine:
    """One version in a list."""

    version: str
    sha256: str
    state: str
    waits_for: str
    submitted_at: datetime
    published_at: datetime | None


@dataclass(frozen=True, slots=True)
class PluginView:
    """One plugin name.

    Attributes:
        owner: the identity that claimed the name; only it may publish.
        latest: the published version with the highest PEP 440 version, or None.
        versions: highest version first, in every state.
    """

    name: str
    summary: str
    owner: SignerView
    latest: str | None
    versions: tuple[VersionLine, ...]


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


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list.

    Attributes:
        items: at most `per_page` of them.
        number: 1-based.
        per_page: the size of a full page.
        total: items on all pages.
    """

    items: tuple[T, ...]
    number: int
    per_page: int
    total: int
    query: str = field(default="")

    @property
    def pages(self) -> int:
        """How many pages there are, at least one."""
        return max(1, -(-self.total // self.per_page))

    @property
    def has_next(self) -> bool:
        """Whether a later page exists."""
        return self.number < self.pages

    @property
    def has_previous(self) -> bool:
        """Whether an earlier page exists."""
        return self.number > 1


__all__ = [
    "Change",
    "ChangeKind",
    "CoverageView",
    "Decision",
    "Delta",
    "DiffLine",
    "EvidenceView",
    "FileOutline",
    "FileView",
    "FindingView",
    "LimitsView",
    "LineKind",
    "Materials",
    "MethodView",
    "Page",
    "PluginView",
    "QueueItem",
    "QueueOrder",
    "Reason",
    "Result",
    "ReviewRecord",
    "ReviewView",
    "ScanView",
    "Severity",
    "SignerView",
    "SourceLine",
    "TimelineEvent",
    "ToAcknowledge",
    "Verdict",
    "VersionLine",
    "VersionView",
]
