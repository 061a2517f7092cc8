"""An author's answer to a rejection or a finding: who may give one, and to what.

An answer is text that reviewers of this and later versions read. It is written by a session and
proves nothing: the gate does not know it, and it changes no state.
"""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from registry.author_desk.models import Answer, DeskEvent
from registry.errors import BadRequest, Conflict, Forbidden
from registry.lookup import find
from registry.models import Version
from registry.services import Services
from registry.states import State
from trust.errors import problem
from trust.identity import Identity

MAX_TEXT = 4000
"""Characters of one answer."""

MAX_ANSWERS = 20
"""Answers to one version."""

ANSWERABLE = frozenset({State.SCAN_FAILED, State.SCAN_INCOMPLETE, State.IN_REVIEW, State.REJECTED})
"""States in which somebody said something that can be answered."""


def may_answer(version: Version, person: Identity | None) -> bool:
    """Say whether `person` may answer: the version's author, or the owner of its name."""
    return (
        person is not None
        and person in (version.author, version.plugin.owner)
        and version.state in ANSWERABLE
    )


def give(services: Services, name: str, number: str, person: Identity, text: str) -> None:
    """Store an answer and its row in the journal.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        number: the version.
        person: who is signed in.
        text: what they wrote, plain text.

    Raises:
        NotFound: no such version.
        Forbidden: `person` is neither its author nor the owner of its name.
        Conflict: there is nothing to answer, or there are enough answers.
        BadRequest: the text is empty or too long.
    """
    text = text.replace("\r\n", "\n").replace("\0", "").strip()
    if not 0 < len(text) <= MAX_TEXT:
        raise BadRequest(
            problem(
                "desk.answer-text",
                "the answer is empty or too long",
                value=f"{len(text)} characters",
                expected=f"1 to {MAX_TEXT} characters",
                advice="say in a few sentences what you changed, or why it is as it is",
                where="text",
            )
        )
    with services.database.write() as session:
        version = find(session, name, number)
        _check(session, version, person)
        now = services.clock()
        session.add(
            Answer(
                version_id=version.id,
                at=now,
                issuer=person.issuer,
                subject=person.subject,
                text=text,
            )
        )
        session.add(
            DeskEvent(
                at=now,
                event="answered",
                plugin_id=version.plugin_id,
                version_id=version.id,
                actor_issuer=person.issuer,
                actor_subject=person.subject,
                detail=f"{person.subject} answered on {version.number}",
            )
        )


def _check(session: Session, version: Version, person: Identity) -> None:
    if person not in (version.author, version.plugin.owner):
        raise Forbidden(
            problem(
                "desk.not-yours",
                "only the author of a version or the owner of its name answers for it",
                value=str(person),
                expected=str(version.author),
                advice="sign in as the author",
            )
        )
    if not may_answer(version, person):
        raise Conflict(
            problem(
                "desk.nothing-to-answer",
                f"this version is {version.state}: there is nothing to answer",
                value=version.state,
                expected=" or ".join(sorted(ANSWERABLE)),
                advice="wait until the scan or a reviewer has said something",
            )
        )
    count = session.scalar(
        select(func.count()).select_from(Answer).where(Answer.version_id == version.id)
    )
    if (count or 0) >= MAX_ANSWERS:
        raise Conflict(
            problem(
                "desk.enough-answers",
                "this version has as many answers as are kept",
                value=count,
                expected=f"at most {MAX_ANSWERS}",
                advice="submit a new version",
            )
        )
