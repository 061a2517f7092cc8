"""Names that are computed while the plugin runs: a reader cannot see what they lead to."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

IMPORT = Rule(
    "SG301",
    "ComputedImport",
    "medium",
    "A module is imported whose name is computed.",
    "Import by a constant name, or choose from a constant table of modules.",
)
BUILTIN = Rule(
    "SG302",
    "ComputedBuiltin",
    "medium",
    "A built-in or a member of a system module is looked up by a name that is no plain name.",
    "Write the name where it is used.",
)
CALL = Rule(
    "SG303",
    "ComputedCall",
    "low",
    "What is called is looked up by a computed name.",
    "Choose from a constant table of functions.",
)
RULES = (IMPORT, BUILTIN, CALL)

_IMPORTERS = frozenset({"__import__", "importlib.import_module", "importlib.__import__"})
_SYSTEM = frozenset({"builtins", "__builtins__", "os", "sys", "subprocess", "importlib", "ctypes"})
_TABLES = frozenset({"globals", "locals", "vars"})


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each computed import, look-up and call."""
    for call in source.calls:
        name = source.dotted(call.func)
        if name in _IMPORTERS and call.args and not _constant(call.args[0]):
            yield hit_at(IMPORT, call, f"{name} gets a computed name")
        elif name == "getattr" and call.args and _is_system(source, call.args[0]):
            yield hit_at(BUILTIN, call, f"getattr on {ast.unparse(call.args[0])[:60]}")
        if isinstance(call.func, ast.Subscript) and _table(source, call.func.value):
            yield hit_at(BUILTIN, call, "a function is taken from a table of names")
        elif isinstance(call.func, ast.Call) and _computed_getattr(source, call.func):
            yield hit_at(CALL, call, "the result of getattr with a computed name is called")


def _constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant)


def _is_system(source: Source, node: ast.expr) -> bool:
    if isinstance(node, ast.Name | ast.Attribute | ast.Call):
        name = source.dotted(node)
        return name in _SYSTEM or name == "sys.modules"
    return False


def _table(source: Source, node: ast.expr) -> bool:
    """Whether the node is `globals()`, `vars()`, `__builtins__` or an object's `__dict__`."""
    if isinstance(node, ast.Call):
        return source.dotted(node.func) in _TABLES
    if isinstance(node, ast.Name):
        return node.id == "__builtins__"
    return isinstance(node, ast.Attribute) and node.attr in ("__dict__", "__builtins__")


def _computed_getattr(source: Source, call: ast.Call) -> bool:
    return (
        source.dotted(call.func) == "getattr" and len(call.args) > 1 and not _constant(call.args[1])
    )
