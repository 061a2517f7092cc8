"""Strict JSON: what is refused, and that nobody can keep a reader busy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trust import strictjson

ROOT = Path(__file__).parents[2]
MANY = "b'[]' * 65"
"""More brackets than may be nested, so that the depth is looked at."""
HOSTILE = {
    "a string without end, full of escaped quotes": MANY + " + b'\"' + b'\\\\\"' * 500_000",
    "the same, cut in an escape": MANY + " + b'\"' + b'\\\\\"' * 500_000 + b'\\\\'",
    "backslashes": MANY + " + b'\"' + b'\\\\' * 1_000_000",
    "quotes": MANY + " + b'\"' * 1_000_000",
    "quotes after escapes": MANY + " + b'\\\\\"' * 500_000",
    "brackets": "b'[' * 1_000_000",
    "closing brackets": "b']' * 1_000_000",
    "digits": "b'1' * 1_000_000",
    "surrogates": "b'\"' + b'\\\\ud800' * 160_000 + b'\"'",
}
READ = """
from trust import strictjson
try:
    strictjson.loads({data}, max_bytes=2 << 20)
except strictjson.InvalidJSON:
    print("refused")
"""


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_document_is_refused_in_linear_time(what: str) -> None:
    """A megabyte takes hundredths of a second; what looked twice at each character took hours."""
    done = subprocess.run(
        [sys.executable, "-c", READ.format(data=HOSTILE[what])],
        cwd=ROOT, capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout == "refused\n"


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


TEXT = st.text(st.sampled_from('[]{}"\\ab/\n\u2028'), max_size=6)
VALUES = st.recursive(
    TEXT | st.integers() | st.none(),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(TEXT, parts, max_size=3),
    max_leaves=8,
)


@given(VALUES, st.integers(0, 4))
@example({'"]}': ['\\"[[[[[[']}, 2)
def test_brackets_in_strings_are_no_depth(value: Any, most: int) -> None:
    data = json.dumps(value, ensure_ascii=False).encode()
    try:
        assert strictjson.loads(data, max_depth=most) == value
        assert _depth(value) <= most
    except strictjson.InvalidJSON:
        assert _depth(value) > most


@pytest.mark.parametrize(
    "data",
    [b"NaN", b"[Infinity]", b'{"a":1,"a":2}', b'"\\ud800"', b"\xff", b"1e999", b"[1,]", b"",
     b"\xef\xbb\xbf1"],
)  # fmt: skip
def test_what_is_not_strict_is_refused(data: bytes) -> None:
    with pytest.raises(strictjson.InvalidJSON) as caught:
        strictjson.loads(data)
    assert caught.value.problem.advice


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1, float("-inf")]])
def test_what_is_not_json_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        strictjson.dumps(value)


def test_what_is_written_is_sorted_and_compact() -> None:
    assert strictjson.dumps({"b": [1, None], "a": "\u00e9"}) == '{"a":"é","b":[1,null]}'.encode()
