"""The JSON Schemas that a plugin brings: a subset of 2020-12 whose checking costs are bounded.

The runner evaluates these schemas itself, outside of the sandbox, on values that the plugin may
choose. So a schema must not be able to fetch anything, to recurse without end, to multiply its
own work, or to make a regular expression backtrack. Accepted are the keywords in `KEYWORDS`,
`$ref` to a place in the same schema that does not lead back to itself, and patterns as
`is_safe_pattern` says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError

from trust.errors import Problem, problem
from trust.wheel import bounds

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_ONE = frozenset(
    {"items", "contains", "additionalProperties", "propertyNames", "not", "if", "then", "else"}
)
_LISTS = frozenset({"prefixItems", "allOf", "anyOf", "oneOf"})
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_NOTES = frozenset(
    {
        "$schema",
        "$ref",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "format",
        "contentEncoding",
        "contentMediaType",
    }
)
_RULES = frozenset(
    {
        "type",
        "enum",
        "const",
        "multipleOf",
        "required",
        "dependentRequired",
        "pattern",
        "maximum",
        "exclusiveMaximum",
        "minimum",
        "exclusiveMinimum",
        "maxLength",
        "minLength",
        "maxItems",
        "minItems",
        "minContains",
        "maxContains",
        "maxProperties",
        "minProperties",
    }
)

KEYWORDS = _ONE | _LISTS | _MAPS | _NOTES | _RULES
"""The keywords of JSON Schema 2020-12 that a plugin may use."""

_ADVICE = "see the list of accepted keywords in the plugin author's guide"

_ESCAPE = r"\\[dDwWsS]|\\[^A-Za-z0-9]"
_CLASS = rf"\[\^?+(?:[^\\\[\]]|{_ESCAPE})++\]"
_ATOM = rf"(?:[^\\()\[\]{{}}|*+?.^$]|\.|{_ESCAPE}|{_CLASS})"
_VARIABLE = r"(?:[*+?]|\{[0-9]{0,4},[0-9]{0,4}\})"
_FIXED_PART = rf"(?:{_ATOM}(?!{_VARIABLE})(?:\{{[0-9]{{1,4}}\}})?+)*+"
_SAFE_PATTERN = re.compile(rf"\^{_FIXED_PART}(?:{_ATOM}{_VARIABLE}{_FIXED_PART})?+\$?+", re.DOTALL)
_MAX_PATTERN = 256


def is_safe_pattern(pattern: str) -> bool:
    """Return whether matching the pattern takes time linear in the text.

    That is so for a pattern that starts with `^`, has no group, alternative, look-around or back
    reference, and at most one repetition of variable length (`*`, `+`, `?`, `{m,n}`).
    """
    if len(pattern) > _MAX_PATTERN or not _SAFE_PATTERN.fullmatch(pattern):
        return False
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        return False
    return True


def check_schema(schema: Mapping[str, Any], where: str) -> list[Problem]:
    """Return what is wrong with a schema that a plugin brings.

    Args:
        schema: the parsed schema, an object.
        where: where it stands, as a JSON pointer fragment.
    """
    found: list[Problem] = []

    def bad(code: str, what: str, value: object, expected: str, at: str) -> None:
        found.append(
            problem(
                f"manifest.{code}",
                what,
                value=value,
                expected=expected,
                advice=_ADVICE,
                where=where + at,
            )
        )

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        what = "a schema is not valid JSON Schema 2020-12"
        place = pointer(error.absolute_path)
        bad("schema-invalid", what, error.message, "JSON Schema 2020-12", place)
        return found
    except (RecursionError, OverflowError) as error:
        what = "a schema cannot be checked"
        bad("schema-invalid", what, error, "JSON Schema 2020-12", "")
        return found
    for at, node in _walk(schema, ""):
        for keyword in sorted(set(node) - KEYWORDS):
            what = "a schema has a keyword that is not accepted"
            bad("schema-keyword", what, keyword, "the accepted keywords", f"{at}/{keyword}")
        if node.get("$schema", DIALECT) != DIALECT:
            what = "a schema is of another dialect"
            bad("schema-dialect", what, node["$schema"], DIALECT, f"{at}/$schema")
        if "$ref" in node and _resolve(schema, node["$ref"]) is None:
            what = "a schema refers to a place that is not in it"
            expected = "`#/$defs/...` of the same schema"
            bad("schema-ref", what, node["$ref"], expected, f"{at}/$ref")
        patterns = [*node.get("patternProperties", {})]
        patterns += [node["pattern"]] if "pattern" in node else []
        for pattern in patterns:
            if not is_safe_pattern(pattern):
                what = "a schema has a pattern whose matching time is not bounded"
                expected = "^, no groups or alternatives, at most one of * + ? {m,n}"
                bad("schema-pattern", what, pattern, expected, at)
    if not found:
        measure = _measure(schema)
        if measure is None:
            what = "a schema refers to itself"
            bad("schema-recursive", what, "a circle of $ref", "references without a circle", "")
        elif measure[0] > bounds.MAX_SCHEMA_NODES or measure[1] > bounds.MAX_SCHEMA_DEPTH:
            what = "a schema is too large once its references are resolved"
            value = f"{measure[0]} subschemas, {measure[1]} deep"
            most = f"at most {bounds.MAX_SCHEMA_NODES}, {bounds.MAX_SCHEMA_DEPTH} deep"
            bad("schema-too-large", what, value, most, "")
    return found


def pointer(path: Iterable[str | int]) -> str:
    """Return a path of names and indexes as a JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


