"""Pages for reviewers: the queue, a review, one file, all files, a search, and what is sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, get_args

from flask import redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from registry import queries, reviews
from registry.dependencies import files as locked
from registry.errors import BadRequest, NotFound
from registry.httperrors import status_of
from registry.lookup import no_such_file
from registry.readmodel import Change, EvidenceView
from registry.review_tools import comments
from registry.review_tools.search import MAX_TEXT, search
from registry.reviewmodel import QueueOrder, ReviewView
from registry.risk import FLAGS
from registry.services import current
from registry.web import desk, presence, sheets, signing
from registry.web.browse import MAX_QUERY, page_number
from registry.web.security import require_same_origin
from trust.errors import Problem, SealgateError, problem

LONG_WAIT = timedelta(days=3)
LIST_FILES = 200
"""Files on one page of the list of all files."""

ORDERS: dict[QueueOrder, str] = {
    "waiting": "longest waiting",
    "risk": "greatest risk",
    "newest": "newest",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What the queue is asked for; what makes no sense is as if it were not there."""

    order: QueueOrder
    flag: str
    text: str
    mine: bool

    @classmethod
    def read(cls) -> Filters:
        """Read the request's parameters."""
        order = request.args.get("sort", "")
        flag = request.args.get("flag", "")
        return cls(
            next((known for known in ORDERS if known == order), "waiting"),
            flag if flag in FLAGS else "",
            _text("q", MAX_QUERY),
            request.args.get("mine") == "1",
        )

    def address(self, page: int) -> str:
        """Return the address of a page of the same queue."""
        chosen = {"q": self.text, "flag": self.flag, "mine": "1" if self.mine else ""}
        if self.order != "waiting":
            chosen["sort"] = self.order
        found = {key: value for key, value in chosen.items() if value}
        return url_for("web.queue", **found, **({"page": page} if page > 1 else {}))  # type: ignore[arg-type]


def _text(name: str, most: int) -> str:
    return request.args.get(name, "").replace("\0", "").strip()[:most]


