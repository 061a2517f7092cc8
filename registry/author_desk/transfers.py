"""Handing a plugin's name to somebody else: offered by its owner, accepted by the new one.

Both are signed in, and nobody else can do either; an operator can only cancel what is still open.
Accepting changes who may submit under the name in this registry. It publishes nothing and counts
for no gate: a runner's own list of publishers is the runner's operator's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from registry.author_desk.models import DeskEvent, Transfer
from registry.errors import BadRequest, Conflict, Forbidden, NotFound
from registry.lookup import find_plugin
from registry.models import Plugin
from registry.services import Services
from trust.errors import problem
from trust.evidence.bundles import is_plain
from trust.identity import Identity

Action = Literal["accept", "decline", "withdraw", "cancel"]

STATES: dict[Action, str] = {
    "accept": "accepted",
    "decline": "declined",
    "withdraw": "withdrawn",
    "cancel": "cancelled",
}
OFFERED = "offered"


def offer(services: Services, name: str, person: Identity, taker: Identity) -> None:
    """Offer a name.

    Args:
        services: the registry's parts.
        name: the plugin's name.
        person: who is signed in.
        taker: who is to own it.

    Raises:
        NotFound: no such plugin.
        Forbidden: `person` does not own the name.
        BadRequest: `taker` cannot be an owner here.
        Conflict: the name is on offer already.
    """
    trusted = services.settings.trusted_issuers
    if taker == person or not is_plain(taker.subject) or taker.issuer not in trusted:
        raise BadRequest(
            problem(
                "desk.transfer-to",
                "a name cannot be offered to this identity",
                value=str(taker),
                expected="another person's identity of " + ", ".join(sorted(trusted)),
                advice="ask the new owner how this registry shows their name when they sign in",
                where="to",
            )
        )
    with services.database.write() as session:
        plugin = find_plugin(session, name)
        if plugin.owner != person:
            raise _not_yours(person, str(plugin.owner))
        if open_offer(session, plugin.id) is not None:
            raise Conflict(
                problem(
                    "desk.transfer-open",
                    "this name is on offer already",
                    value=plugin.name,
                    expected="no open offer",
                    advice="withdraw that offer first",
                )
            )
        now = services.clock()
        session.add(
            Transfer(
                plugin_id=plugin.id,
                from_issuer=person.issuer,
                from_subject=person.subject,
                to_issuer=taker.issuer,
                to_subject=taker.subject,
                state=OFFERED,
                offered_at=now,
                decided_at=None,
            )
        )
        _journal(services, session, plugin, "offered", person, f"{plugin.name} to {taker.subject}")


def decide(
    services: Services,
    number: int,
    action: Action,
    person: Identity,
    *,
    may_cancel: Callable[[], None],
) -> str:
    """Accept, decline, withdraw or cancel an open offer; return the plugin's name.

    Args:
        services: the registry's parts.
        number: the offer's id.
        action: what to do with it.
        person: who is signed in.
        may_cancel: raises where `person` is no operator; asked for `cancel` only.

    Raises:
        NotFound: no such offer.
        Forbidden: it is not for `person` to do this.
        Conflict: the offer is no longer open, or the name has another owner by now.
    """
    if action == "cancel":
        may_cancel()
    with services.database.write() as session:
        transfer = session.get(Transfer, number)
        if transfer is None:
            raise NotFound(
                problem(
                    "desk.no-such-transfer",
                    "there is no such offer",
                    value=number,
                    expected="an offer on your list",
                    advice="see your plugins",
                )
            )
        allowed = {"accept": transfer.taker, "decline": transfer.taker, "withdraw": transfer.giver}
        if action != "cancel" and allowed[action] != person:
            raise _not_yours(person, str(allowed[action]))
        _close(services, session, transfer, action)
        if action == "accept":
            _hand_over(session, transfer)
        plugin = transfer.plugin
        _journal(
            services, session, plugin, STATES[action], person,
            f"{plugin.name} from {transfer.giver.subject} to {transfer.taker.subject}",
        )  # fmt: skip
        return plugin.name


def _close(services: Services, session: Session, transfer: Transfer, action: Action) -> None:
    moved = session.execute(
        update(Transfer)
        .where(Transfer.id == transfer.id, Transfer.state == OFFERED)
        .values(state=STATES[action], decided_at=services.clock())
        .returning(Transfer.id)
        .execution_options(synchronize_session=False)
    ).first()
    if moved is None:
        raise _moved(f"the offer is {transfer.state}", "an open offer")


def _hand_over(session: Session, transfer: Transfer) -> None:
    """Change the owner, if it is still who made the offer."""
    moved = session.execute(
        update(Plugin)
        .where(
            Plugin.id == transfer.plugin_id,
            Plugin.owner_issuer == transfer.from_issuer,
            Plugin.owner_subject == transfer.from_subject,
        )
        .values(owner_issuer=transfer.to_issuer, owner_subject=transfer.to_subject)
        .returning(Plugin.id)
        .execution_options(synchronize_session=False)
    ).first()
    if moved is None:
        raise _moved("the name has another owner by now", str(transfer.giver))


def open_offer(session: Session, plugin_id: int) -> Transfer | None:
    """Return the open offer of a name, or None."""
    return session.scalar(
        select(Transfer).where(Transfer.plugin_id == plugin_id, Transfer.state == OFFERED)
    )


def last_accepted(session: Session, plugin_id: int) -> Transfer | None:
    """Return the hand-over by which the present owner came to the name, or None."""
    return session.scalar(
        select(Transfer)
        .where(Transfer.plugin_id == plugin_id, Transfer.state == STATES["accept"])
        .order_by(Transfer.decided_at.desc(), Transfer.id.desc())
        .limit(1)
    )


def _journal(
    services: Services, session: Session, plugin: Plugin, what: str, person: Identity, detail: str
) -> None:
    session.add(
        DeskEvent(
            at=services.clock(),
            event=f"transfer-{what}",
            plugin_id=plugin.id,
            version_id=None,
            actor_issuer=person.issuer,
            actor_subject=person.subject,
            detail=detail,
        )
    )


def _not_yours(person: Identity, expected: str) -> Forbidden:
    return Forbidden(
        problem(
            "desk.not-yours",
            "this is not for you to do",
            value=str(person),
            expected=expected,
            advice="sign in as that identity",
        )
    )


def _moved(what: str, expected: str) -> Conflict:
    return Conflict(
        problem(
            "desk.transfer-moved",
            "the offer cannot be decided any more",
            value=what,
            expected=expected,
            advice="look at the list again",
        )
    )
