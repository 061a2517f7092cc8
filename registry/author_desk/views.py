"""What the desk shows: frozen views, free of the session they were read in."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from registry.readmodel import SignerView, VersionLine


@dataclass(frozen=True, slots=True)
class AnswerView:
    """An author's answer; `text` is plain text of theirs."""

    at: datetime
    author: SignerView
    text: str


@dataclass(frozen=True, slots=True)
class RejectionView:
    """A rejection of another version of the plugin, with what its author answered."""

    version: str
    reviewer: SignerView
    at: datetime
    comment: str
    answers: tuple[AnswerView, ...]


@dataclass(frozen=True, slots=True)
class TransferView:
    """An offer of a name."""

    id: int
    plugin: str
    giver: SignerView
    taker: SignerView
    state: str
    offered_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notes:
    """What is told beside a version, by the desk.

    Attributes:
        superseded_by: the newer version that its author submitted while this one is not decided.
        supersedes: older versions that are not decided.
        answers: to this version, oldest first.
        rejections: of earlier versions, newest first; at most `MAX_REJECTIONS`.
        new_owner: the hand-over of the name, where the new owner has published nothing yet.
        may_answer: whether the person signed in may answer.
    """

    superseded_by: str | None
    supersedes: tuple[str, ...]
    answers: tuple[AnswerView, ...]
    rejections: tuple[RejectionView, ...]
    new_owner: TransferView | None
    may_answer: bool


@dataclass(frozen=True, slots=True)
class OwnVersion:
    """One of a person's versions.

    Attributes:
        line: the version.
        ask: what is asked of its author, in words; "" for nothing.
        superseded_by: a newer version of theirs, while this one is not decided.
    """

    line: VersionLine
    ask: str
    superseded_by: str | None


@dataclass(frozen=True, slots=True)
class OwnPlugin:
    """One of a person's names, with its newest versions.

    Attributes:
        owned: whether they own the name today, or only submitted versions of it once.
        versions: newest submission first, at most `VERSIONS_SHOWN`.
        total: how many versions there are.
        offer: the open offer of the name, if there is one.
    """

    name: str
    summary: str
    owned: bool
    versions: tuple[OwnVersion, ...]
    total: int
    offer: TransferView | None
