"""Modules that call native code or touch memory below Python's rules."""

from __future__ import annotations

from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

NATIVE = Rule(
    "SG321",
    "NativeInterface",
    "medium",
    "The source imports a module that calls native code or maps memory.",
    "Do without it: a plugin is pure Python.",
)
RULES = (NATIVE,)

_MODULES = frozenset({"ctypes", "_ctypes", "cffi", "_cffi_backend", "mmap", "pybind11", "cppyy"})


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each such import."""
    for module, statement in source.imports_of(_MODULES):
        yield hit_at(NATIVE, statement, f"import of {module}")
