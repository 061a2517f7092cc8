"""What pages and JSON show: frozen views, free of the database session they were read in.

Every value that an author or a reviewer wrote (names, summaries, comments, file contents) is
plain text here, never markup: whoever renders it escapes it. Datetimes are timezone-aware UTC,
digests are lower-case hexadecimal SHA-256, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

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
from trust.errors import Problem

T = TypeVar("T")

Decision = Literal["approve", "reject"]
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
    "MethodView",
    "Page",
    "PluginView",
    "Result",
    "ReviewRecord",
    "ScanView",
    "Severity",
    "SignerView",
    "SourceLine",
    "TimelineEvent",
    "Verdict",
    "VersionLine",
    "VersionView",
]
