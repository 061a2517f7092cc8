"""Pages for everybody: the list of plugins, a plugin, a version."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry import listing, queries
from registry.readmodel import EvidenceView, FindingView, ScanView, VersionView
from registry.report import read_report
from registry.services import Services, current
from registry.web import signing, trying

MAX_QUERY = 200
"""Characters of a search text that are looked at."""

MAX_PAGE = 1_000_000


def page_number() -> int:
    """Return the page that the request asks for; what is not a sensible number is the first."""
    text = request.args.get("page", "1")
    return min(max(1, int(text)), MAX_PAGE) if text.isascii() and text.isdigit() else 1


def home() -> str:
    """The list of plugins, and what was published last."""
    services = current()
    text = request.args.get("q", "").replace("\0", "").strip()[:MAX_QUERY]
    return render_template(
        "home.html",
        page=listing.plugins(services, text, page_number()),
        recent=queries.recent(services, 6) if not text else (),
        text=text,
    )


def plugin(name: str) -> str | Response:
    """One plugin: its owner, its versions, the methods of the one that callers get."""
    services = current()
    view = listing.plugin(services, name, page_number())
    if view.name != name:
        return redirect(url_for("web.plugin", name=view.name), 308)
    return render_template(
        "plugin.html",
        plugin=view,
        version=queries.version(services, name, view.shown) if view.shown else None,
    )


def version(name: str, version: str) -> Response:
    """One version: where it stands, who signed what, what the scan found, what happened."""
    from registry.web import live

    services = current()
    view = queries.version(services, name, version)
    if (view.name, view.version) != (name, version):
        return redirect(url_for("web.version", name=view.name, version=view.version), 308)
    follows = live.follows(view)
    refreshes = live.refresh_seconds() if follows else None
    trying_page = trying.offered(view)
    html = render_template(
        "version.html",
        version=view,
        steps=steps(view),
        vouchers=[(bundle, claim(view, bundle)) for bundle in view.evidence],
        findings=_findings(services, name, version),
        follows=follows,
        live_tag=live.tag(view),
        refreshes=refreshes,
        trying=trying_page,
    )
    connect = trying_page.origins if trying_page else () if follows else None
    response = signing.dressed(html, connect)
    if refreshes is not None:
        response.headers["Refresh"] = str(refreshes)
    return response


def _findings(services: Services, name: str, version: str) -> tuple[FindingView, ...]:
    report = queries.report(services, name, version)
    return () if report is None else read_report(report[1])[0]


def steps(view: VersionView) -> list[tuple[str, str, str]]:
    """Return the road of a version: (step, its tone: good, bad, wait or todo; a word on it)."""
    scan, review, publish = _scan_step(view.scan, view.state), ("todo", "not yet"), "todo"
    counted = f"{view.approvals} of {view.approvals_needed}"
    enough = 0 < view.approvals_needed <= view.approvals
    if view.state == "in_review":
        review = ("good" if enough else "wait", counted if view.approvals_needed else "no layout")
        publish = "wait" if enough else "todo"
    elif view.state == "rejected":
        review = ("bad", "rejected")
    elif view.state == "published":
        review, publish = ("good", counted if enough else "done"), "good"
    elif view.state in ("quarantined", "revoked"):
        review, publish = ("good", "done"), "bad"
    words = {"good": "done", "wait": "in progress", "todo": "not yet", "bad": "taken back"}
    return [
        ("Received", "good", "done"),
        ("Signature verified", "good", "done"),
        ("Scanned", *scan),
        ("Approved", *review),
        ("Published", publish, words[publish]),
    ]


def _scan_step(scan: ScanView | None, state: str) -> tuple[str, str]:
    if scan is None:
        return {
            "scanning": ("wait", "running"),
            "scan_failed": ("bad", "failed"),
            "scan_incomplete": ("bad", "incomplete"),
        }.get(state, ("todo", "waiting"))
    if state in ("received", "scanning"):
        return "wait", "again"
    return {
        "passed": ("good", "with warnings" if scan.result == "WARNED" else "passed"),
        "failed": ("bad", "failed"),
    }.get(scan.verdict, ("bad", "incomplete"))


def claim(view: VersionView, bundle: EvidenceView) -> str:
    """Return in words what a bundle's signer vouches for."""
    if bundle.step == "review":
        record = next((r for r in view.reviews if r.evidence_sha256 == bundle.sha256), None)
        if record is not None and record.decision == "reject":
            return "rejected these bytes"
        return "read these bytes and approved them" if record is not None else "reviewed"
    return {
        "submit": "made these bytes and stands by them",
        "scan": "scanned these bytes and reports what it found",
        "publish": "checked all of the above and published",
    }.get(bundle.step, "signed a statement about these bytes")
