"""Where an authority keeps its state, and how it comes to be.

In the state directory (mode 0700): `keys/`, `accounts.json`, `passkeys.json`, `clients.json`,
`log.sqlite3`, `base_url`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from authority import files
from authority.accounts import Accounts
from authority.clients import Client, Clients
from authority.core import Authority, utc_now
from authority.keystore import KeyStore
from authority.passkeys import Passkeys


@dataclass(frozen=True, slots=True)
class State:
    """An authority's directory."""

    directory: Path

    @property
    def keys(self) -> Path:
        """The private keys and their certificates."""
        return self.directory / "keys"

    @property
    def accounts(self) -> Path:
        """Account names and password hashes."""
        return self.directory / "accounts.json"

    @property
    def passkeys(self) -> Path:
        """People's passkeys: public keys, nothing secret."""
        return self.directory / "passkeys.json"

    @property
    def clients(self) -> Path:
        """The applications that may send people to the login page."""
        return self.directory / "clients.json"

    @property
    def log(self) -> Path:
        """The transparency log."""
        return self.directory / "log.sqlite3"

    @property
    def base_url(self) -> Path:
        """The address under which clients know the authority; it is the OIDC issuer."""
        return self.directory / "base_url"


def initialise(
    state_dir: Path,
    base_url: str,
    accounts: Mapping[str, str],
    clients: Sequence[Client] = (),
) -> dict[str, Any]:
    """Make an authority, or what is missing of one.

    Idempotent: keys and log that exist are kept; accounts that exist get the given passwords;
    clients, where some are given, are the given ones.

    Args:
        state_dir: where to keep its state; created with mode 0700.
        base_url: the address under which clients will reach it, without a trailing slash.
        accounts: account name (e-mail address or URI) -> password.
        clients: the applications that may send people to the login page.

    Returns:
        The Sigstore `ClientTrustConfig`, which clients are given.

    Raises:
        StateRefused: existing state is open to others, damaged, or made for another address.
        RequestRefused: an account's name or password is not acceptable.
        LogError: the log cannot be created, or is damaged.
    """
    state = State(state_dir)
    files.private_directory(state_dir)
    KeyStore(state.keys).load_or_create(utc_now())
    address = base_url.rstrip("/")
    if not state.base_url.exists():
        files.write_private(state.base_url, address.encode())
    known = _base_url(state)
    if known != address:
        files.refuse(
            "the authority was made for another address",
            address,
            known,
            "keep the address: it is the issuer in every certificate; or start anew elsewhere",
            state.base_url,
        )
    Accounts(state.accounts, utc_now).ensure(dict(accounts))
    if clients:
        Clients(clients).save(state.clients)
    authority, _ = open_authority(state_dir)
    try:
        return authority.client_trust_config()
    finally:
        authority.close()


def _base_url(state: State) -> str:
    try:
        return files.read_private(state.base_url).decode()
    except (OSError, UnicodeDecodeError) as error:
        files.refuse(
            "the authority's address cannot be read",
            error,
            "the file that `sealgate init` made",
            "run `sealgate init`",
            state.base_url,
        )


def open_authority(
    state_dir: Path, clock: Callable[[], datetime] = utc_now
) -> tuple[Authority, Accounts]:
    """Return the authority whose state `initialise` made.

    Raises:
        StateRefused: the state is missing, open to others, or damaged.
        LogError: the log cannot be opened, or is damaged.
    """
    state = State(state_dir)
    keys = KeyStore(state.keys).load()
    files.private_directory(state_dir)
    authority = Authority(keys, _base_url(state), state.log, clock)
    return authority, Accounts(state.accounts, clock)


def read_jwks(state_dir: Path) -> dict[str, Any]:
    """Return the public key of identity tokens (RFC 7517), for those who pin it.

    Raises:
        StateRefused: the state is missing, open to others, or damaged.
    """
    authority, _ = open_authority(state_dir)
    try:
        return authority.tokens.jwks()
    finally:
        authority.close()


def open_clients(state_dir: Path) -> Clients:
    """Return the registered clients.

    Raises:
        StateRefused: their file is open to others, or damaged.
    """
    return Clients.load(State(state_dir).clients)


def open_passkeys(state_dir: Path, clock: Callable[[], datetime] = utc_now) -> Passkeys:
    """Return people's passkeys.

    Raises:
        StateRefused: their file is open to others, or damaged.
    """
    state = State(state_dir)
    return Passkeys(state.passkeys, _base_url(state), clock)
