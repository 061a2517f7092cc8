"""The METADATA file of a wheel: its bytes, its digest, and what it says (PEP 566)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from packaging.metadata import RawMetadata, parse_email

from trust.wheel import read_members


@dataclass(frozen=True, slots=True)
class CoreMetadata:
    """The METADATA of one wheel.

    Attributes:
        data: the file's bytes.
        raw: its fields by their names in `packaging.metadata`.
    """

    data: bytes = field(repr=False)
    raw: RawMetadata

    @property
    def sha256(self) -> str:
        """The digest of `data`, lowercase hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def requires_python(self) -> str:
        """The Python versions that the plugin asks for (PEP 440 specifiers), "" for any."""
        return self.raw.get("requires_python", "")


def read(wheel: bytes) -> CoreMetadata:
    """Return the METADATA of a wheel that `trust.wheel.inspect_wheel` passed.

    Raises:
        WheelRejected: the archive cannot be read.
        StopIteration: there is no METADATA; a wheel that passed has one.
    """
    members = read_members(wheel)
    path = next(p for p in members if p.count("/") == 1 and p.endswith(".dist-info/METADATA"))
    return CoreMetadata(members[path], parse_email(members[path])[0])
