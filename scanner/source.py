"""One Python source file, decoded and parsed once, with what every check asks of it."""

from __future__ import annotations

import ast
import bisect
import functools
import hashlib
import io
import re
import tokenize
from collections import deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from scanner.model import Confidence, Finding, Rule
from scanner.policy import python_grammar
from trust.errors import Problem, SealgateError, problem, shown

MAX_SOURCE_LINE = 300
"""Characters of a line of source that a finding carries."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_MAX_DOTTED = 12
_MAX_TRACED = 4


class SourceUnreadable(SealgateError):
    """The file cannot be decoded or parsed as Python of this grammar."""


@dataclass(frozen=True, slots=True)
class Hit:
    """Where a check found something: lines from 1, or 0 for the whole file."""

    rule: Rule
    message: str
    line: int = 0
    end_line: int = 0
    confidence: Confidence = "high"
    secret: str = ""
    """A credential on the line, which no report may repeat."""


class Text:
    """A text file by lines, numbered as Python numbers them.

    Attributes:
        path: the member's path.
        data: the bytes of the file.
        text: the decoded text.
        lines: its lines, the first at index 0; CR, LF and CR LF end a line.
        secrets: credentials that were found in it, which no report may repeat.
    """

    def __init__(self, path: str, data: bytes, text: str) -> None:
        self.path = path
        self.data = data
        self.text = text
        self.lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.secrets: set[str] = set()

    @functools.cached_property
    def _ends(self) -> list[int]:
        return [match.start() for match in _LINE_END.finditer(self.text)]

    def line_at(self, position: int) -> int:
        """Return the number, from 1, of the line that holds the character at `position`."""
        return bisect.bisect_left(self._ends, position) + 1

    def content(self, line: int, end_line: int) -> str:
        """Return the lines `line` to `end_line`, from 1, without the white space around them."""
        return "\n".join(self.lines[line - 1 : end_line]).strip()

    def redacted(self, text: str) -> str:
        """Return `text` with the credentials of this file blotted out."""
        for secret in sorted(self.secrets, key=len, reverse=True):
            text = text.replace(secret, f"{secret[:4]}…")
        return text

    def printable_line(self, line: int) -> str:
        """Return the line, from 1, as a report shows it, or "" where there is none."""
        if not 0 < line <= len(self.lines):
            return ""
        return printable(self.redacted(self.lines[line - 1]))


class Source(Text):
    """A parsed source file.

    Attributes:
        encoding: the encoding that the interpreter reads it in, lower case (PEP 263).
        nodes: every node of the syntax tree, parents before children.
    """

    def __init__(self, path: str, data: bytes) -> None:
        """Decode and parse.

        Raises:
            SourceUnreadable: the interpreter could not decode or parse the file either.
        """
        try:
            self.encoding = tokenize.detect_encoding(io.BytesIO(data).readline)[0].lower()
            text = data.decode(self.encoding)
            tree = ast.parse(data, path)
        except (SyntaxError, ValueError, LookupError, RecursionError, MemoryError) as error:
            raise SourceUnreadable(_unreadable(path, error)) from error
        super().__init__(path, data, text)
        self.nodes = tuple(ast.walk(tree))

    @functools.cached_property
    def calls(self) -> tuple[ast.Call, ...]:
        """Every call."""
        return tuple(node for node in self.nodes if isinstance(node, ast.Call))

    @functools.cached_property
    def strings(self) -> tuple[ast.Constant, ...]:
        """Every string and bytes constant, documentation included."""
        return tuple(
            node
            for node in self.nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)
        )

    @functools.cached_property
    def imports(self) -> tuple[tuple[str, ast.stmt], ...]:
        """Every absolute module or member that is imported, with its statement."""
        found: list[tuple[str, ast.stmt]] = []
        for node in self.nodes:
            if isinstance(node, ast.Import):
                found.extend((alias.name, node) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.extend((f"{node.module}.{alias.name}", node) for alias in node.names)
        return tuple(found)

    def imports_of(self, modules: Collection[str]) -> Iterator[tuple[str, ast.stmt | ast.expr]]:
        """Yield (module, statement) for each statement that imports one of `modules`, once.

        A constant name that is imported by a call counts too.
        """
        seen: set[tuple[int, str]] = set()
        statements: list[tuple[str, ast.stmt | ast.expr]] = list(self.imports)
        statements += self._imported_by_calls
        for name, node in statements:
            parts = name.split(".")
            for length in range(1, len(parts) + 1):
                module = ".".join(parts[:length])
                if module in modules and (id(node), module) not in seen:
                    seen.add((id(node), module))
                    yield module, node
                    break

    @functools.cached_property
    def _imported_by_calls(self) -> tuple[tuple[str, ast.Call], ...]:
        found = ((self._imported(call, 0), call) for call in self.calls)
        return tuple((name, call) for name, call in found if name)

    @functools.cached_property
    def _aliases(self) -> dict[str, str]:
        """Local name -> what an import bound it to, anywhere in the file."""
        aliases: dict[str, str] = {}
        for node in self.nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if alias.asname:
                        aliases[alias.asname] = alias.name
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return aliases

    @functools.cached_property
    def _values(self) -> dict[str, list[ast.expr]]:
        """Name -> every expression that is assigned to it, in any scope of the file."""
        values: dict[str, list[ast.expr]] = {}
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                targets, value = node.targets, node.value
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                targets, value = [node.target], node.value
            else:
                continue
            for target in targets:
                if isinstance(target, ast.Name):
                    values.setdefault(target.id, []).append(value)
        return values

    def dotted(self, node: ast.expr, depth: int = 0) -> str:
        """Return the qualified name of `a.b.c`, imports and plain renamings resolved, or "".

        `builtins.` is taken away, so that `builtins.exec` and `exec` are one name. A chain whose
        root is not a name begins with a dot: `"x".join` is `.join`.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute) and len(parts) < _MAX_DOTTED:
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            root = self._aliases.get(node.id, node.id)
            renamed = self._values.get(node.id, ())
            if root == node.id and len(renamed) == 1 and depth < _MAX_TRACED:
                value = renamed[0]
                if isinstance(value, ast.Name | ast.Attribute):
                    root = self.dotted(value, depth + 1) or root
        elif isinstance(node, ast.Call) and depth < _MAX_TRACED:
            root = self._imported(node, depth)
        else:
            root = ""
        name = ".".join([root, *reversed(parts)])
        return name.removeprefix("builtins.").removeprefix("__builtins__.")

    def _imported(self, node: ast.Call, depth: int) -> str:
        """Return the module that `__import__("x")` or `import_module("x")` gives, or ""."""
        if not node.args or not isinstance(node.args[0], ast.Constant):
            return ""
        name = self.dotted(node.func, depth + 1)
        if name not in ("__import__", "importlib.import_module", "importlib.__import__"):
            return ""
        return str(node.args[0].value)

    def reach(self, *roots: ast.AST) -> Iterator[ast.AST]:
        """Yield the nodes of expressions and of what their names were assigned, each name once."""
        seen: set[str] = set()
        queue: deque[ast.AST] = deque(roots)
        while queue:
            for inner in ast.walk(queue.popleft()):
                yield inner
                if isinstance(inner, ast.Name) and inner.id not in seen:
                    seen.add(inner.id)
                    queue.extend(self._values.get(inner.id, ()))


