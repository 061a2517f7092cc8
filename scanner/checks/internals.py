"""The interpreter's own machinery: what escapes from Python's rules usually goes through it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

WALK = Rule(
    "SG311",
    "ObjectGraphWalk",
    "medium",
    "The source reaches for objects that Python keeps to itself, as sandbox escapes do.",
    "Use the public interface of what is needed.",
)
PATCH = Rule(
    "SG312",
    "InterpreterPatch",
    "medium",
    "The source changes how Python imports, traces or resolves names, for the whole process.",
    "Leave the interpreter as it is; a plugin changes only what is its own.",
)
CODE = Rule(
    "SG313",
    "HandmadeCode",
    "medium",
    "Code objects are loaded from data or put together by hand.",
    "Write the code as source.",
)
RULES = (WALK, PATCH, CODE)

_WALKS = frozenset(
    {
        "__subclasses__",
        "__globals__",
        "__builtins__",
        "__closure__",
        "gi_frame",
        "cr_frame",
        "f_globals",
        "f_builtins",
        "tb_frame",
        "func_globals",
    }
)
_PATCHED = frozenset(
    {
        "sys.meta_path",
        "sys.path_hooks",
        "sys.path_importer_cache",
        "sys.settrace",
        "sys.setprofile",
        "sys.addaudithook",
        "sys.displayhook",
        "threading.settrace",
        "gc.get_objects",
        "gc.get_referrers",
    }
)
_MADE = frozenset({"marshal.loads", "marshal.load", "types.CodeType", "_imp.create_dynamic"})


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each use of the machinery."""
    for node in source.nodes:
        if isinstance(node, ast.Attribute):
            name = source.dotted(node)
            if node.attr in _WALKS:
                yield hit_at(WALK, node, f"the attribute {node.attr}")
            elif name in _PATCHED:
                yield hit_at(PATCH, node, name)
            elif isinstance(node.ctx, ast.Store) and _of_builtins(source, node):
                yield hit_at(PATCH, node, f"the built-in {node.attr} is replaced")
        elif isinstance(node, ast.Call) and source.dotted(node.func) in _MADE:
            yield hit_at(CODE, node, source.dotted(node.func))


def _of_builtins(source: Source, node: ast.Attribute) -> bool:
    return source.dotted(node.value) in ("builtins", "__builtins__")
