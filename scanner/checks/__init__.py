"""The checks that bandit does not make, one subject a module.

A module has its `RULES` and one function `check`, which yields hits: on a member's bytes, on the
lines of a text, on a parsed source, or on the whole wheel (with the path of the member).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from scanner import osv
from scanner.checks import (
    artefacts,
    computed_names,
    encodings,
    environment,
    hidden_characters,
    hooks,
    identifiers,
    internals,
    layout,
    literals,
    metadata,
    names,
    native_memory,
    network,
    obfuscation,
    processes,
    secrets,
)
from scanner.checks.base import Wheel
from scanner.members import MemberFile
from scanner.model import Rule
from scanner.source import Hit, Source, Text

MEMBER_CHECKS: tuple[Callable[[MemberFile], Iterator[Hit]], ...] = (
    artefacts.check,
    hooks.check,
    encodings.check,
)

TEXT_CHECKS: tuple[Callable[[Text], Iterator[Hit]], ...] = (
    secrets.check,
    hidden_characters.check,
)

SOURCE_CHECKS: tuple[Callable[[Source], Iterator[Hit]], ...] = (
    obfuscation.check,
    literals.check,
    layout.check,
    identifiers.check,
    computed_names.check,
    internals.check,
    native_memory.check,
    network.check,
    processes.check,
    environment.check,
)

WHEEL_CHECKS: tuple[Callable[[Wheel], Iterator[tuple[str, Hit]]], ...] = (
    names.check,
    metadata.check,
)

_MODULES = (
    artefacts,
    hooks,
    encodings,
    secrets,
    hidden_characters,
    obfuscation,
    literals,
    layout,
    identifiers,
    computed_names,
    internals,
    native_memory,
    network,
    processes,
    environment,
    names,
    metadata,
    osv,
)

RULES: dict[str, Rule] = {
    rule.id: rule
    for rule in sorted((r for module in _MODULES for r in module.RULES), key=lambda r: r.id)
}
"""Every rule of the scanner's own, by id."""
