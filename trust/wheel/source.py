"""Python modules, parsed and never executed: what each defines at its top level.

The parser runs on hostile text, so length, lines and braces are bounded before it starts
(`trust.wheel.bounds`), and whatever it raises is a refusal.
"""

from __future__ import annotations

import ast
import io
import threading
import tokenize
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

from trust.errors import Problem, problem
from trust.wheel import bounds

_WARNINGS = threading.Lock()
"""`warnings.catch_warnings` changes the state of the whole process; one thread at a time."""


_BOUNDS = (
    (bounds.MAX_SOURCE_BYTES, "bytes"),
    (bounds.MAX_STATEMENT_MARKS, "lines or statements"),
    (bounds.MAX_BRACES, "opening braces"),
)
_TOTAL_BOUNDS = (
    (bounds.MAX_TOTAL_SOURCE_BYTES, "bytes"),
    (bounds.MAX_TOTAL_STATEMENT_MARKS, "lines or statements"),
    (bounds.MAX_TOTAL_BRACES, "opening braces"),
)


@dataclass(frozen=True, slots=True)
class Function:
    """A function definition: whether it is `async`, and whether one positional argument fits.

    `takes_one` does not count `self` or `cls`; it is True where a decorator makes it unknowable.
    """

    is_async: bool
    takes_one: bool


@dataclass(frozen=True, slots=True)
class Module:
    """What a module defines at its top level, by name; classes map method names to functions."""

    functions: Mapping[str, Function] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, Function]] = field(default_factory=dict)


def _bad(code: str, what: str, value: object, expected: str, where: str) -> Problem:
    return problem(
        f"wheel.{code}",
        what,
        value=value,
        expected=expected,
        advice="correct the module in the plugin's source and build the wheel again",
        where=where,
    )


def parse_modules(contents: Mapping[str, bytes], found: list[Problem]) -> dict[str, Module | None]:
    """Parse every Python module.

    Args:
        contents: path -> content of the wheel's files.
        found: where problems are added.

    Returns:
        Path -> what the module defines; None for a module that could not be parsed.
    """
    sources = {path: body for path, body in contents.items() if path.endswith(".py")}
    totals = [sum(counts) for counts in zip(*map(_sizes, sources.values()), strict=True)]
    for total, (most, unit) in zip(totals, _TOTAL_BOUNDS, strict=False):
        if total > most:
            what = "the Python modules are too large together"
            value, expected = f"{total} {unit}", f"at most {most} {unit}"
            found.append(_bad("source-too-large", what, value, expected, ""))
            return dict.fromkeys(sources)
    modules: dict[str, Module | None] = {}
    for path, body in sources.items():
        outcome = parse_module(body, path)
        if isinstance(outcome, Problem):
            found.append(outcome)
            modules[path] = None
        else:
            modules[path] = outcome
    return modules


def _sizes(body: bytes) -> tuple[int, int, int]:
    """Return what is bounded: bytes, statement marks, opening braces."""
    return len(body), body.count(b"\n") + body.count(b";"), body.count(b"{")


def parse_module(body: bytes, path: str) -> Module | Problem:
    """Parse one module; whatever is wrong with it comes back as a problem."""
    for count, (most, unit) in zip(_sizes(body), _BOUNDS, strict=True):
        if count > most:
            what = "a Python module is too large"
            return _bad("source-too-large", what, f"{count} {unit}", f"at most {most} {unit}", path)
    if b"\0" in body:
        what = "a Python module has a null byte"
        return _bad("source-null-byte", what, f"at byte {body.index(0)}", "text", path)
    try:
        encoding = tokenize.detect_encoding(io.BytesIO(body).readline)[0]
        if encoding not in ("utf-8", "utf-8-sig"):
            what = "a Python module declares another encoding than UTF-8"
            return _bad("source-encoding", what, encoding, "UTF-8 (PEP 3120)", path)
        body.decode("utf-8")
    except (SyntaxError, UnicodeDecodeError) as error:
        what = "a Python module is not UTF-8"
        return _bad("source-encoding", what, error, "UTF-8 (PEP 3120)", path)
    try:
        with _WARNINGS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(body, filename=path)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        what = "a Python module cannot be parsed"
        value = f"{type(error).__name__}: {error}"
        return _bad("source-syntax", what, value, "Python 3", path)
    return _definitions(tree)


def _definitions(tree: ast.Module) -> Module:
    functions: dict[str, Function] = {}
    classes: dict[str, Mapping[str, Function]] = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions[node.name] = _function(node, bound=False)
        elif isinstance(node, ast.ClassDef):
            classes[node.name] = {
                item.name: _function(item, bound=True)
                for item in node.body
                if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            }
    return Module(functions, classes)


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, *, bound: bool) -> Function:
    decorators = {d.id if isinstance(d, ast.Name) else "" for d in node.decorator_list}
    known = decorators <= {"staticmethod", "classmethod"}
    given = 2 if bound and "staticmethod" not in decorators else 1
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    needed = positional - len(arguments.defaults)
    fits = (
        needed <= given
        and (positional >= given or arguments.vararg is not None)
        and all(default is not None for default in arguments.kw_defaults)
    )
    return Function(isinstance(node, ast.AsyncFunctionDef), fits or not known)
