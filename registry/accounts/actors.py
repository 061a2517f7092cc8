"""Who makes a request: a token's owner, a session's person, or nobody.

A presented token that is not good refuses the request, whatever it asks for: it is never taken for
nobody's, or for the session's beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, request

from registry.accounts import secrets, tokens
from registry.accounts.errors import Unauthenticated
from registry.accounts.tokens import TokenGrant
from registry.services import current
from registry.signin import sessions
from trust.errors import problem
from trust.identity import Identity

USERNAME = "__token__"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who makes a request.

    Attributes:
        person: whom a session or a token stands for; None for nobody.
        token: the token, where one was presented; None for a session or for nobody.
    """

    person: Identity | None
    token: TokenGrant | None = None

    @property
    def key(self) -> str:
        """What rates are counted by: the token, else the person, else the address."""
        if self.token is not None:
            return f"token {self.token.id}"
        if self.person is not None:
            return f"person {self.person}"
        return f"address {request.remote_addr}"


def presented() -> str:
    """Return the API token that the request presents; "" for none.

    As a bearer (RFC 6750), or as the password of `__token__`, as packaging tools send it. What
    lacks the prefix of our tokens is for somebody else, such as a proxy before the registry.
    """
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    text = ""
    if scheme.lower() == "bearer":
        text = rest.strip()
    elif request.authorization is not None and request.authorization.type == "basic":
        name = request.authorization.username
        text = (request.authorization.password or "") if name == USERNAME else ""
    return text if text.startswith(secrets.PREFIX) else ""


def current_actor() -> Actor:
    """Return who makes the current request.

    Raises:
        Unauthenticated: the token that it presents is unknown, expired or revoked.
    """
    if "actor" not in g:
        g.actor = _actor()
    found: Actor = g.actor
    return found


def _actor() -> Actor:
    text = presented()
    if text:
        grant = tokens.use(current(), text)
        if grant is None:
            raise Unauthenticated(
                problem(
                    "accounts.token",
                    "the API token is not good",
                    value=f"{secrets.PREFIX}...{text[-4:]}",
                    expected="a token of this registry that has not expired and was not revoked",
                    advice="make another at /account/tokens",
                )
            )
        return Actor(grant.owner, grant)
    state = sessions.state()
    return Actor(state.person if state else None)
