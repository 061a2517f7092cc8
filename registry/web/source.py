"""Source text as rows of coloured pieces: data, not markup.

Pygments only says which characters have which colour. The pieces of a line, put together, are
exactly the line; where they are not, the line is shown without colours. Hidden characters are
pieces of their own that spell the code point out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import zip_longest
from pathlib import PurePosixPath
from typing import Literal

from pygments.lexer import Lexer
from pygments.lexers.configs import IniLexer, TOMLLexer
from pygments.lexers.data import JsonLexer
from pygments.lexers.python import PythonLexer
from pygments.token import (
    Comment,
    Keyword,
    Name,
    Number,
    Operator,
    String,
    _TokenType,
    is_token_subtype,
)

from registry.readmodel import DiffLine, FindingView, LineKind, SourceLine
from registry.web.formats import split_hidden

MAX_LINE = 1_000
"""Characters of one line that a page shows; a file with a longer line gets no colours."""

MAX_COLOURED = 200_000
"""Characters of a file that are coloured; beyond, the text is shown plain."""

MAX_WHOLE = 40_000
"""Characters that are coloured at once for a diff; beyond, each of its stretches by itself."""

LEAD = 100
"""Lines before a part that are coloured with it."""

MAX_KEPT = 20_000
"""Characters of a file whose colours are kept for the next request; bounds the memory for it."""

_LEXERS: dict[str, type[Lexer]] = {
    ".py": PythonLexer,
    ".pyi": PythonLexer,
    ".json": JsonLexer,
    ".toml": TOMLLexer,
    ".cfg": IniLexer,
    ".ini": IniLexer,
}

_COLOURS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "t-comment"),
    (String.Doc, "t-comment"),
    (String, "t-string"),
    (Number, "t-number"),
    (Keyword, "t-keyword"),
    (Operator.Word, "t-keyword"),
    (Name.Function, "t-name"),
    (Name.Class, "t-name"),
    (Name.Decorator, "t-name"),
    (Name.Tag, "t-name"),
    (Name.Builtin, "t-builtin"),
    (Name.Exception, "t-builtin"),
)
"""Token type -> CSS class; the first that contains the token's type wins."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Some characters of a line and their CSS class ("" for none)."""

    css: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a source table.

    Attributes:
        kind: `context`, `added`, `removed` or `hunk`.
        old: line number in the earlier version, or None.
        new: line number in this version, or None.
        pieces: the text.
        cut: characters left out at the end of the line.
        findings: what the scan found on this line.
    """

    kind: LineKind
    old: int | None
    new: int | None
    pieces: tuple[Piece, ...]
    cut: int = 0
    findings: tuple[FindingView, ...] = ()


@dataclass(frozen=True, slots=True)
class Pair:
    """One row of two columns: the earlier line, and this version's line beside it.

    Attributes:
        kind: `context`, `changed` or `hunk`.
        left: the earlier line, or None.
        right: this version's line, or None; the heading where `kind` is `hunk`.
    """

    kind: Literal["context", "changed", "hunk"]
    left: Row | None
    right: Row | None

    @property
    def findings(self) -> tuple[FindingView, ...]:
        """What the scan found on this version's line."""
        return self.right.findings if self.right is not None else ()


def paired(rows: Sequence[Row]) -> list[Pair]:
    """Return the rows of a unified diff side by side: what is gone beside what came for it."""
    pairs: list[Pair] = []
    gone: list[Row] = []
    came: list[Row] = []

    def flush() -> None:
        pairs.extend(Pair("changed", *both) for both in zip_longest(gone, came))
        gone.clear()
        came.clear()

    for row in rows:
        if row.kind == "removed":
            if came:
                flush()
            gone.append(row)
        elif row.kind == "added":
            came.append(row)
        else:
            flush()
            if row.kind == "hunk":
                pairs.append(Pair("hunk", None, row))
            else:
                pairs.append(Pair("context", row, row))
    flush()
    return pairs


def source_rows(
    path: str, lines: Sequence[SourceLine], first: int = 1, count: int | None = None
) -> list[Row]:
    """Return the rows of a file.

    Args:
        path: the file; its suffix says which language it is.
        lines: all of its lines.
        first: the first row, from 1.
        count: how many rows at most; None for all.
    """
    end = len(lines) if count is None else min(len(lines), first - 1 + count)
    # Colours need what stands before, a docstring's beginning say; all of it would take too long.
    begin = max(0, first - 1 - LEAD)
    part = lines[begin:end]
    coloured = colour(path, tuple(line.text for line in part))
    return [
        Row("context", None, line.number, pieces, max(0, len(line.text) - MAX_LINE), line.findings)
        for line, pieces in list(zip(part, coloured, strict=True))[first - 1 - begin :]
    ]


