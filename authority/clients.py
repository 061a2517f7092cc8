"""The web applications that may ask for somebody's identity token in the browser.

All of them are public clients (RFC 6749 section 2.1): what protects a code is PKCE and the exact
redirect URI, never a secret that a page or a web process would have to keep. A client has one
kind of token: a sign-in client gets tokens for itself; a signing client gets tokens for Sigstore,
each bound to one statement; a call client gets tokens for runners, which sign nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from authority import files
from authority.errors import RequestRefused
from authority.oidc import RUNNER_AUDIENCE, SIGSTORE_AUDIENCE
from trust import strictjson
from trust.errors import SealgateError, problem

Kind = Literal["sign-in", "signing", "call"]
RESERVED = (SIGSTORE_AUDIENCE, RUNNER_AUDIENCE)
"""What no client may be called: a sign-in client is the audience of its tokens."""

_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


def origin_of(url: str) -> str:
    """Return the origin (RFC 6454) of an absolute URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Client:
    """A registered application.

    Attributes:
        client_id: its name in requests; the audience of a sign-in client's tokens.
        kind: `sign-in`, `signing`, or `call`.
        redirect_uri: the one address that codes are sent to, compared letter by letter.
        title: what people read on the login page.
    """

    client_id: str
    kind: Kind
    redirect_uri: str
    title: str

    def __post_init__(self) -> None:
        parts = urlsplit(self.redirect_uri)
        secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
        if (
            not _ID.fullmatch(self.client_id)
            or self.client_id in RESERVED
            or self.kind not in get_args(Kind)
            or not secure
            or not parts.hostname
            or parts.username is not None
            or parts.query
            or parts.fragment
            or not self.redirect_uri.isascii()
            or not re.fullmatch(r"[!-~]+", self.redirect_uri)
            or any(character in self.redirect_uri for character in "\"'<>;,\\")
            or not self.title
            or not self.title.isprintable()
        ):
            raise RequestRefused(
                problem(
                    "authority.client",
                    "a client's registration is not acceptable",
                    value=self,
                    expected="a plain id, its kind, and an https (or loopback http) redirect URI "
                    "without query and fragment",
                    advice="register the address at which the registry is reached",
                )
            )

    @property
    def origin(self) -> str:
        """The origin of its pages."""
        return origin_of(self.redirect_uri)


class Clients:
    """The registered clients, by id."""

    def __init__(self, clients: Iterable[Client] = ()) -> None:
        self._clients: Mapping[str, Client] = {client.client_id: client for client in clients}
        self._origins = frozenset(
            client.origin for client in self._clients.values() if client.kind != "sign-in"
        )

    def get(self, client_id: str) -> Client | None:
        """Return the client, or None."""
        return self._clients.get(client_id)

    def may_call(self, origin: str) -> bool:
        """Tell whether pages of `origin` may read the authority's answers: those that redeem codes.

        A sign-in client redeems its code on its server, where origins mean nothing.
        """
        return origin in self._origins

    def save(self, path: Path) -> None:
        """Write the clients to a file of mode 0600."""
        rows = [asdict(client) for _, client in sorted(self._clients.items())]
        data = strictjson.dumps(rows)
        if not path.exists() or files.read_private(path) != data:
            files.write_private(path, data)

    @classmethod
    def load(cls, path: Path) -> Clients:
        """Read the file; no file means no clients.

        Raises:
            StateRefused: the file is open to others or malformed.
        """
        try:
            rows: Any = strictjson.loads(files.read_private(path))
            return cls(Client(**row) for row in rows)
        except FileNotFoundError:
            return cls()
        except (OSError, SealgateError, TypeError) as error:
            files.refuse(
                "the registered clients cannot be read",
                error,
                "the file that `sealgate init` made, mode 0600",
                "move it away and run `sealgate init`",
                path,
            )
