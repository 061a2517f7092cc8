"""String literals that are data in disguise."""

from __future__ import annotations

import re
from collections.abc import Iterator

from scanner.checks.secrets import entropy
from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

OPAQUE = Rule(
    "SG221",
    "OpaqueLiteral",
    "medium",
    "A long literal looks encoded, compressed or encrypted.",
    "Keep data in a data file with a telling name; tell the reviewers how to decode it.",
)
PLACE = Rule(
    "SG222",
    "CredentialLocation",
    "medium",
    "The source names a place where credentials or control sockets are kept.",
    "A plugin has no business there: it gets what it needs as arguments.",
)
RULES = (OPAQUE, PLACE)

_RUN = re.compile(r"[A-Za-z0-9+/_=-]{256,}")
_HEX = re.compile(r"(?:\\x)?(?:[0-9a-fA-F]{2}){128,}")
_LEAST_TEXT_ENTROPY = 4.5
_LEAST_BYTES_ENTROPY = 6.0
_LEAST_BYTES = 256
_SAMPLE = 65536
_PLACES = re.compile(
    r"\.ssh/id_|\.ssh/authorized_keys|\.aws/credentials|\.pypirc|\.netrc\b|\.docker/config\.json"
    r"|\.kube/config|/etc/shadow|/etc/sudoers|docker\.sock|\.git-credentials|\.config/gcloud"
    r"|169\.254\.169\.254|metadata\.google\.internal|Login Data|wallet\.dat|/proc/self/environ"
)
_LONGEST_PLACE = 2000


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each literal that is opaque or names a place of credentials."""
    for node in source.strings:
        value = node.value
        if isinstance(value, bytes):
            if len(value) >= _LEAST_BYTES and _opaque_bytes(value):
                yield hit_at(OPAQUE, node, f"{len(value)} bytes that look random")
        elif isinstance(value, str):
            if len(value) >= _LEAST_BYTES and _opaque_text(value):
                yield hit_at(OPAQUE, node, f"{len(value)} characters that look encoded")
            elif len(value) <= _LONGEST_PLACE and (match := _PLACES.search(value)):
                yield hit_at(PLACE, node, f"the literal names {match.group()}")


def _opaque_text(value: str) -> bool:
    return bool(_HEX.search(value[:_SAMPLE])) or any(
        entropy(run) >= _LEAST_TEXT_ENTROPY for run in _RUN.findall(value[:_SAMPLE])
    )


def _opaque_bytes(value: bytes) -> bool:
    text = value[:_SAMPLE].decode("latin-1")
    return entropy(text) >= _LEAST_BYTES_ENTROPY or _opaque_text(text)
