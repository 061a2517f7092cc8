"""The JSON Schemas that a plugin brings: a subset whose checking is bounded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.support.manifests import assert_manifest_refused, manifest, method, wheel_of
from tests.support.refusals import FILENAME
from trust.outcomes import Passed
from trust.wheel import inspect_wheel
from trust.wheel.schemas import KEYWORDS, is_safe_pattern


def _huge_chain(length: int) -> dict[str, Any]:
    steps: dict[str, Any] = {f"a{n}": {"$ref": f"#/$defs/a{n + 1}"} for n in range(length)}
    return {"type": "object", "$defs": {**steps, f"a{length}": {}}, "$ref": "#/$defs/a0"}


def _laughs(length: int) -> dict[str, Any]:
    steps: dict[str, Any] = {
        f"a{n}": {"allOf": [{"$ref": f"#/$defs/a{n + 1}"}] * 2} for n in range(length)
    }
    return {"type": "object", "$defs": {**steps, f"a{length}": {}}, "$ref": "#/$defs/a0"}


SCHEMAS: dict[str, tuple[Mapping[str, Any], str, str]] = {
    "remote": ({"$ref": "https://evil.example/s.json"}, "manifest.schema-ref", "evil.example"),
    "file": ({"$ref": "file:///etc/passwd"}, "manifest.schema-ref", "file:///etc/passwd"),
    "relative": ({"$ref": "other.json"}, "manifest.schema-ref", "other.json"),
    "nowhere": ({"$ref": "#/$defs/none"}, "manifest.schema-ref", "#/$defs/none"),
    "no schema": ({"$ref": "#/title", "title": "x"}, "manifest.schema-ref", "#/title"),
    "a map": ({"$ref": "#/properties", "properties": {}}, "manifest.schema-ref", "#/properties"),
    "no such branch": (
        {"$ref": "#/anyOf/1", "anyOf": [True]},
        "manifest.schema-ref",
        "#/anyOf/1",
    ),
    "below a boolean": (
        {"$ref": "#/items/items", "items": True},
        "manifest.schema-ref",
        "#/items/items",
    ),
    "escaped": (
        {"$ref": "#/%24defs/a", "$defs": {"a": {}}},
        "manifest.schema-ref",
        "#/%24defs/a",
    ),
    "itself": ({"$ref": "#"}, "manifest.schema-recursive", "circle"),
    "circle": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "manifest.schema-recursive",
        "circle",
    ),
    "unused circle": (
        {"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}},
        "manifest.schema-recursive",
        "circle",
    ),
    "tree": (
        {"properties": {"child": {"$ref": "#"}}},
        "manifest.schema-recursive",
        "circle",
    ),
    "id": ({"$id": "https://evil.example"}, "manifest.schema-keyword", "$id"),
    "dynamic": ({"$dynamicRef": "#x"}, "manifest.schema-keyword", "$dynamicRef"),
    "unevaluated": ({"unevaluatedItems": False}, "manifest.schema-keyword", "unevaluatedItems"),
    "unique": ({"items": {"uniqueItems": True}}, "manifest.schema-keyword", "uniqueItems"),
    "misspelt": ({"proprties": {}}, "manifest.schema-keyword", "proprties"),
    "dialect": (
        {"$schema": "http://json-schema.org/draft-07/schema#"},
        "manifest.schema-dialect",
        "draft-07",
    ),
    "invalid": ({"properties": {"a": {"type": "text"}}}, "manifest.schema-invalid", "text"),
    "negative": ({"maxLength": -1}, "manifest.schema-invalid", "-1"),
    "pattern": ({"pattern": "^(a+)+$"}, "manifest.schema-pattern", "^(a+)+$"),
    "pattern of names": (
        {"patternProperties": {"(a|a)*b": {}}},
        "manifest.schema-pattern",
        "(a|a)*b",
    ),
    "pattern beyond re": ({"pattern": "^a{99999999999999}"}, "manifest.schema-invalid", ""),
    "chain": (_huge_chain(3000), "manifest.schema-too-large", "deep"),
    "laughs": (_laughs(20), "manifest.schema-too-large", "subschemas"),
    "many": (
        {"anyOf": [{"type": "object"}] * 2100},
        "manifest.schema-too-large",
        "2101 subschemas",
    ),
}


@pytest.mark.parametrize("place", ["arguments", "result"])
@pytest.mark.parametrize("case", SCHEMAS)
def test_schema_is_refused(case: str, place: str) -> None:
    schema, code, value = SCHEMAS[case]
    entry = method("example_plugin:function", **{place: {"type": "object"} | schema})
    assert_manifest_refused(manifest(methods={"run": entry}), code, value, f"#/methods/run/{place}")


def test_schema_that_is_honest_is_accepted() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "$ref": {"const": {"$ref": "https://example.com"}},
            "date": {"type": "string", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"},
            "rows": {"type": "array", "items": {"$ref": "#/$defs/row"}},
            "a/b": {"$ref": "#/properties/date"},
            "c": {"$ref": "#/properties/a~1b"},
            "d": {"anyOf": [{"type": "null"}, {"$ref": "#/properties/rows/items"}]},
            "e": {"$ref": "#/properties/d/anyOf/0"},
            "x": {"enum": [{"uniqueItems": True}]},
        },
        "additionalProperties": False,
        "$defs": {"row": {"type": "object", "additionalProperties": {"type": "number"}}},
    }
    entry = method("example_plugin:function", arguments=schema)
    assert isinstance(inspect_wheel(wheel_of(manifest(methods={"run": entry})), FILENAME), Passed)


@pytest.mark.parametrize(
    ("pattern", "safe"),
    [
        ("^[a-z][a-z0-9-]{0,62}$", True),
        ("^\\d{4}-\\d{2}$", True),
        ("^[^@ ]+@example\\.org$", True),
        ("^", True),
        ("a+$", False),
        ("^a+b+$", False),
        ("^(a|b)$", False),
        ("^a|b", False),
        ("^(?=a)", False),
        ("^(a)\\1", False),
        ("^a{1,2}{3}", False),
        ("^[a-z", False),
        ("^a{5,2}$", False),
        ("^" + "a" * 300, False),
        ("^" + "[^a]" * 62 + "(", False),
    ],
)
def test_patterns(pattern: str, safe: bool) -> None:
    assert is_safe_pattern(pattern) is safe


def test_accepted_keywords_are_keywords_of_the_dialect() -> None:
    vocabularies = json.dumps(Draft202012Validator.META_SCHEMA)
    assert "vocab/core" in vocabularies
    known = {*Draft202012Validator.VALIDATORS, "$schema", "$comment", "title", "description"}
    known |= {"default", "examples", "deprecated", "readOnly", "writeOnly", "then", "else"}
    known |= {"$defs", "minContains", "maxContains", "contentEncoding", "contentMediaType"}
    assert known >= KEYWORDS
