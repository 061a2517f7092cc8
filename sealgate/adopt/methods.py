"""Functions of an adopted wheel as methods: found in its source, described as JSON Schema.

Nothing is imported: signatures are read from the syntax tree. A parameter's annotation gives its
type where it is one that JSON has; everything else is left open, for people to narrow down.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sealgate.adopt.resolve import NotAdopted
from trust.errors import problem

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
    "None": "null",
}
_METHOD = re.compile(r"([a-z][a-z0-9_]{0,63})=([A-Za-z_][\w.]*):([A-Za-z_]\w*)")


@dataclass(frozen=True, slots=True)
class Adopted:
    """One function that becomes a method.

    Attributes:
        name: the method's name.
        module: the dotted module.
        function: the function in it.
        summary: the first line of its docstring.
        arguments: JSON Schema of its keyword arguments.
        result: JSON Schema of what it returns.
    """

    name: str
    module: str
    function: str
    summary: str
    arguments: Mapping[str, Any]
    result: Mapping[str, Any]


def find(text: str, contents: Mapping[str, bytes]) -> Adopted:
    """Find the function that `METHOD=module:function` names.

    Args:
        text: as on the command line.
        contents: path -> content of the wheel's members.

    Raises:
        NotAdopted: it has another form, there is no such function, or it cannot be called with
            keyword arguments.
    """
    match = _METHOD.fullmatch(text)
    if match is None:
        raise _bad("this names no method", text, "METHOD=module:function")
    name, module, function = match.groups()
    path = module.replace(".", "/")
    source = contents.get(f"{path}.py", contents.get(f"{path}/__init__.py"))
    if source is None:
        raise _bad("the wheel has no such module", module, "a module of the wheel")
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _bad("the module cannot be parsed", error, "Python source") from error
    found = [n for n in tree.body if isinstance(n, ast.FunctionDef) and n.name == function]
    if not found:
        raise _bad(
            "the module defines no such function at its top level",
            f"{module}:{function}",
            "a plain function; name the module that defines it, not one that imports it",
        )
    node = found[-1]
    if node.args.posonlyargs:
        raise _bad(
            "the function has parameters that cannot be given by name",
            ", ".join(item.arg for item in node.args.posonlyargs),
            "a function whose arguments are keywords",
        )
    summary = (ast.get_docstring(node) or f"Call {module}.{function}.").strip().splitlines()[0]
    return Adopted(
        name, module, function, summary[:200], _arguments(node.args), _schema(node.returns)
    )


def _bad(what: str, value: object, expected: str) -> NotAdopted:
    return NotAdopted(
        problem(
            "adopt.method",
            what,
            value=value,
            expected=expected,
            advice="correct --method; the wheel's source says which functions there are",
        )
    )


def _arguments(found: ast.arguments) -> dict[str, Any]:
    plain = found.args
    required = [item.arg for item in plain[: len(plain) - len(found.defaults)]]
    pairs = zip(found.kwonlyargs, found.kw_defaults, strict=True)
    required += [item.arg for item, default in pairs if default is None]
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {item.arg: _schema(item.annotation) for item in (*plain, *found.kwonlyargs)},
        "additionalProperties": False,
    }
    if required:
        schema["required"] = required
    return schema


def _schema(annotation: ast.expr | None) -> dict[str, Any]:
    types = _types(annotation)
    if not types:
        return {}
    return {"type": types[0] if len(types) == 1 else types}


def _types(annotation: ast.expr | None) -> list[str]:
    """Return the JSON types of an annotation; none where any of it is something else."""
    if isinstance(annotation, ast.Constant) and annotation.value is None:
        return ["null"]
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return [_TYPES[annotation.value]] if annotation.value in _TYPES else []
    if isinstance(annotation, ast.Subscript):
        return _types(annotation.value)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        left, right = _types(annotation.left), _types(annotation.right)
        return list(dict.fromkeys([*left, *right])) if left and right else []
    if isinstance(annotation, ast.Name) and annotation.id in _TYPES:
        return [_TYPES[annotation.id]]
    return []
