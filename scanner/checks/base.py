"""What checks are given beside single files."""

from __future__ import annotations

from dataclasses import dataclass

from scanner.members import MemberFile
from trust.wheel import Plugin


@dataclass(frozen=True, slots=True)
class Wheel:
    """The whole wheel.

    Attributes:
        plugin: what the strict reader established.
        members: every file with its bytes.
        known_names: names that the policy adds to the well-known ones.
    """

    plugin: Plugin
    members: tuple[MemberFile, ...]
    known_names: tuple[str, ...]
