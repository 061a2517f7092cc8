"""What signed-in people say to single lines: a conversation beside the evidence.

A comment is written by a session. It is not signed, counts for nothing, and stays with the wheel's
digest, path and line that it was written on. On a later version it is shown beside the same line
of text, as from the earlier version; where that text is gone, beside the file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry import comparison, views
from registry.errors import Conflict, Unprocessable
from registry.lookup import find, no_such_file
from registry.models import Plugin, Version
from registry.readmodel import FileView, SignerView
from registry.review_tools.members import members_of
from registry.review_tools.models import LineComment
from registry.services import Services
from trust.errors import SealgateError, problem
from trust.identity import Identity

MAX_TEXT = 2_000
"""Characters of one comment."""
MAX_A_FILE = 200
"""Comments of one file that a page shows, the newest."""

MAX_A_VERSION = 500
"""Comments of one version."""

Role = Literal["author", "reviewer", ""]


@dataclass(frozen=True, slots=True)
class CommentView:
    """One comment as a page shows it.

    Attributes:
        writer: who was signed in.
        role: `author` of the version or owner of its name, `reviewer` of today's layout, or "".
        text: plain text.
        at: when it was written.
        version: the version that it was written on.
        path: the file.
        line: the line on that version, from 1.
        earlier: it was written on an earlier version.
        shown_at: the line of the version at hand beside which it is shown; 0 for none.
    """

    writer: SignerView
    role: Role
    text: str
    at: datetime
    version: str
    path: str
    line: int
    earlier: bool
    shown_at: int


def line_digest(text: str) -> str:
    """Return the digest by which a line is found again: of its text without blanks around it."""
    return hashlib.sha256(text.strip().encode("utf-8", "backslashreplace")).hexdigest()


def add(
    services: Services, name: str, number: str, path: str, line: int, text: str, who: Identity
) -> None:
    """Keep a comment.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        number: the version.
        path: a text file of the wheel.
        line: the line, from 1.
        text: what is said, 1 to `MAX_TEXT` characters.
        who: the person who is signed in.

    Raises:
        NotFound: no such version, or it has no such file.
        Unprocessable: the file has no such line, or the text is blank or too long.
        Conflict: the version has `MAX_A_VERSION` comments.
    """
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not text or len(text) > MAX_TEXT:
        raise Unprocessable(
            problem(
                "review.comment-text",
                "a comment needs some words, and not too many",
                value=f"{len(text)} characters",
                expected=f"1 to {MAX_TEXT} characters",
                advice="write it shorter, or say it in the review's comment",
            )
        )
    with services.database.read() as session:
        version = find(session, name, number)
        sha256, key = version.sha256, version.id
    members = members_of(services.blobs, sha256)
    if path not in members:
        raise no_such_file(path)
    (view,) = comparison.file_views({path: members[path]}, None, ())
    if not 1 <= line <= len(view.lines):
        raise Unprocessable(
            problem(
                "review.comment-line",
                "the file has no such line",
                value=line,
                expected=f"a line from 1 to {len(view.lines)}" if view.lines else "a text file",
                advice="open the file's page and choose the line there",
                where=path,
            )
        )
    with services.database.write() as session:
        if _count(session, key) >= MAX_A_VERSION:
            raise Conflict(
                problem(
                    "review.comments-full",
                    "this version has as many comments as it may have",
                    value=MAX_A_VERSION,
                    advice="say the rest in the review itself",
                )
            )
        session.add(
            LineComment(
                version_id=key,
                wheel_sha256=sha256,
                path=path,
                line=line,
                line_sha256=line_digest(view.lines[line - 1].text),
                issuer=who.issuer,
                subject=who.subject,
                text=text,
                at=services.clock(),
            )
        )


def of_files(
    services: Services, name: str, number: str, files: Sequence[FileView]
) -> Mapping[str, tuple[CommentView, ...]]:
    """Return the comments on these files, of this version and of earlier ones, oldest first.

    Raises:
        NotFound: no such version.
    """
    texts = {file.path: file for file in files}
    found: dict[str, list[CommentView]] = {}
    with services.database.read() as session:
        version = find(session, name, number)
        for row, said_on in _rows(session, version, list(texts)):
            here = found.setdefault(row.path, [])
            if len(here) < MAX_A_FILE:
                here.append(_view(services, row, said_on, version, texts[row.path]))
    return {path: tuple(reversed(items)) for path, items in found.items()}


def _count(session: Session, version_id: int) -> int:
    statement = select(func.count()).where(LineComment.version_id == version_id)
    return session.scalar(statement) or 0


def _rows(session: Session, version: Version, paths: list[str]) -> list[tuple[LineComment, str]]:
    statement = (
        select(LineComment, Version.number)
        .join(Version, Version.id == LineComment.version_id)
        .where(
            Version.plugin_id == version.plugin_id,
            Version.id <= version.id,
            LineComment.path.in_(paths),
        )
        .order_by(LineComment.id.desc())
    )
    return [(row, number) for row, number in session.execute(statement)]


def _view(
    services: Services, row: LineComment, said_on: str, version: Version, file: FileView
) -> CommentView:
    earlier = row.wheel_sha256 != version.sha256
    return CommentView(
        writer=views.signer(row.writer),
        role=_role(services, row.writer, version.plugin, version),
        text=row.text,
        at=row.at,
        version=said_on,
        path=row.path,
        line=row.line,
        earlier=earlier,
        shown_at=_place(row, file) if earlier else row.line,
    )


def _place(row: LineComment, file: FileView) -> int:
    """Return the nearest line with the text that the comment was written on, 0 where it is gone."""
    same = [line.number for line in file.lines if line_digest(line.text) == row.line_sha256]
    return min(same, key=lambda number: abs(number - row.line), default=0)


def _role(services: Services, who: Identity, plugin: Plugin, version: Version) -> Role:
    if who in (plugin.owner, version.author):
        return "author"
    try:
        reviewers = services.trust.reviewing().reviewers
    except SealgateError:
        return ""
    return "reviewer" if who in reviewers else ""
