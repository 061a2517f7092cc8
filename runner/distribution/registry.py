"""A registry that is known by its TUF repository alone: what admission asks, answered by targets.

The plain API is not asked for anything. A plugin's index, its wheels and its evidence are targets
(`trust.tuf.names`), so every byte has a signed hash before it is looked at; and then the gate
decides, as ever.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, TypeVar

from packaging.version import InvalidVersion, Version
from tuf.api.metadata import TargetFile

from runner.distribution import refusals
from runner.distribution.follower import DistributionRefused, DistributionUnavailable, Follower
from runner.fetch import Offer, RegistryRefused, RegistryUnavailable
from trust.errors import SealgateError
from trust.tuf import names, records

T = TypeVar("T")

MAX_INDEX_BYTES: Final = 8 << 20
MAX_EVIDENCE_BYTES: Final = 32 << 20
MAX_INDEXES: Final = 256
"""Plugins whose index is kept in memory."""


class TufRegistry:
    """Answers as `runner.fetch.Registry` from what a follower has verified."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._lock = threading.Lock()
        self._indexes: OrderedDict[str, tuple[str, dict[str, str]]] = OrderedDict()

    def versions(self, name: str) -> tuple[str, ...]:
        """Return the published versions in PEP 440 order, lowest first.

        Raises:
            RegistryUnavailable: nothing was learned.
            RegistryRefused: there is none, or something is wrong; the code names what.
        """
        return tuple(_translated(lambda: self._index(name)))

    def offer(self, name: str, version: str) -> Offer:
        """Return which file `name`==`version` is.

        Raises:
            RegistryUnavailable: nothing was learned.
            RegistryRefused: there is no such version, or something is wrong.
        """
        return _translated(lambda: self._offer(name, version))

    def wheel(self, offer: Offer) -> bytes:
        """Download the wheel; it has the digest of the offer.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: other bytes than were signed.
        """
        return _translated(lambda: self._follower.download(self._signed(offer)))

    def dependency(self, offer: Offer, sha256: str) -> bytes:
        """Download a wheel that the offered one locks; it has that digest.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: other bytes than were signed, or no such target.
        """

        def ask() -> bytes:
            path = names.dependency_path(offer.name, offer.version, sha256)
            found = self._follower.find(path)
            if found.hashes.get("sha256") != sha256:
                raise DistributionRefused(refusals.other_bytes(sha256, path))
            return self._follower.download(found)

        return _translated(ask)

    def evidence(self, offer: Offer) -> tuple[bytes, ...]:
        """Download every bundle.

        Raises:
            RegistryUnavailable: no answer within the bounds.
            RegistryRefused: other bytes than were signed, or no evidence.
        """

        def ask() -> tuple[bytes, ...]:
            path = names.evidence_path(offer.name, offer.version)
            found = self._follower.find(path)
            data = self._follower.download(found, max_bytes=MAX_EVIDENCE_BYTES)
            return records.read_evidence(data)

        return _translated(ask)

    def _index(self, name: str) -> dict[str, str]:
        found = self._follower.find(names.index_path(name))
        digest = found.hashes["sha256"]
        with self._lock:
            kept = self._indexes.get(name)
            if kept is not None and kept[0] == digest:
                self._indexes.move_to_end(name)
                return kept[1]
        index = records.read_index(self._download(found), name)
        with self._lock:
            self._indexes[name] = (digest, index)
            while len(self._indexes) > MAX_INDEXES:
                self._indexes.popitem(last=False)
        return index

    def _download(self, found: TargetFile) -> bytes:
        return self._follower.download(found, max_bytes=MAX_INDEX_BYTES)

    def _offer(self, name: str, version: str) -> Offer:
        try:
            canonical = str(Version(version))
        except InvalidVersion as error:
            raise DistributionRefused(refusals.no_target(f"{name} {version}")) from error
        filename = self._index(name).get(canonical)
        if filename is None:
            # The index at hand may be older than the version: look again, once.
            self._follower.look_again()
            filename = self._index(name).get(canonical)
        if filename is None:
            raise DistributionRefused(refusals.no_target(f"{name} {canonical}"))
        found = self._follower.find(names.wheel_path(name, canonical, filename))
        return Offer(name, canonical, filename, found.hashes["sha256"])

    def _signed(self, offer: Offer) -> TargetFile:
        found = self._follower.find(names.wheel_path(offer.name, offer.version, offer.filename))
        if found.hashes.get("sha256") != offer.sha256:
            raise DistributionRefused(refusals.other_bytes(offer.sha256, found.path))
        return found


def _translated(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except DistributionUnavailable as error:
        raise RegistryUnavailable(error.problems) from error
    except SealgateError as error:
        raise RegistryRefused(error.problems) from error
    except KeyError as error:
        raise RegistryRefused(refusals.other_bytes(f"no hash {error}", "")) from error