def diff_rows(path: str, diff: Sequence[DiffLine], lines: Sequence[SourceLine]) -> list[Row]:
    """Return the rows of a unified diff; `lines` is the file's text in this version."""
    numbers = [entry.new for entry in diff if entry.new]
    begin = max(0, min(numbers, default=1) - 1 - LEAD)
    part = lines[begin : max(numbers, default=0)]
    new: dict[int, tuple[Piece, ...]] = {}
    if sum(len(line.text) for line in part) <= MAX_WHOLE:
        coloured = colour(path, tuple(line.text for line in part))
        new = {line.number: pieces for line, pieces in zip(part, coloured, strict=True)}
    else:
        new = _side(path, diff, "new")
    texts = {line.number: line for line in part}
    old = _side(path, diff, "old")
    rows = []
    for entry in diff:
        line = texts.get(entry.new or 0)
        if line is not None and line.text == entry.text:
            pieces = new.get(line.number) or _plain(line.text)
        else:
            pieces = old.get(entry.old or 0, _plain(entry.text))
        findings = line.findings if line is not None else ()
        cut = max(0, len(entry.text) - MAX_LINE)
        rows.append(Row(entry.kind, entry.old, entry.new, pieces, cut, findings))
    return rows


def _side(
    path: str, diff: Sequence[DiffLine], side: Literal["old", "new"]
) -> dict[int, tuple[Piece, ...]]:
    """Return the coloured lines of one version, as far as the diff shows them.

    Each stretch of consecutive lines is coloured by itself: what opens before it is not known.
    """
    found: dict[int, tuple[Piece, ...]] = {}
    stretch: list[DiffLine] = []
    for entry in (*diff, DiffLine("hunk", None, None, "")):
        if entry.kind == "hunk":
            coloured = colour(path, tuple(line.text for line in stretch))
            numbers = (getattr(line, side) for line in stretch)
            found.update(zip(numbers, coloured, strict=True))
            stretch = []
        elif getattr(entry, side) is not None:
            stretch.append(entry)
    return found


def colour(path: str, lines: tuple[str, ...]) -> tuple[tuple[Piece, ...], ...]:
    """Return the pieces of each of `lines`; the suffix of `path` says which language it is."""
    if sum(map(len, lines)) <= MAX_KEPT:
        return _kept(path, lines)
    return _colour(path, lines)


@lru_cache(maxsize=128)
def _kept(path: str, lines: tuple[str, ...]) -> tuple[tuple[Piece, ...], ...]:
    return _colour(path, lines)


def _colour(path: str, lines: tuple[str, ...]) -> tuple[tuple[Piece, ...], ...]:
    lexer = _LEXERS.get(PurePosixPath(path).suffix.lower())
    fits = sum(map(len, lines)) <= MAX_COLOURED and all(len(line) <= MAX_LINE for line in lines)
    if lexer is None or not fits:
        return tuple(_plain(line) for line in lines)
    tokens: list[list[tuple[str, str]]] = [[]]
    for kind, text in lexer(stripnl=False, ensurenl=False).get_tokens("\n".join(lines)):
        css = _css(kind)
        for number, part in enumerate(text.split("\n")):
            if number:
                tokens.append([])
            if part:
                tokens[-1].append((css, part))
    if len(tokens) != len(lines):
        return tuple(_plain(line) for line in lines)
    return tuple(_faithful(line, parts) for line, parts in zip(lines, tokens, strict=True))


def _faithful(line: str, parts: Sequence[tuple[str, str]]) -> tuple[Piece, ...]:
    """Return `parts` as pieces if they are exactly `line`, else the line without colours."""
    if "".join(text for _, text in parts) != line:
        return _plain(line)
    pieces: list[Piece] = []
    for css, text in parts:
        _append(pieces, css, text)
    return tuple(pieces)


def _plain(line: str) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    _append(pieces, "", line[:MAX_LINE])
    return tuple(pieces)


def _append(pieces: list[Piece], css: str, text: str) -> None:
    """Add `text`, hidden characters apart, joining neighbours of one colour."""
    for hidden, run in split_hidden(text):
        if hidden:
            pieces.append(Piece("hidden-char", run))
        elif pieces and pieces[-1].css == css:
            pieces[-1] = Piece(css, pieces[-1].text + run)
        else:
            pieces.append(Piece(css, run))


@lru_cache(maxsize=256)
def _css(kind: _TokenType) -> str:
    return next((css for parent, css in _COLOURS if is_token_subtype(kind, parent)), "")
