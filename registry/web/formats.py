"""How values look on a page: sizes, times, digests, and text that must not hide anything.

Everything here returns plain strings; Jinja escapes them. Nothing returns markup.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from flask import Flask

STATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "received": ("Received", "wait"),
        "scanning": ("Scanning", "wait"),
        "scan_failed": ("Scan failed", "bad"),
        "scan_incomplete": ("Scan incomplete", "bad"),
        "in_review": ("In review", "wait"),
        "rejected": ("Rejected", "bad"),
        "published": ("Published", "good"),
        "quarantined": ("In quarantine", "bad"),
        "revoked": ("Revoked", "bad"),
    }
)
"""State of a version -> (its name on a page, its tone: good, wait or bad)."""

RESULTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "PASSED": ("Passed", "good"),
        "WARNED": ("Passed with warnings", "warn"),
        "FAILED": ("Failed", "bad"),
    }
)
"""Result of a scan, as signed -> (its name on a page, its tone)."""

EVENTS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "submitted": ("Submitted", "good"),
        "scan-started": ("Scan started", "wait"),
        "scan-passed": ("Scan passed", "good"),
        "scan-failed": ("Scan failed", "bad"),
        "scan-incomplete": ("Scan incomplete", "bad"),
        "scan-retried": ("Scan tried again", "wait"),
        "rescan-requested": ("New scan asked for", "wait"),
        "approved": ("Approved", "good"),
        "rejected": ("Rejected", "bad"),
        "publish-refused": ("Publication refused", "bad"),
        "publish-delayed": ("Publication delayed", "wait"),
        "published": ("Published", "good"),
        "rescanned": ("Scanned again", "wait"),
        "review-reopened": ("Back in review", "bad"),
        "quarantined": ("Quarantined", "bad"),
        "quarantine-lifted": ("Quarantine lifted", "good"),
        "revoked": ("Revoked", "bad"),
        "answered": ("Answered", "wait"),
        "transfer-offered": ("Name offered", "wait"),
        "transfer-accepted": ("Name handed over", "good"),
        "transfer-declined": ("Offer declined", "wait"),
        "transfer-withdrawn": ("Offer withdrawn", "wait"),
        "transfer-cancelled": ("Offer cancelled", "bad"),
        "revoke": ("Revoked", "bad"),
        "quarantine": ("Quarantined", "bad"),
        "lift": ("Quarantine lifted", "good"),
        "signed-in": ("Signed in", "good"),
        "sign-in-failed": ("Sign-in failed", "bad"),
        "signed-out": ("Signed out", "wait"),
        "token-made": ("Token made", "wait"),
        "token-revoked": ("Token ended", "wait"),
        "publisher-added": ("Trusted publisher", "wait"),
    }
)
"""Event of a timeline -> (its name on a page, its tone)."""

_BLANK_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Characters that Unicode counts as letters or symbols and that fonts draw as nothing."""

_UNITS = (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10))
_SPANS = (("day", 86_400), ("hour", 3_600), ("minute", 60))


def is_hidden(char: str) -> bool:
    """Say whether a reader would not see `char`: controls, bidi marks, odd or no-width spaces.

    The tab and the plain space are the only ones that may stay as they are; CVE-2021-42574 is
    why the rest may not.
    """
    if char in (" ", "\t"):
        return False
    return unicodedata.category(char) in {
        "Cc",
        "Cf",
        "Cs",
        "Co",
        "Cn",
        "Zl",
        "Zp",
        "Zs",
    } or char in (_BLANK_LETTERS)


def name_of(char: str) -> str:
    """Return the code point as `U+202E`."""
    return f"U+{ord(char):04X}"


def split_hidden(text: str) -> Iterator[tuple[bool, str]]:
    """Cut `text` into runs: (True, the name of one hidden character) or (False, visible text)."""
    start = 0
    if text.isascii() and text.isprintable():
        if text:
            yield False, text
        return
    for index, char in enumerate(text):
        if is_hidden(char):
            if start < index:
                yield False, text[start:index]
            yield True, name_of(char)
            start = index + 1
    if start < len(text):
        yield False, text[start:]


def visible(text: object) -> str:
    """Return `text` on one line, each hidden character spelled out as `⟨U+202E⟩`."""
    return "".join(f"⟨{run}⟩" if hidden else run for hidden, run in split_hidden(str(text)))


def prose(text: object) -> str:
    """Return `text` with its line ends kept and every other hidden character spelled out."""
    return "\n".join(visible(line) for line in str(text).replace("\r\n", "\n").split("\n"))


def size(count: int) -> str:
    """Return a number of bytes as `12.1 KiB`; a whole number of units has no decimals."""
    for unit, factor in _UNITS:
        if count >= factor:
            value = count / factor
            return f"{value:.0f} {unit}" if count % factor == 0 else f"{value:.1f} {unit}"
    return "1 byte" if count == 1 else f"{count} bytes"


def signed_size(difference: int) -> str:
    """Return a difference of sizes with its sign: `+1.2 KiB`, `−300 bytes`, `no change`."""
    if difference == 0:
        return "no change"
    return f"{'+' if difference > 0 else '−'}{size(abs(difference))}"


def seconds(value: float) -> str:
    """Return a duration in seconds, without needless decimals."""
    return f"{value:g} s"


def moment(at: datetime) -> str:
    """Return a time for people: `2026-03-09 14:05 UTC`."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def iso(at: datetime) -> str:
    """Return a time for machines (RFC 3339, whole seconds, `Z`)."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span(delta: timedelta) -> str:
    """Return a duration in its largest unit: `3 days`, `1 hour`, `under a minute`."""
    total = max(0, int(delta.total_seconds()))
    for unit, factor in _SPANS:
        count = total // factor
        if count:
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "under a minute"


def short(digest: str) -> str:
    """Return the first twelve digits of a digest; for lists only, never to compare by."""
    return digest[:12]


def plural(count: int, one: str, many: str = "") -> str:
    """Return `1 finding` or `3 findings`."""
    return f"{count:,} {one if count == 1 else (many or one + 's')}"


def _lookup(table: Mapping[str, tuple[str, str]], key: str) -> tuple[str, str]:
    """Return the label and tone of `key`; what is unknown is shown as it is and not as good."""
    return table.get(key, (key.replace("_", " ").replace("-", " "), "wait"))


def state_of(key: str) -> tuple[str, str]:
    """Return a state's label and tone."""
    return _lookup(STATES, key)


def result_of(key: str) -> tuple[str, str]:
    """Return a scan result's label and tone."""
    return _lookup(RESULTS, key)


def event_of(key: str) -> tuple[str, str]:
    """Return a timeline event's label and tone."""
    return _lookup(EVENTS, key)


def sentence(text: str) -> str:
    """Return a phrase with a capital at its beginning and a full stop at its end."""
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def declared(value: str, subject: str) -> str:
    """Return a manifest's value for people: a limit in bytes becomes a size."""
    if subject.startswith("limit ") and subject.endswith("_bytes") and value.isdigit():
        return size(int(value))
    return value


def install(app: Flask) -> None:
    """Give the filters to the templates of `app`."""
    app.jinja_env.filters.update(
        visible=visible,
        prose=prose,
        size=size,
        signed_size=signed_size,
        seconds=seconds,
        moment=moment,
        iso=iso,
        span=span,
        short=short,
        plural=plural,
        declared=declared,
        sentence=sentence,
        state_of=state_of,
        result_of=result_of,
        event_of=event_of,
    )
