"""Code that is built from data while the plugin runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from scanner.model import Rule
from scanner.source import Hit, Source, hit_at

DECODED = Rule(
    "SG211",
    "ExecutesDecodedData",
    "high",
    "Data is decoded, decompressed or downloaded, and the outcome is executed as code.",
    "Put the code into the wheel as source, so that it can be read.",
)
ASSEMBLED = Rule(
    "SG212",
    "AssembledString",
    "medium",
    "A string is assembled from numbers, which hides it from a reader and from a search.",
    "Write the string as it is.",
)
RULES = (DECODED, ASSEMBLED)

_EXECUTORS = frozenset(
    {
        "exec",
        "eval",
        "compile",
        "runpy.run_path",
        "code.InteractiveInterpreter.runsource",
        "types.FunctionType",
        "importlib._bootstrap._call_with_frames_removed",
    }
)
_DECODERS = (
    "base64.",
    "binascii.",
    "zlib.",
    "gzip.",
    "bz2.",
    "lzma.",
    "codecs.",
    "marshal.",
    "pickle.",
    "bytes.fromhex",
    "bytearray.fromhex",
    "urllib.request.urlopen",
    "requests.get",
    "requests.post",
    "httpx.get",
    "socket.",
)
_TRANSFORMS = (".decode", ".decompress", ".translate", ".fromhex")
_HARMLESS_CODECS = frozenset({"utf-8", "utf8", "ascii", "latin-1", "utf-8-sig", "utf-16"})
_LEAST_NUMBERS = 10
_LEAST_CHARACTERS = 4


def check(source: Source) -> Iterator[Hit]:
    """Yield a hit for each execution of decoded data and each string made of numbers."""
    for call in source.calls:
        name = source.dotted(call.func)
        if name in _EXECUTORS and (how := _decoding(source, call)):
            yield hit_at(DECODED, call, f"{name} gets what {how} gives")
        if _from_numbers(source, call, name):
            yield hit_at(ASSEMBLED, call, "a string is made from a list of numbers")
    for node in source.nodes:
        if isinstance(node, ast.BinOp | ast.JoinedStr) and _chr_calls(source, node):
            yield hit_at(ASSEMBLED, node, "a string is made from calls of chr")


def _decoding(source: Source, call: ast.Call) -> str:
    """Return the name of a decoder that the arguments of `call` come from, or ""."""
    arguments = [*call.args, *(keyword.value for keyword in call.keywords)]
    for node in source.reach(*arguments):
        if isinstance(node, ast.Call):
            name = source.dotted(node.func)
            if name.startswith(_DECODERS):
                return name
            if name.endswith(_TRANSFORMS) and _odd_codec(name, node):
                return name
            if _from_numbers(source, node, name):
                return "a list of numbers"
        elif _reverses(node):
            return "a reversed string"
    return ""


def _odd_codec(name: str, call: ast.Call) -> bool:
    """Whether a `.decode` names a codec that is not a plain text encoding."""
    if not name.endswith(".decode"):
        return True
    first = call.args[0] if call.args else None
    if first is None:
        return False
    return not (isinstance(first, ast.Constant) and str(first.value).lower() in _HARMLESS_CODECS)


def _reverses(node: ast.AST) -> bool:
    """Whether the node is `value[::-1]`."""
    return (
        isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Slice)
        and isinstance(node.slice.step, ast.UnaryOp)
        and isinstance(node.slice.step.op, ast.USub)
    )


def _from_numbers(source: Source, call: ast.Call, name: str) -> bool:
    """Whether the call is `bytes([..])` or `join(map(chr, [..]))` over many constant numbers."""
    if name in ("bytes", "bytearray"):
        return any(_numbers(argument) for argument in call.args)
    if not name.endswith(".join") or not call.args:
        return False
    inner = call.args[0]
    if not any(isinstance(n, ast.Name) and n.id == "chr" for n in ast.walk(inner)):
        return False
    return any(_numbers(node) for node in source.reach(inner))


def _numbers(node: ast.AST) -> bool:
    if not isinstance(node, ast.List | ast.Tuple):
        return False
    count = sum(isinstance(e, ast.Constant) and type(e.value) is int for e in node.elts)
    return count >= _LEAST_NUMBERS


def _chr_calls(source: Source, node: ast.AST) -> bool:
    """Whether a sum or f-string has several calls of `chr` on constants."""
    if isinstance(node, ast.BinOp):
        parts: list[ast.expr] = []
        inner: ast.expr = node
        while isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Add):
            parts.append(inner.right)
            inner = inner.left
        parts.append(inner)
    elif isinstance(node, ast.JoinedStr):
        parts = [v.value for v in node.values if isinstance(v, ast.FormattedValue)]
    else:
        return False
    count = sum(
        isinstance(part, ast.Call)
        and source.dotted(part.func) == "chr"
        and bool(part.args)
        and isinstance(part.args[0], ast.Constant)
        for part in parts
    )
    return count >= _LEAST_CHARACTERS
