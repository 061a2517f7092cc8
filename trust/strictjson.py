"""Strict JSON for everything that comes from outside.

RFC 8259 leaves room that parsers fill differently, and each difference is a place to hide. So:
UTF-8 only, no byte order mark, no NaN or infinities, no duplicate member names, no lone
surrogates, integers of a bounded length, and bounded size and depth (RFC 7493, I-JSON, goes the
same way).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from trust.errors import SealgateError, problem

DEFAULT_MAX_BYTES = 1 << 20
DEFAULT_MAX_DEPTH = 64
MAX_INTEGER_DIGITS = 4000

_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""Strings and brackets. Every quote begins a match, also where its string has no end: else each
quote in such a string would be tried anew, and all of the rest be read for each."""
_SURROGATES = re.compile("[\ud800-\udfff]")


class InvalidJSON(SealgateError):
    """The input is not JSON as this project accepts it."""


def _refuse(what: str, value: object, expected: str) -> NoReturn:
    raise InvalidJSON(
        problem(
            "json.invalid",
            what,
            value=value,
            expected=expected,
            advice="send one strict JSON document (RFC 7493) in UTF-8",
        )
    )


def _check_depth(text: str, max_depth: int) -> None:
    if text.count("[") + text.count("{") <= max_depth:
        return
    depth = 0
    for match in _TOKENS.finditer(text):
        token = match.group()
        if token in "[{":
            depth += 1
            if depth > max_depth:
                _refuse("the JSON is nested too deeply", depth, f"at most {max_depth} levels")
        elif token in "]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                _refuse("a member name stands twice in one JSON object", name, "each name once")
            seen.add(name)
    return result


def _constant(name: str) -> NoReturn:
    _refuse("the JSON has a number that is not finite", name, "finite numbers")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        _refuse("the JSON has a number that is out of range", text, "an IEEE 754 double")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_INTEGER_DIGITS:
        _refuse("the JSON has an integer that is too long", text, f"{MAX_INTEGER_DIGITS} digits")
    return int(text)


def _decoder(integer: Callable[[str], int]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_object,
        parse_constant=_constant,
        parse_float=_float,
        parse_int=integer,
    )


_ENCODER = json.JSONEncoder(
    allow_nan=False, ensure_ascii=False, sort_keys=True, separators=(",", ":")
)
_DECODER = _decoder(_integer)
_SHORT = _decoder(int)
"""For text that is too short to hold an integer that is too long."""


def loads(
    data: bytes, *, max_bytes: int = DEFAULT_MAX_BYTES, max_depth: int = DEFAULT_MAX_DEPTH
) -> Any:
    """Parse one strict JSON document.

    Args:
        data: the document, UTF-8.
        max_bytes: the largest accepted length of `data`, in bytes.
        max_depth: the deepest accepted nesting of arrays and objects.

    Raises:
        InvalidJSON: the document is too large, too deep, or not strict JSON.
    """
    if len(data) > max_bytes:
        _refuse("the JSON is too large", f"{len(data)} bytes", f"at most {max_bytes} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        _refuse("the JSON is not UTF-8", data[error.start : error.start + 8], "UTF-8 (RFC 3629)")
    _check_depth(text, max_depth)
    try:
        value = (_SHORT if len(text) <= MAX_INTEGER_DIGITS else _DECODER).decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}: {error.msg}"
        _refuse("the JSON cannot be parsed", place, "one JSON value (RFC 8259)")
    if "\\u" in text or "\\U" in text:
        _check_surrogates(value)
    return value


def _check_surrogates(value: Any) -> None:
    if isinstance(value, str):
        if _SURROGATES.search(value):
            _refuse("the JSON has a lone surrogate", value, "Unicode scalar values")
    elif isinstance(value, dict):
        for name, member in value.items():
            _check_surrogates(name)
            _check_surrogates(member)
    elif isinstance(value, list):
        for item in value:
            _check_surrogates(item)


def dumps(value: Any) -> bytes:
    """Serialise `value` compactly, sorted and in UTF-8; NaN and infinities raise ValueError."""
    return _ENCODER.encode(value).encode()
