"""WebAuthn challenges (Web Authentication Level 3, section 13.4.3) without a store of open ones.

A challenge is a nonce, a time and a MAC over both and over what it is for: the form of one
browser, with every parameter of the authorization request, the statement to be signed among them.
So an answer given for one sign-in serves for no other. It serves for five minutes, and once: the
challenges of good answers are remembered until they are too old anyway.
"""

from __future__ import annotations

import base64
import binascii
import secrets
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn

from authority.errors import Unauthenticated
from authority.forms import Seal
from trust.errors import problem

LIFETIME = timedelta(minutes=5)
_NONCE, _TIME, _MAC = 16, 8, 32


def _refuse(what: str) -> NoReturn:
    raise Unauthenticated(
        problem(
            "authority.passkey",
            what,
            expected="an answer to the question that this page asked, within 5 minutes, once",
            advice="try again on this page",
        )
    )


class Challenges:
    """The challenges of this process. `clock` returns the time in UTC."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._seal = Seal()
        self._used: dict[bytes, int] = {}
        self._lock = threading.Lock()

    def make(self, purpose: str) -> str:
        """Return a new challenge (base64url, unpadded) for `purpose`."""
        nonce = secrets.token_bytes(_NONCE)
        ends = int((self._clock() + LIFETIME).timestamp()).to_bytes(_TIME, "big")
        mac = bytes.fromhex(self._seal.mac(nonce.hex(), ends.hex(), purpose))
        return base64.urlsafe_b64encode(nonce + ends + mac).rstrip(b"=").decode()

    def check(self, challenge: str, purpose: str) -> bytes:
        """Return the challenge's bytes if it was made for `purpose`, is not too old, not used.

        The bytes stand for it from here on: base64 has several texts for the same bytes.

        Raises:
            Unauthenticated: one of these does not hold.
        """
        try:
            data = base64.b64decode(challenge + "=" * (-len(challenge) % 4), b"-_", validate=True)
        except (binascii.Error, ValueError):
            data = b""
        nonce, ends, mac = data[:_NONCE], data[_NONCE:-_MAC], data[-_MAC:]
        if len(data) != _NONCE + _TIME + _MAC or not self._seal.check(
            mac.hex(), nonce.hex(), ends.hex(), purpose
        ):
            _refuse("the passkey answered another question")
        if self._clock().timestamp() >= int.from_bytes(ends, "big"):
            _refuse("the page was open for too long")
        if data in self._used:
            _refuse("this answer of the passkey was used")
        return data

    def burn(self, challenge: bytes) -> None:
        """Mark a checked challenge as used, once its answer's signature is verified.

        Raises:
            Unauthenticated: another request was faster.
        """
        now = int(self._clock().timestamp())
        with self._lock:
            if challenge in self._used:
                _refuse("this answer of the passkey was used")
            self._used[challenge] = now + int(LIFETIME.total_seconds())
            for old in [key for key, ends in self._used.items() if ends < now]:
                del self._used[old]
