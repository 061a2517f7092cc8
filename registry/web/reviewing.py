"""Pages for reviewers: the queue, the review page, one file, and the upload of a review."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry import queries, reviews
from registry.errors import NotFound
from registry.httperrors import status_of
from registry.readmodel import EvidenceView, ReviewView, VersionView
from registry.services import current
from registry.web import sheets, signing
from registry.web.browse import page_number
from registry.web.security import require_same_origin
from trust.errors import Problem, SealgateError, problem


def queue() -> str:
    """What waits for reviewers, the longest waiting first."""
    services = current()
    page = queries.queue(services, page_number())
    now = services.clock()
    return render_template(
        "queue.html",
        page=page,
        waits=[now - item.in_review_since for item in page.items],
        long_wait=timedelta(days=3),
    )


def review(name: str, version: str) -> Response:
    """Everything that a reviewer needs to decide on one version."""
    view = queries.review(current(), name, version)
    found = view.version
    if (found.name, found.version) != (name, version):
        return redirect(url_for("web.review", name=found.name, version=found.version), 308)
    return _page(view, ())


def send(name: str, version: str) -> Response | tuple[Response, int]:
    """Take a review that was signed elsewhere; back to the version, or show the refusals."""
    require_same_origin(request)
    services = current()
    try:
        reviews.submit_form(services, name, version, request)
    except NotFound:
        raise
    except SealgateError as refusal:
        return _page(queries.review(services, name, version), refusal.problems), status_of(refusal)
    return redirect(url_for("web.version", name=name, version=version), 303)


def file(name: str, version: str) -> str:
    """One file of the wheel: its diff, or its text in parts.

    Raises:
        NotFound: the version has no file at that path.
    """
    view = queries.review(current(), name, version)
    path = request.args.get("path", "")
    found = sheets.file_named(view, path)
    if found is None:
        raise NotFound(
            problem(
                "review.no-such-file",
                "this version has no such file",
                value=path,
                expected="the path of a file in the wheel",
                advice="choose a file from the list on the review page",
            )
        )
    mode = request.args.get("show", "diff" if found.diff else "source")
    text = request.args.get("from", "1")
    first = min(int(text), 10_000_000) if text.isascii() and text.isdigit() else 1
    return render_template(
        "file.html",
        view=view,
        sheet=sheets.sheet(
            view,
            found,
            "diff" if mode == "diff" and found.diff else "source",
            max(1, first),
            sheets.PART_ROWS,
        ),
        part_rows=sheets.PART_ROWS,
    )


def _page(view: ReviewView, problems: Sequence[Problem]) -> Response:
    offer = signing.offered() if view.materials and view.version.state == "in_review" else None
    html = render_template(
        "review.html",
        view=view,
        tree=sheets.tree(view),
        inline=sheets.inline(view),
        paths=frozenset(file.path for file in view.files),
        signature=_submission(view),
        previous=_previous(view),
        problems=problems,
        now=current().clock(),
        signing=offer,
        to_acknowledge={
            item.fingerprint: item
            for item in (view.materials.acknowledge if view.materials else ())
        },
    )
    return signing.page(html, offer)


def _previous(view: ReviewView) -> VersionView | None:
    """Return the last published version, to compare signer and issuer with."""
    if view.delta is None:
        return None
    return queries.version(current(), view.version.name, view.delta.version)


def _submission(view: ReviewView) -> EvidenceView | None:
    """Return the author's bundle: who signed the bytes under review."""
    return next((bundle for bundle in view.version.evidence if bundle.step == "submit"), None)
