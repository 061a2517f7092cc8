"""JSON Schema on hostile schemas and values: never for ever, never the network."""

from __future__ import annotations

import time
from typing import Any

import pytest

from runner import schemas
from runner.schemas import CompiledSchema, SchemaUnusable


def check(schema: dict[str, Any], value: Any) -> tuple[Any, ...]:
    return CompiledSchema(schema).check(value, code="x", subject="the value")


@pytest.mark.parametrize(
    ("schema", "where"),
    [
        ({"type": "nonsense"}, "/type"),
        ({"$ref": "https://example.com/schema"}, "/$ref"),
        ({"properties": {"a": {"$ref": "other.json"}}}, "/properties/a/$ref"),
        ({"pattern": "(?=look)ahead"}, "/pattern"),
        ({"pattern": "(a)\\1"}, "/pattern"),
        ({"patternProperties": {"(?<x)": {}}}, "/patternProperties"),
        ({"properties": {"properties": {"pattern": "(?="}}}, "/properties/properties/pattern"),
        ({"items": {"unevaluatedProperties": False}}, "/items/unevaluatedProperties"),
        ({"$dynamicRef": "#x"}, "/$dynamicRef"),
    ],
)
def test_a_schema_that_cannot_be_bounded_is_refused(schema: dict[str, Any], where: str) -> None:
    with pytest.raises(SchemaUnusable) as refused:
        CompiledSchema(schema)
    assert refused.value.problem.where == where


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"pattern": {"type": "string"}, "$ref": {"type": "string"}}},
        {"const": {"pattern": "(?="}},
        {"enum": [{"$ref": "https://example.com"}]},
        {"$defs": {"a": {"type": "string"}}, "$ref": "#/$defs/a"},
    ],
)
def test_names_and_values_are_not_keywords(schema: dict[str, Any]) -> None:
    CompiledSchema(schema)


def test_a_dangling_reference_is_not_a_pass() -> None:
    assert check({"$ref": "#/$defs/missing"}, {})


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"pattern": "^a$"}, "a", True),
        ({"pattern": "^a$"}, "a\n", False),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"x1": 1}, True),
        ({"patternProperties": {"^x": {"type": "integer"}}}, {"x1": "1"}, False),
        ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"y": 1}, False),
        ({"patternProperties": {"^x": {}}, "additionalProperties": False}, {"x": 1}, True),
        ({"additionalProperties": {"type": "string"}}, {"a": 1}, False),
        ({"uniqueItems": True}, [1, True, "1", None, [1]], True),
        ({"uniqueItems": True}, [1, 1.0], False),
        ({"uniqueItems": True}, [{"a": 1, "b": 2}, {"b": 2, "a": 1}], False),
        ({"uniqueItems": False}, [1, 1], True),
        ({"type": "integer"}, True, False),
    ],
)
def test_the_rules_hold(schema: dict[str, Any], value: Any, valid: bool) -> None:
    assert (check(schema, value) == ()) is valid


def deep(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {"z": 1}
    for _ in range(levels):
        value = {"a": value}
    return value


EXPONENTIAL: dict[str, Any] = {
    "properties": {"a": {"anyOf": [{"$ref": "#"}, {"$ref": "#"}]}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "value", "valid"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "b", False),
        ({"pattern": "^(.*,)*x$"}, "a," * 20_000, False),
        ({"uniqueItems": True}, [*range(40_000), "1", None], True),
    ],
)
@pytest.mark.timeout(20)
def test_linear_keywords_end_soon(schema: dict[str, Any], value: Any, valid: bool) -> None:
    started = time.monotonic()
    assert (check(schema, value) == ()) is valid
    assert time.monotonic() - started < 2


@pytest.mark.timeout(20)
def test_an_exponential_schema_runs_out_of_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "MAX_STEPS", 5_000)
    monkeypatch.setattr(schemas, "MAX_SECONDS", 3600.0)
    (found,) = check(EXPONENTIAL, deep(60))
    assert "could not be checked" in found.what
    assert found.value == "Exhausted"


@pytest.mark.timeout(20)
def test_an_exponential_schema_runs_out_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "MAX_SECONDS", 0.05)
    monkeypatch.setattr(schemas, "MAX_STEPS", 10**12)
    (found,) = check(EXPONENTIAL, deep(60))
    assert found.value == "Exhausted"


def test_a_schema_that_refers_to_itself_for_ever_is_not_a_pass() -> None:
    assert check({"$ref": "#"}, 1)


def test_a_hostile_value_is_shown_short() -> None:
    (found,) = check({"type": "string"}, {"x": "\x1b[2J" * 1000})
    assert len(found.value) <= 200
    assert "\x1b" not in found.value


def test_only_so_many_errors_are_told() -> None:
    found = check({"items": {"type": "string"}}, list(range(1000)))
    assert len(found) == schemas.MAX_ERRORS
    assert found[3].where == "/3"


def test_what_is_missing_is_told_at_its_own_place() -> None:
    inner = {"required": ["a/b"], "dependentRequired": {"x": ["y"]}}
    found = check({"required": ["top"], "properties": {"in": inner}}, {"in": {"x": 1}})
    assert {problem.where for problem in found} == {"/top", "/in/a~1b", "/in/y"}
    assert check({"properties": {"in": inner}}, {"in": {"a/b": 1, "x": 1, "y": 2}}) == ()
