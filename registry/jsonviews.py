"""The frozen views as JSON objects, in the form that the OpenAPI document describes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

from registry.clock import to_text
from registry.readmodel import (
    EvidenceView,
    Page,
    PluginView,
    ReviewRecord,
    ScanView,
    SignerView,
    TimelineEvent,
    VersionLine,
    VersionView,
)
from registry.reviewmodel import Materials, QueueItem, Reason

T = TypeVar("T")


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else to_text(moment)


def _signer(view: SignerView) -> dict[str, str]:
    return {"issuer": view.issuer, "subject": view.subject}


def _event(view: TimelineEvent) -> dict[str, Any]:
    return {
        "at": to_text(view.at),
        "event": view.event,
        "actor": _signer(view.actor) if view.actor else None,
        "detail": view.detail,
        "problems": [p.as_dict() for p in view.problems],
    }


def _scan(view: ScanView) -> dict[str, Any]:
    return {
        "verdict": view.verdict,
        "result": view.result,
        "counts": dict(view.counts),
        "report_sha256": view.report_sha256,
        "policy_sha256": view.policy_sha256,
        "finished_at": to_text(view.finished_at),
        "problems": [p.as_dict() for p in view.problems],
    }


def _review(view: ReviewRecord) -> dict[str, Any]:
    return {
        "reviewer": _signer(view.reviewer),
        "decision": view.decision,
        "comment": view.comment,
        "at": to_text(view.at),
        "evidence_sha256": view.evidence_sha256,
    }


def evidence(view: EvidenceView, base: str) -> dict[str, Any]:
    """Return one bundle's line."""
    return {
        "sha256": view.sha256,
        "step": view.step,
        "predicate_type": view.predicate_type,
        "signer": _signer(view.signer),
        "signed_at": _time(view.signed_at),
        "filename": view.filename,
        "url": base + view.url,
    }


def version(view: VersionView, base: str) -> dict[str, Any]:
    """Return everything about one version.

    Args:
        view: the view.
        base: the registry's base URL, without a trailing slash.
    """
    place = f"{view.name}/{quote(view.version)}"
    api = f"{base}/api/v1/plugins/{place}"
    return {
        "name": view.name,
        "version": view.version,
        "filename": view.filename,
        "sha256": view.sha256,
        "size": view.size,
        "summary": view.summary,
        "package": view.package,
        "state": view.state,
        "waits_for": view.waits_for,
        "approvals": view.approvals,
        "approvals_needed": view.approvals_needed,
        "author": _signer(view.author),
        "submitted_at": to_text(view.submitted_at),
        "published_at": _time(view.published_at),
        "methods": [asdict(method) for method in view.methods],
        "limits": asdict(view.limits),
        "permissions": list(view.permissions),
        "scan": _scan(view.scan) if view.scan else None,
        "reviews": [_review(item) for item in view.reviews],
        "timeline": [_event(item) for item in view.timeline],
        "problems": [p.as_dict() for p in view.problems],
        "links": {
            "self": api,
            "page": f"{base}/plugins/{place}",
            "wheel": f"{api}/wheel",
            "report": f"{api}/report" if view.scan else None,
            "evidence": f"{api}/evidence",
            "review_materials": f"{api}/review-materials" if view.scan else None,
        },
    }


def _line(view: VersionLine, name: str, base: str) -> dict[str, Any]:
    return {
        "version": view.version,
        "sha256": view.sha256,
        "state": view.state,
        "waits_for": view.waits_for,
        "submitted_at": to_text(view.submitted_at),
        "published_at": _time(view.published_at),
        "url": f"{base}/api/v1/plugins/{name}/{quote(view.version)}",
    }


def plugin(view: PluginView, base: str) -> dict[str, Any]:
    """Return one plugin with its versions, highest first."""
    return {
        "name": view.name,
        "summary": view.summary,
        "owner": _signer(view.owner),
        "latest": view.latest,
        "versions": [_line(item, view.name, base) for item in view.versions],
        "links": {
            "self": f"{base}/api/v1/plugins/{view.name}",
            "page": f"{base}/plugins/{view.name}",
        },
    }


def queue_item(view: QueueItem, base: str) -> dict[str, Any]:
    """Return one line of the review queue."""
    return {
        "name": view.name,
        "version": view.version,
        "summary": view.summary,
        "sha256": view.sha256,
        "author": _signer(view.author),
        "submitted_at": to_text(view.submitted_at),
        "in_review_since": to_text(view.in_review_since),
        "waits_for": view.waits_for,
        "approvals": view.approvals,
        "approvals_needed": view.approvals_needed,
        "counts": dict(view.counts),
        "previous_version": view.previous_version,
        "url": f"{base}/api/v1/plugins/{view.name}/{quote(view.version)}",
    }


def materials(view: Materials) -> dict[str, Any]:
    """Return what a review must name."""
    return {
        "filename": view.filename,
        "sha256": view.sha256,
        "report_sha256": view.report_sha256,
        "previous_sha256": view.previous_sha256,
        "policy_sha256": view.policy_sha256,
        "acknowledge": [
            {
                "fingerprint": item.fingerprint,
                "rule": item.rule,
                "path": item.path,
                "line": item.line,
                "message": item.message,
                "earlier": _reason(item.earlier) if item.earlier else None,
            }
            for item in view.acknowledge
        ],
    }


def _reason(view: Reason) -> dict[str, Any]:
    return {
        "version": view.version,
        "reviewer": _signer(view.reviewer),
        "reason": view.reason,
        "at": to_text(view.at),
        "evidence_sha256": view.evidence_sha256,
    }


def page(
    view: Page[T], item: Callable[[T, str], dict[str, Any]], base: str, path: str
) -> dict[str, Any]:
    """Return one page of a list, with addresses of its neighbours.

    Args:
        view: the page.
        item: makes the JSON of one item.
        base: the registry's base URL.
        path: the list's path.
    """

    def link(number: int) -> str:
        query = {"page": number, "per_page": view.per_page}
        return f"{base}{path}?{urlencode(({'q': view.query} if view.query else {}) | query)}"

    return {
        "items": [item(entry, base) for entry in view.items],
        "page": view.number,
        "per_page": view.per_page,
        "pages": view.pages,
        "total": view.total,
        "links": {
            "next": link(view.number + 1) if view.has_next else None,
            "previous": link(view.number - 1) if view.has_previous else None,
        },
    }
