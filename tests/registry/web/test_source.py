"""What is coloured is exactly what is in the file; what hides is spelled out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.readmodel import DiffLine, SourceLine
from registry.web import source
from registry.web.formats import is_hidden, name_of, prose, visible


def spelled(line: str) -> str:
    """Return `line` as a page must spell it."""
    return "".join(name_of(char) if is_hidden(char) else char for char in line)


def text_of(pieces: tuple[source.Piece, ...]) -> str:
    return "".join(piece.text for piece in pieces)


LINES = st.lists(
    st.text(st.characters(exclude_characters="\n\r", exclude_categories=["Cs"]), max_size=30)
    | st.sampled_from(['"""', "'''", "def f(x):", '{"a": 1}', "# \t", "\\", "[a]", "a = 1", "\f"]),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(LINES, st.sampled_from(["a.py", "a.json", "a.toml", "a.ini", "a.txt"]))
def test_the_pieces_of_a_line_are_the_line(lines: list[str], path: str) -> None:
    coloured = source.colour(path, tuple(lines))
    assert [text_of(pieces) for pieces in coloured] == [spelled(line) for line in lines]


@pytest.mark.parametrize("line", ["\ufeffimport os", "a = 1\rimport os", "a = 1\r"])
def test_what_the_lexer_would_drop_or_move_is_shown(line: str) -> None:
    coloured = source.colour("a.py", (line, "b = 2"))
    assert [text_of(pieces) for pieces in coloured] == [spelled(line), "b = 2"]


def test_python_gets_colours_across_lines() -> None:
    rows = source.colour("a.py", ('x = """one', 'two"""', "def f(): return 1  # why"))
    assert rows[1] == (source.Piece("t-string", 'two"""'),)
    assert {piece.css for piece in rows[2]} >= {"t-keyword", "t-name", "t-number", "t-comment"}


@pytest.mark.parametrize(
    "char", ["\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad", "\u3164", "\u2800", "\x1b", "\u00a0"]
)
def test_a_character_that_hides_becomes_a_piece_of_its_own(char: str) -> None:
    (pieces,) = source.colour("a.py", (f"a = 'b{char}c'",))
    assert source.Piece("hidden-char", name_of(char)) in pieces
    assert char not in text_of(pieces)
    assert char not in visible(f"b{char}c")
    assert char not in prose(f"b{char}\nc")
    assert prose(f"b{char}\nc").count("\n") == 1


def test_a_long_line_is_cut_and_says_so() -> None:
    line = "x" * (source.MAX_LINE + 7)
    (row,) = source.source_rows("a.py", [SourceLine(1, line)])
    assert (len(text_of(row.pieces)), row.cut) == (source.MAX_LINE, 7)


def test_a_file_that_is_too_long_to_colour_is_shown_plain() -> None:
    lines = tuple("import os" for _ in range(source.MAX_COLOURED // 9 + 1))
    assert all(row == (source.Piece("", "import os"),) for row in source.colour("a.py", lines))


def test_both_sides_of_a_diff_are_coloured() -> None:
    diff = [
        DiffLine("hunk", None, None, "@@ -1,2 +1,2 @@"),
        DiffLine("context", 1, 1, "import os"),
        DiffLine("removed", 2, None, "return 1"),
        DiffLine("added", None, 2, "return 2"),
    ]
    lines = [SourceLine(1, "import os"), SourceLine(2, "return 2")]
    rows = source.diff_rows("a.py", diff, lines)
    assert [text_of(row.pieces) for row in rows] == [line.text for line in diff]
    assert [row.pieces[0].css for row in rows] == ["", *["t-keyword"] * 3]
