"""The quick look says yes to nothing that the validator refuses, and to what most callers send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.calls import REQUEST_SCHEMA
from runner.plain import certain
from runner.schemas import CompiledSchema

NAMES = st.sampled_from(["a", "b", "c"])
BOUNDS = st.one_of(st.none(), st.integers(-2, 3), st.sampled_from([0.5, 2.0]))
SIZES = st.one_of(st.none(), st.integers(0, 3))


def _with(kind: str, low: str, high: str, bounds: st.SearchStrategy[Any]) -> Any:
    def make(least: Any, most: Any) -> dict[str, Any]:
        given = {low: least, high: most}
        return {"type": kind} | {name: bound for name, bound in given.items() if bound is not None}

    return st.builds(make, bounds, bounds)


LEAVES = st.one_of(
    st.booleans(),
    st.sampled_from(["null", "boolean", "integer", "string", "object", "array"]).map(
        lambda kind: {"type": kind, "title": "a title"}
    ),
    _with("integer", "minimum", "maximum", BOUNDS),
    _with("number", "minimum", "maximum", BOUNDS),
    _with("string", "minLength", "maxLength", SIZES),
    st.just({"type": "integer", "multipleOf": 2}),
    st.just({"enum": ["a", 1]}),
    st.just({"type": ["integer", "null"]}),
)


def _objects(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"type": st.just("object")},
        optional={
            "properties": st.dictionaries(NAMES, parts, max_size=3),
            "required": st.lists(NAMES, unique=True, max_size=2),
            "additionalProperties": parts,
        },
    )


def _arrays(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(
        {"type": st.just("array")},
        optional={"items": parts, "minItems": st.integers(0, 2), "maxItems": st.integers(0, 3)},
    )


SCHEMAS = st.recursive(LEAVES, lambda parts: _objects(parts) | _arrays(parts), max_leaves=6)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 4),
        st.sampled_from([1.0, 0.5, 2.5, 2**70, "", "a", "ab", "abcd", "\U0001f600"]),
    ),
    lambda parts: st.lists(parts, max_size=4) | st.dictionaries(NAMES, parts, max_size=3),
    max_leaves=6,
)


@given(SCHEMAS, VALUES)
@example({"type": "integer"}, True)
@example({"type": "array", "items": {"type": "integer"}}, [1, True])
@example({"type": "object", "additionalProperties": False}, {"a": 1})
@example({"type": "object", "required": ["a"]}, {})
@example({"type": "string", "maxLength": 1}, "ab")
@example({"type": "integer", "minimum": 0}, -1)
@example({"type": "array", "maxItems": 1}, [1, 2])
def test_what_it_is_certain_of_is_valid(schema: Any, value: Any) -> None:
    look = certain(schema)
    if look is not None and look(value):
        assert Draft202012Validator(schema).is_valid(value)
    assert (CompiledSchema(schema).check(value, code="x", subject="it") == ()) == (
        Draft202012Validator(schema).is_valid(value)
    )


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (REQUEST_SCHEMA, {"plugin": "a", "version": "1", "method": "run", "arguments": {"b": []}}),
        (REQUEST_SCHEMA, {"plugin": "a", "method": "run", "arguments": {}, "timeout_seconds": 0.5}),
        ({"type": "array", "items": {"type": "object"}}, [{}, {"a": 1}]),
        ({"type": "object", "properties": {"a": {"type": "number", "minimum": 0}}}, {"a": 0.5}),
        ({"type": "string", "minLength": 1, "description": "some text"}, "\U0001f600"),
    ],
)
def test_it_is_certain_of_plain_calls(schema: Any, value: Any) -> None:
    look = certain(schema)
    assert look is not None
    assert look(value)


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {},
        {"type": ["integer", "null"]},
        {"type": "string", "pattern": "a"},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}},
        {"type": "array", "prefixItems": [True]},
        {"type": "integer", "maxLength": 1},
    ],
    ids=str,
)
def test_what_it_does_not_know_is_left_to_the_validator(schema: Any) -> None:
    assert certain(schema) is None


def test_a_schema_too_deep_to_look_into_is_left_to_the_validator() -> None:
    schema: dict[str, Any] = {"type": "integer"}
    for _ in range(5000):
        schema = {"type": "array", "items": schema}
    assert certain(schema) is None