def queue() -> str:
    """What waits for reviewers."""
    services, filters, person = current(), Filters.read(), desk.person()
    page = queries.queue(
        services,
        page_number(),
        order=filters.order,
        flag=filters.flag,
        text=filters.text,
        undecided_by=person if filters.mine else None,
    )
    now = services.clock()
    return render_template(
        "queue.html",
        page=page,
        filters=filters,
        orders=ORDERS,
        flag_words=FLAGS,
        person=person,
        present=presence.there([(item.name, item.version) for item in page.items], person),
        waits=[now - item.in_review_since for item in page.items],
        long_wait=LONG_WAIT,
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


def file(name: str, version: str) -> Response:
    """One file of the wheel: its changes, or its text in parts.

    Raises:
        NotFound: the version has no file at that path.
    """
    services = current()
    view = queries.review(services, name, version)
    path = request.args.get("path", "")
    entries = sheets.entries_of(view)
    entry = next((entry for entry in entries if entry.path == path), None)
    shown = queries.files(services, name, version, [path])
    wheel = None
    if entry is None and shown:
        wheel = locked.listing(services, name, version, path.partition("/")[0])
        entries = sheets.locked_entries(view, wheel)
        entry = sheets.locked_entry(view, shown[0])
    if entry is None:
        raise no_such_file(path)
    (found,) = shown
    said = comments.of_files(services, name, version, [found]).get(path, ())
    on = _number("comment")
    first = max(1, _number("from") or 1)
    to_read = [entry.path for entry in entries if entry.to_read]
    here = to_read.index(path) if path in to_read else -1
    html = render_template(
        "file.html",
        view=view,
        wheel=wheel,
        sheet=sheets.sheet(entry, found, _mode(found.diff), first, sheets.PART_ROWS, said),
        part_rows=sheets.PART_ROWS,
        before=to_read[here - 1] if here > 0 else None,
        after=to_read[here + 1] if 0 <= here < len(to_read) - 1 else None,
        person=desk.person() if wheel is None else None,
        comment_on=on,
        max_comment=comments.MAX_TEXT,
    )
    return signing.dressed(html, ())


def files(name: str, version: str) -> Response:
    """Every file of the wheel, in pages."""
    view = queries.review(current(), name, version)
    return _files(view, sheets.entries_of(view), None)


def locked_files(name: str, version: str, filename: str) -> Response:
    """Every file of a locked wheel, and what became of each since the version compared with.

    Raises:
        NotFound: the version locks no such wheel.
    """
    view = queries.review(current(), name, version)
    wheel = locked.listing(current(), name, version, filename)
    return _files(view, sheets.locked_entries(view, wheel), wheel)


def _files(
    view: ReviewView, entries: Sequence[sheets.Entry], wheel: locked.Listing | None
) -> Response:
    text, status = _text("q", MAX_QUERY), request.args.get("status", "")
    chosen = [
        entry
        for entry in entries
        if text.lower() in entry.path.lower()
        and (
            status not in (*sheets.STATUS_WORDS, "unscanned", "findings")
            or entry.status == status
            or (status == "unscanned" and entry.not_scanned)
            or (status == "findings" and entry.findings)
        )
    ]
    number = page_number()
    first = (number - 1) * LIST_FILES
    html = render_template(
        "files.html",
        view=view,
        wheel=wheel,
        of=len(entries),
        counts={key: sum(entry.status == key for entry in entries) for key in sheets.STATUS_WORDS},
        entries=chosen[first : first + LIST_FILES],
        total=len(chosen),
        number=number,
        pages=max(1, -(-len(chosen) // LIST_FILES)),
        text=text,
        status=status,
    )
    return signing.dressed(html, ())


def find(name: str, version: str) -> Response:
    """Search the lines that changed, or all of them; a form, without any script."""
    services = current()
    view = queries.version(services, name, version)
    text, everywhere = _text("q", MAX_TEXT), request.args.get("in") == "all"
    html = render_template(
        "search.html",
        version=view,
        text=text,
        everywhere=everywhere,
        found=search(services, name, version, text, everywhere=everywhere) if text else None,
    )
    return signing.dressed(html, ())


def comment(name: str, version: str) -> Response:
    """Take a comment on one line; back to the line.

    Raises:
        RegistryError: nobody is signed in, or there is no such line.
    """
    path, line, text = (request.form.get(key, "") for key in ("path", "line", "text"))
    if not (line.isascii() and line.isdigit() and len(line) < 8):
        raise BadRequest(
            problem(
                "review.comment-line",
                "a comment belongs to a line",
                value=line,
                expected="the number of a line",
                advice="open the file's page and choose the line there",
            )
        )
    comments.add(current(), name, version, path, int(line), text, desk.signed_in())
    back = url_for(
        "web.file",
        name=name,
        version=version,
        path=path,
        show="source",
        **{"from": _part_of(int(line))},  # type: ignore[arg-type]
    )
    return redirect(f"{back}#L{int(line)}", 303)


def _part_of(line: int) -> int:
    return (line - 1) // sheets.PART_ROWS * sheets.PART_ROWS + 1


def _number(name: str) -> int:
    text = request.args.get(name, "")
    return min(int(text), 10_000_000) if text.isascii() and text.isdigit() else 0


def _mode(diff: Sequence[object]) -> sheets.Mode:
    asked = request.args.get("show", "")
    known: tuple[sheets.Mode, ...] = get_args(sheets.Mode)
    mode: sheets.Mode = next((m for m in known if m == asked and m != "none"), "diff")
    return mode if diff else "source"


def _page(view: ReviewView, problems: Sequence[Problem]) -> Response:
    services, person = current(), desk.person()
    name, version = view.version.name, view.version.version
    offer = signing.offered() if view.materials and view.version.state == "in_review" else None
    presence.visit(person, name, version)
    entries = sheets.entries_of(view)
    part = sheets.part(entries, _number("part") or 1)
    split: Literal["split", "diff"] = "split" if request.args.get("show") == "split" else "diff"
    by_path = {entry.path: entry for entry in part.entries}
    found = queries.files(services, name, version, list(by_path))
    said = comments.of_files(services, name, version, found)
    html = render_template(
        "review.html",
        view=view,
        tree=sheets.tree(entries),
        part=part,
        shown=[
            sheets.sheet(by_path[f.path], f, split, comments=said.get(f.path, ())) for f in found
        ],
        split=split == "split",
        paths=frozenset(entry.path for entry in entries),
        signature=_submission(view),
        changes=_changes(view),
        locked={
            f"dependency {pair.name}": pair.filename
            for pair in locked.of_version(services, name, version)
        },
        strip=_strip(view),
        problems=problems,
        person=person,
        present=presence.there([(name, version)], person).get((name, version), ()),
        signing=offer,
        to_acknowledge={
            item.fingerprint: item
            for item in (view.materials.acknowledge if view.materials else ())
        },
    )
    return signing.dressed(html, () if offer is None else offer.origins)


def _changes(view: ReviewView) -> list[Change]:
    return [*(view.delta.manifest if view.delta else ()), *view.dependencies]


def _strip(view: ReviewView) -> list[tuple[str, int, int]]:
    """Return label, changes, and changes by which the new version may do more."""
    changes = _changes(view)
    found = []
    for label, start in (
        ("methods", "method "),
        ("limits", "limit "),
        ("permissions", "permission "),
        ("dependencies", "dependency "),
    ):
        here = [change for change in changes if change.subject.startswith(start)]
        found.append((label, len(here), sum(change.widening for change in here)))
    return found


def _submission(view: ReviewView) -> EvidenceView | None:
    """Return the author's bundle: who signed the bytes under review."""
    return next((bundle for bundle in view.version.evidence if bundle.step == "submit"), None)
