"""A JSON Schema (2020-12) as rows that a person reads; the schema itself stays on the page too.

The schema comes from an author: depth, rows and texts are bounded, and a keyword that is not
understood here is named, not hidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_ROWS = 60
MAX_DEPTH = 4
MAX_RAW = 20_000
"""Characters of a schema's JSON text that a page shows."""

_SHOWN_ELSEWHERE = frozenset(
    {"type", "properties", "required", "items", "description", "title", "$schema", "$id"}
)
_WORDS = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minimum": "≥ {}",
    "maximum": "≤ {}",
    "exclusiveMinimum": "> {}",
    "exclusiveMaximum": "< {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} members",
    "maxProperties": "at most {} members",
    "pattern": "matches {}",
    "format": "format {}",
    "const": "exactly {}",
    "default": "default {}",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One value that the schema describes.

    Attributes:
        path: where it is: `options.depth`, `rows[]`, or "" for the value itself.
        type: its JSON type or types in words.
        required: whether it must be there.
        rules: the further constraints, each a short text.
        description: what the author wrote about it.
    """

    path: str
    type: str
    required: bool
    rules: tuple[str, ...]
    description: str


@dataclass(frozen=True, slots=True)
class Table:
    """A schema as rows, and as indented JSON.

    Attributes:
        rows: at most `MAX_ROWS`.
        cut: rows were left out.
        raw: the schema itself, at most `MAX_RAW` characters of it.
        raw_cut: the raw text ends before the schema does.
    """

    rows: tuple[Row, ...]
    cut: bool
    raw: str
    raw_cut: bool


def table(schema: object) -> Table:
    """Return the rows of `schema`, which may be any JSON value."""
    rows: list[Row] = []
    cut = False
    for row in _rows("", schema, required=True, depth=0):
        if len(rows) == MAX_ROWS:
            cut = True
            break
        rows.append(row)
    if len(rows) > 1 and rows[0] == Row("", "object", True, (), ""):
        del rows[0]
    raw = json.dumps(plain(schema), indent=2, ensure_ascii=False)
    return Table(tuple(rows), cut, raw[:MAX_RAW], len(raw) > MAX_RAW)


def _rows(path: str, schema: object, *, required: bool, depth: int) -> Iterator[Row]:
    if not isinstance(schema, Mapping):
        words = {True: "anything", False: "nothing"}.get(schema is not False, "anything")
        yield Row(path, words, required, (), "")
        return
    properties = schema.get("properties")
    items = schema.get("items")
    nested = isinstance(properties, Mapping) or isinstance(items, Mapping)
    rules = list(rules_of(schema))
    if nested and depth >= MAX_DEPTH:
        rules.append("more inside: see the schema")
    yield Row(path, type_of(schema), required, tuple(rules), str(schema.get("description", "")))
    if depth >= MAX_DEPTH:
        return
    if isinstance(properties, Mapping):
        needed = schema.get("required")
        names = set(map(str, needed)) if isinstance(needed, list | tuple) else set()
        for name, inner in properties.items():
            yield from _rows(
                f"{path}.{name}" if path else str(name),
                inner,
                required=str(name) in names,
                depth=depth + 1,
            )
        yield from (
            Row(f"{path}.{name}" if path else name, "anything", True, (), "")
            for name in sorted(names - set(map(str, properties)))
        )
    if isinstance(items, Mapping):
        yield from _rows(f"{path}[]", items, required=False, depth=depth + 1)


def type_of(schema: Mapping[str, Any]) -> str:
    """Return the JSON type or types that a schema asks for, in words."""
    kind = schema.get("type")
    if isinstance(kind, str):
        return kind
    if isinstance(kind, list | tuple):
        return " or ".join(map(str, kind[:7]))
    if "enum" in schema or "const" in schema:
        return "one of a list"
    for keyword in ("oneOf", "anyOf"):
        choices = schema.get(keyword)
        if isinstance(choices, list | tuple):
            kinds = [type_of(c) if isinstance(c, Mapping) else "anything" for c in choices[:7]]
            return " or ".join(dict.fromkeys(kinds))
    if isinstance(schema.get("properties"), Mapping):
        return "object"
    return "anything"


def rules_of(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the constraints of a schema beside its type, each a short text."""
    for keyword, value in schema.items():
        if keyword in _WORDS:
            text = value if isinstance(value, str) and keyword != "const" else _json(value)
            yield _WORDS[keyword].format(text)
        elif keyword == "enum" and isinstance(value, list | tuple):
            more = f" and {len(value) - 12} more" if len(value) > 12 else ""
            yield "one of " + ", ".join(_json(v) for v in value[:12]) + more
        elif keyword == "uniqueItems" and value is True:
            yield "no item twice"
        elif keyword == "additionalProperties" and value is False:
            yield "no other members"
        elif keyword == "additionalProperties" and isinstance(value, Mapping):
            yield f"other members: {type_of(value)}"
        elif keyword == "additionalProperties":
            continue
        elif keyword not in _SHOWN_ELSEWHERE:
            yield f"{keyword}: see the schema"


def _json(value: object) -> str:
    text = json.dumps(plain(value), ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def plain(value: object) -> object:
    """Return `value` with mapping proxies and tuples as the types that `json` knows."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value
