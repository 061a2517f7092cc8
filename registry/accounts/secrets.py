"""The text of an API token: found by secret scanners, checked without a look into the database.

`sealgate_` + 43 characters of base64url (256 random bits) + 6 of the CRC-32 in base 62, as
https://github.blog/engineering/behind-githubs-new-authentication-token-formats/ describes it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib

PREFIX = "sealgate_"
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_CHECK = 6
_SHAPE = re.compile(rf"{PREFIX}[A-Za-z0-9_-]{{43}}[A-Za-z0-9]{{{_CHECK}}}")


def _checksum(text: str) -> str:
    number, digits = zlib.crc32(text.encode()), ""
    for _ in range(_CHECK):
        number, digit = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits


def make() -> str:
    """Return a new token."""
    text = PREFIX + secrets.token_urlsafe(32)
    return text + _checksum(text)


def is_token(text: str) -> bool:
    """Tell whether `text` is whole: the right shape, and its checksum fits."""
    return _SHAPE.fullmatch(text) is not None and _checksum(text[:-_CHECK]) == text[-_CHECK:]


def digest(text: str) -> str:
    """Return what is stored of a secret of 256 random bits: its SHA-256 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()