def hit_at(rule: Rule, node: ast.expr | ast.stmt, message: str) -> Hit:
    """Return a hit on the lines of `node`."""
    return Hit(rule, message, node.lineno, node.end_lineno or node.lineno)


def to_finding(path: str, data: bytes, text: Text | None, hit: Hit) -> Finding:
    """Return the finding that a hit becomes: its content digest and its printable line."""
    line = ""
    if text is None or hit.line == 0:
        content = data
    else:
        content = text.content(hit.line, hit.end_line).encode("utf-8", "surrogatepass")
        line = text.printable_line(hit.line)
    return Finding(
        hit.rule.id,
        hit.rule.severity,
        path,
        hit.line,
        shown(hit.message if text is None else text.redacted(hit.message)),
        hit.rule.help,
        line,
        hashlib.sha256(content).hexdigest(),
        hit.confidence,
        hit.end_line,
    )


def printable(line: str) -> str:
    """Return a line of source as printable text, tabs as spaces, cut at `MAX_SOURCE_LINE`."""
    line = line.strip().expandtabs(4)
    cut = line[:MAX_SOURCE_LINE]
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in cut)
    return text + "…" if len(line) > MAX_SOURCE_LINE else text


def _unreadable(path: str, error: BaseException) -> Problem:
    place = f"line {error.lineno}: " if isinstance(error, SyntaxError) and error.lineno else ""
    reason = error.msg if isinstance(error, SyntaxError) else str(error)
    return problem(
        "scan.unparsable",
        "a Python file of the wheel cannot be parsed, so nobody looked at what it does",
        value=f"{place}{reason or type(error).__name__}",
        expected=f"Python {python_grammar()} in an encoding that Python knows",
        advice="mend the file, or leave it out of the wheel if nothing imports it",
        where=path,
    )