def _children(node: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the direct subschemas of a valid schema with their pointers."""
    for keyword, value in node.items():
        if keyword in _ONE:
            yield f"/{keyword}", value
        elif keyword in _LISTS:
            for index, item in enumerate(value):
                yield f"/{keyword}/{index}", item
        elif keyword in _MAPS:
            for name, item in value.items():
                yield pointer((keyword, name)), item


def _walk(schema: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every subschema that is an object, the schema itself first."""
    if isinstance(schema, Mapping):
        yield at, schema
        for place, child in _children(schema):
            yield from _walk(child, at + place)


def _resolve(root: Mapping[str, Any], reference: object) -> Any | None:
    """Return the subschema that a local reference names, or None if it names none.

    Only places that hold a schema count: `#/$defs/a/properties/b`, never `#/default`.
    """
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        return None
    if "%" in reference:
        return None
    node: Any = root
    parts = [part.replace("~1", "/").replace("~0", "~") for part in reference.split("/")[1:]]
    while parts:
        keyword = parts.pop(0)
        if not isinstance(node, Mapping) or keyword not in node:
            return None
        node = node[keyword]
        if keyword in _ONE:
            continue
        if not parts:
            return None
        step = parts.pop(0)
        if keyword in _MAPS and step in node:
            node = node[step]
        elif keyword in _LISTS and step.isdecimal() and step.isascii() and int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    return node


def _measure(root: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return number and depth of the subschemas once every `$ref` is replaced by what it names.

    None means that a reference leads back to itself.
    """
    known: dict[int, tuple[int, int]] = {}
    unfinished: set[int] = set()

    def measure(node: Any, level: int) -> tuple[int, int] | None:
        if not isinstance(node, Mapping) or level > bounds.MAX_SCHEMA_DEPTH:
            return 1, 1
        key = id(node)
        if key in known:
            return known[key]
        if key in unfinished:
            return None
        unfinished.add(key)
        count, depth = 1, 1
        targets = [child for place, child in _children(node) if not place.startswith("/$defs/")]
        if "$ref" in node:
            targets.append(_resolve(root, node["$ref"]))
        for target in targets:
            inner = measure(target, level + 1)
            if inner is None:
                return None
            count, depth = count + inner[0], max(depth, inner[1] + 1)
        unfinished.discard(key)
        known[key] = count, depth
        return known[key]

    measures = [measure(node, 0) for _, node in _walk(root, "")]
    whole = [each for each in measures if each is not None]
    if len(whole) < len(measures):
        return None
    return max(count for count, _ in whole), max(depth for _, depth in whole)
