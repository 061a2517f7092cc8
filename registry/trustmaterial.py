"""The trust material that the registry was given: trusted root, layout, layout owners.

Files are read again at each use and parsed again when their bytes have changed, so that an
owner's new layout counts at once, without a restart, and for everything that follows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from registry.errors import Unavailable
from registry.settings import Settings
from trust.errors import SealgateError, problem
from trust.evidence.bundles import BundleVerifier
from trust.gate import Gate
from trust.identity import Identity
from trust.layout import Owners, VerifiedLayout, verify_layout

T = TypeVar("T")


class _Cached(Generic[T]):
    """The last value that was made of some files' bytes."""

    def __init__(self, make: Callable[..., T], *paths: Path) -> None:
        self._make = make
        self._paths = paths
        self._lock = threading.Lock()
        self._last: tuple[tuple[bytes, ...], T] | None = None

    def get(self) -> T:
        data = tuple(_read(path) for path in self._paths)
        with self._lock:
            if self._last is None or self._last[0] != data:
                self._last = data, self._make(*data)
            return self._last[1]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            problem(
                "registry.trust-material",
                "a file of the registry's trust material cannot be read",
                value=path.name,
                expected="a readable file in keys/",
                advice="the registry's operator must restore it",
            )
        ) from error


@dataclass(frozen=True, slots=True)
class Reviewing:
    """What the layout says about reviews.

    Attributes:
        reviewers: who may review; nobody whose approvals were revoked.
        threshold: how many of them must approve.
    """

    reviewers: tuple[Identity, ...]
    threshold: int


class TrustMaterial:
    """Verifier, layout and gate from the files that the settings name."""

    def __init__(
        self, settings: Settings, excluded: Callable[[], frozenset[Identity]] = frozenset
    ) -> None:
        """Take the files, and who tells the reviewers that were revoked."""
        self._excluded = excluded
        root, layout, owners = settings.trusted_root, settings.layout, settings.layout_owners
        self._verifier = _Cached(BundleVerifier, root)
        self._layout = _Cached(_verified, layout, owners)
        self._gate = _Cached(Gate, root, layout, owners)

    def verifier(self) -> BundleVerifier:
        """Return the verifier of bundles.

        Raises:
            Unavailable: the trusted root cannot be used.
        """
        try:
            return self._verifier.get()
        except SealgateError as error:
            raise Unavailable(error.problems) from error

    def layout(self, now: datetime | None = None) -> VerifiedLayout:
        """Return the layout, whose owners' signatures are verified.

        Args:
            now: refuse a layout that has expired at this time; None: also an expired one.

        Raises:
            LayoutRefused: it is refused.
        """
        layout = self._layout.get()
        if now is not None:
            layout.check_fresh(now)
        return layout

    def reviewing(self, now: datetime | None = None) -> Reviewing:
        """Return who may review and how many must approve.

        Raises:
            Unavailable: the layout is refused, or what is revoked is not known; the registry
                cannot judge reviews now.
        """
        try:
            layout = self.layout(now)
        except SealgateError as error:
            raise Unavailable(error.problems) from error
        excluded = self._excluded()
        reviewers = tuple(r for r in layout.functionaries["review"] if r not in excluded)
        return Reviewing(reviewers, layout.thresholds["review"])

    def gate(self) -> Gate:
        """Return the gate.

        Raises:
            SealgateError: the trust material cannot be used.
        """
        return self._gate.get()


def _verified(layout: bytes, owners: bytes) -> VerifiedLayout:
    return verify_layout(layout, Owners.parse(owners))
