"""What a plugin is, once its wheel has been read: frozen data, no behaviour.

A method is called with **one positional argument**, the arguments object (a dict that satisfies
the method's `arguments` schema), and returns a JSON value that satisfies its `result` schema. A
`Class.method` is called on an instance that is made without arguments.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from trust.errors import Problem, SealgateError

MIB = 1 << 20


class WheelRejected(SealgateError):
    """The wheel is not one that Sealgate accepts; `problems` has every reason that was found."""

    def __init__(self, problems: Problem | Iterable[Problem]) -> None:
        super().__init__(problems)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call of a plugin may use. The defaults hold where the manifest is silent.

    Attributes:
        wall_seconds: elapsed time, in seconds.
        cpu_seconds: processor time of all processes together, in seconds.
        memory_bytes: memory of all processes together, in bytes; there is no swap.
        processes: processes and threads at one time.
        output_bytes: the serialised result, in bytes; the same bound holds for the log streams.
    """

    wall_seconds: float = 10.0
    cpu_seconds: int = 5
    memory_bytes: int = 128 * MIB
    processes: int = 16
    output_bytes: int = 1 * MIB


MINIMA = Limits(0.1, 1, 32 * MIB, 1, 1024)
"""The smallest limits that a manifest may declare."""

MAXIMA = Limits(120.0, 60, 1024 * MIB, 128, 16 * MIB)
"""The largest limits that a manifest may declare."""


@dataclass(frozen=True, slots=True)
class Method:
    """One callable that a plugin offers.

    Attributes:
        name: the name that callers use.
        module: the absolute dotted name of the module, within the plugin's package.
        qualname: `function` or `Class.method`.
        summary: one line for people.
        arguments: JSON Schema 2020-12 of the arguments object.
        result: JSON Schema 2020-12 of the result.
    """

    name: str
    module: str
    qualname: str
    summary: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The plugin's `plugin.json`, validated; `raw` is the parsed document itself."""

    schema_version: int
    name: str
    summary: str
    methods: Mapping[str, Method]
    limits: Limits = field(default_factory=Limits)
    permissions: tuple[str, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Member:
    """One file of the wheel: its path, its size in bytes, and its SHA-256 in hexadecimal."""

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """One wheel that the plugin's lock file names.

    Attributes:
        name: normalised (PEP 503).
        version: canonical (PEP 440).
        filename: the wheel's file name.
        sha256: the digest of its bytes, in hexadecimal.
    """

    name: str
    version: str
    filename: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Plugin:
    """A wheel that was read whole and accepted.

    Attributes:
        name: the project name, normalised as PEP 503 says.
        version: the version in canonical form (PEP 440).
        filename: the wheel's file name, exactly as it was given.
        sha256: the digest of the wheel's bytes, in hexadecimal.
        size: the wheel's length in bytes.
        package: the one top-level import package.
        manifest: what the plugin declares about itself.
        summary: one line for people; METADATA and manifest agree on it.
        members: every file, in the order of the archive.
        dependencies: the wheels that its lock file names, ordered by name.
        requirements: its `Requires-Dist` fields; each is locked.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int
    package: str
    manifest: Manifest
    summary: str
    members: tuple[Member, ...]
    dependencies: tuple[Dependency, ...] = ()
    requirements: tuple[str, ...] = ()
