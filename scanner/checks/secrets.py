"""Credentials in the wheel: published with it, they are lost; found in it, they are suspicious."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Text

PRIVATE_KEY = Rule(
    "SG501",
    "PrivateKey",
    "high",
    "The wheel carries a private key.",
    "Take it out, and revoke it: whoever has the wheel has the key.",
)
TOKEN = Rule(
    "SG502",
    "ProviderToken",
    "high",
    "The wheel carries a token or webhook of a known service.",
    "Take it out, and revoke it with the service; pass secrets as arguments.",
)
ASSIGNED = Rule(
    "SG503",
    "SecretAssignment",
    "medium",
    "A name that speaks of a secret is given a value that looks random.",
    "If it is a secret, take it out and revoke it; if not, tell the reviewers what it is.",
)
RULES = (PRIVATE_KEY, TOKEN, ASSIGNED)

_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r|[\s\"'+,])*"
    r"(?P<body>[A-Za-z0-9+/=]{16,})"
)
_TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA)(?![A-Z0-9]*EXAMPLE)[A-Z2-7]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,})")),
    ("GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("PyPI token", re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{50,}")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[0-9]{8,}-[A-Za-z0-9-]{10,}")),
    (
        "Slack webhook",
        re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{16,}"),
    ),
    ("Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}")),
    ("Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b")),
    ("Discord webhook", re.compile(r"discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[\w-]{40,}")),
    ("Telegram bot token", re.compile(r"\b[0-9]{8,10}:AA[A-Za-z0-9_-]{33}\b")),
)
_ASSIGNMENT = re.compile(
    r"(?i)\b[\w-]{0,40}(?:secret|passw(?:or)?d|token|api_?key|credential|private_?key)[\w-]{0,40}"
    r"[\"']?\s{0,4}(?::|=|:=)\s{0,4}[rbu]{0,2}[\"']([A-Za-z0-9+/_=.~-]{20,200})[\"']"
)
_LEAST_ENTROPY = 3.7
_LONGEST_LINE = 20_000


def entropy(text: str) -> float:
    """Return the Shannon entropy of the characters of `text`, in bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def check(text: Text) -> Iterator[Hit]:
    """Yield a hit for each credential."""
    for match in _KEY.finditer(text.text):
        number = text.line_at(match.start())
        yield Hit(PRIVATE_KEY, "a private key", number, number, "high", match.group("body"))
    for number, line in enumerate(text.lines, 1):
        for start in range(0, max(len(line), 1), _LONGEST_LINE):
            part = line[start : start + _LONGEST_LINE + 300]
            for name, pattern in _TOKENS:
                for found in pattern.finditer(part):
                    yield Hit(TOKEN, f"a {name}", number, number, "high", found.group())
            for found in _ASSIGNMENT.finditer(part):
                value = found.group(1)
                if entropy(value) >= _LEAST_ENTROPY and _mixed(value):
                    yield Hit(ASSIGNED, "a value like a secret", number, number, "medium", value)


def _mixed(value: str) -> bool:
    """Whether the value has digits beside letters, as generated secrets have and words do not."""
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
