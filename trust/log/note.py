"""Signed notes and checkpoints (C2SP signed-note and tlog-checkpoint), signed with Ed25519.

A note is text that ends with a newline, a blank line, and one line for each signature:
an em dash, the key's name, and base64 of (4-byte key id || signature).
A checkpoint is a note whose text is: origin, tree size, base64 of the root hash.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trust.errors import problem
from trust.log.errors import NoteRefused
from trust.log.hashing import HASH_SIZE

ED25519 = b"\x01"
"""The signature type of Ed25519 in a signed note's key id."""

MAX_NOTE_BYTES = 1 << 16
MAX_SIGNATURES = 64

_NAME = re.compile(r"[^\s+\x00-\x1f\x7f]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile(r"\u2014 ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})")


def _refuse(code: str, what: str, value: object, expected: str) -> NoReturn:
    raise NoteRefused(
        problem(
            f"note.{code}",
            what,
            value=value,
            expected=expected,
            advice="do not rely on this checkpoint; obtain it again, and the log's verifier key "
            "from the deployment's keys/",
        )
    )


def _decode(text: str, what: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        _refuse("base64", f"{what} is not base64", text, "standard base64 with padding")
    if base64.b64encode(raw).decode() != text:
        _refuse("base64", f"{what} is not canonical base64", text, "canonical base64")
    return raw


def key_hash(name: str, public_key: bytes) -> bytes:
    """Return SHA-256(name || newline || 0x01 || key), of which a note shows the first 4 bytes.

    Rekor v2 uses all 32 bytes as the log's id.
    """
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public_key).digest()


@dataclass(frozen=True, slots=True)
class NoteVerifier:
    """A verifier key: the name under which the key signs, and the raw Ed25519 public key."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            _refuse("key-name", "the key's name is malformed", self.name, "no space and no plus")
        if len(self.public_key) != 32:
            _refuse("key", "the public key is malformed", len(self.public_key), "32 bytes")

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand before each signature by this key."""
        return key_hash(self.name, self.public_key)[:4]

    @property
    def vkey(self) -> str:
        """The verifier key as one line: name, hex of the key id, base64 of type and key."""
        encoded = base64.b64encode(ED25519 + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def from_vkey(cls, text: str) -> NoteVerifier:
        """Read the line that `vkey` wrote; surrounding white space is ignored.

        Raises:
            NoteRefused: the line is malformed, of another key type, or its id is not its key's.
        """
        parts = text.strip().split("+", 2)
        if len(parts) != 3:
            _refuse("vkey", "the verifier key is malformed", text, "name+keyid+base64")
        raw = _decode(parts[2], "the verifier key")
        if raw[:1] != ED25519:
            _refuse("vkey", "the verifier key has an unknown type", raw[:1].hex(), "01 (Ed25519)")
        verifier = cls(parts[0], raw[1:])
        if parts[1] != verifier.key_id.hex():
            _refuse("vkey", "the key id is not this key's", parts[1], verifier.key_id.hex())
        return verifier

    def verify(self, note: str) -> str:
        """Return the text of `note` after finding this key's valid signature on it.

        Signatures by other keys (witnesses) are ignored, as the specification asks.

        Raises:
            NoteRefused: the note is malformed, or this key did not sign it.
        """
        if len(note.encode(errors="surrogatepass")) > MAX_NOTE_BYTES:
            _refuse("size", "the note is too large", len(note), f"at most {MAX_NOTE_BYTES} bytes")
        text, separator, tail = note.rpartition("\n\n")
        if not separator or not text or not tail.endswith("\n"):
            _refuse("form", "the note is malformed", note, "text, blank line, signature lines")
        text += "\n"
        if any(c < " " and c != "\n" for c in text):
            _refuse("form", "the note has control characters", text, "printable text and newlines")
        lines = tail.removesuffix("\n").split("\n")
        if len(lines) > MAX_SIGNATURES:
            _refuse("form", "the note has too many signatures", len(lines), f"{MAX_SIGNATURES}")
        mine: list[bytes] = []
        for line in lines:
            match = _SIGNATURE_LINE.fullmatch(line)
            if match is None:
                _refuse("form", "a signature line is malformed", line, "— name base64")
            raw = _decode(match[2], "a signature")
            if match[1] == self.name and raw[:4] == self.key_id:
                mine.append(raw[4:])
        if len(mine) != 1:
            _refuse(
                "unsigned",
                "the note is not signed once by the expected key",
                "; ".join(lines),
                f"one signature by {self.name}+{self.key_id.hex()}",
            )
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(mine[0], text.encode())
        except (InvalidSignature, ValueError, UnicodeEncodeError):
            _refuse("signature", "the note's signature is wrong", text, f"signed by {self.vkey}")
        return text


class NoteSigner:
    """An Ed25519 key that signs notes under a name, which is the log's origin."""

    def __init__(self, origin: str, private_key: Ed25519PrivateKey) -> None:
        self.origin = origin
        self._private_key = private_key
        self.verifier = NoteVerifier(origin, private_key.public_key().public_bytes_raw())
        self._key_id = self.verifier.key_id

    @classmethod
    def generate(cls, origin: str) -> NoteSigner:
        """Return a signer with a new key."""
        return cls(origin, Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, origin: str, seed: bytes) -> NoteSigner:
        """Return a signer from the 32 bytes that `seed` returned."""
        return cls(origin, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def seed(self) -> bytes:
        """The private key, 32 secret bytes."""
        return self._private_key.private_bytes_raw()

    @property
    def verifier_key(self) -> str:
        """The public half as a `vkey` line."""
        return self.verifier.vkey

    def sign(self, text: str) -> str:
        """Return `text`, which must end with a newline, as a note with this key's signature."""
        if not text.endswith("\n"):
            _refuse("form", "a note's text must end with a newline", text[-20:], "a final newline")
        signature = self._key_id + self._private_key.sign(text.encode())
        return f"{text}\n\u2014 {self.origin} {base64.b64encode(signature).decode()}\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log vouches for: `size` entries under `root` (32 bytes) in the log `origin`."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the checkpoint's note text, without signatures."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, signer: NoteSigner) -> str:
        """Return the checkpoint as a note signed by `signer`, whose origin it must have."""
        if signer.origin != self.origin:
            _refuse("origin", "the signer has another origin", signer.origin, self.origin)
        return signer.sign(self.text())

    @classmethod
    def parse(cls, text: str) -> Checkpoint:
        """Read a checkpoint's text, **without checking any signature**; see `verify`.

        Raises:
            NoteRefused: the text is not a checkpoint.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] != "" or not lines[0]:
            _refuse("checkpoint", "this is not a checkpoint", text, "origin, size and root lines")
        if not _SIZE.fullmatch(lines[1]):
            _refuse("checkpoint", "the tree size is malformed", lines[1], "a decimal number")
        root = _decode(lines[2], "the root hash")
        if len(root) != HASH_SIZE:
            _refuse("checkpoint", "the root hash is malformed", lines[2], f"{HASH_SIZE} bytes")
        return cls(lines[0], int(lines[1]), root)

    @classmethod
    def verify(cls, note: str, verifier: NoteVerifier) -> Checkpoint:
        """Return the checkpoint in `note` once `verifier`'s signature and origin are right.

        Raises:
            NoteRefused: the note is malformed, signed by another key, or for another log.
        """
        checkpoint = cls.parse(verifier.verify(note))
        if checkpoint.origin != verifier.name:
            _refuse("origin", "the checkpoint is another log's", checkpoint.origin, verifier.name)
        return checkpoint
