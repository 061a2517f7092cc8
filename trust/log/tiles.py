"""Names of tiles and the form of entry bundles (C2SP tlog-tiles).

A hash tile of level L and index N holds up to 256 nodes of tree level 8 * L from index 256 * N.
A path writes N in groups of three digits, all but the last prefixed with "x":
1234067 is `x001/x234/067`. A partial tile ends in `.p/` and its width.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from trust.errors import problem
from trust.log.errors import LogError

WIDTH = 256
"""Hashes in a full tile, entries in a full bundle."""

MAX_LEVEL = 5
_INDEX = re.compile(r"((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True)
class TileName:
    """Which tile: its index, from 0, and how many hashes or entries it has (1 to 256)."""

    index: int
    width: int = WIDTH

    @property
    def path(self) -> str:
        """The tile's path, without its level."""
        groups = [f"{self.index % 1000:03}"]
        rest = self.index // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03}")
            rest //= 1000
        return "/".join(groups) + ("" if self.width == WIDTH else f".p/{self.width}")

    @classmethod
    def parse(cls, path: str) -> TileName:
        """Read what `path` wrote; there is one way to write each name.

        Raises:
            LogError: the path is not a tile's.
        """
        match = _INDEX.fullmatch(path)
        if match is not None:
            digits = match[1].replace("x", "").replace("/", "")
            name = cls(int(digits), int(match[2] or WIDTH))
            if name.path == path and name.width <= WIDTH:
                return name
        raise LogError(
            problem(
                "log.tile",
                "this is not the path of a tile",
                value=path,
                expected="groups of three digits, as x001/x234/067 or 067.p/12",
                advice="see the C2SP specification tlog-tiles",
            )
        )


def pack_bundle(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each entry behind its length, 16 bits, big-endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack_bundle(bundle: bytes) -> list[bytes]:
    """Read what `pack_bundle` wrote.

    Raises:
        LogError: the bundle ends inside an entry.
    """
    entries: list[bytes] = []
    place = 0
    while place < len(bundle):
        size = int.from_bytes(bundle[place : place + 2], "big")
        entry = bundle[place + 2 : place + 2 + size]
        if place + 2 > len(bundle) or len(entry) != size:
            raise LogError(
                problem(
                    "log.bundle",
                    "the entry bundle ends inside an entry",
                    value=f"{len(bundle)} bytes",
                    expected=f"{size} bytes after byte {place + 2}",
                    advice="fetch the bundle again",
                )
            )
        entries.append(entry)
        place += 2 + size
    return entries
