"""The short way for arrays of plain types finds what the library finds, within the same bounds."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from runner import schemas
from runner.schemas import CompiledSchema

VALUES: list[Any] = [1, 1.0, 1.5, True, None, "a", [], {}, 2**70]
TYPES: list[Any] = [
    *("integer", "number", "boolean", "null", "string", "array", "object"),
    ["integer", "null"],
]
PREFIXES: list[dict[str, Any]] = [{}, {"prefixItems": [True]}, {"prefixItems": [{"type": "null"}]}]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_it_finds_what_the_library_finds(kind: Any) -> None:
    for prefix, value in itertools.product(
        PREFIXES, [*VALUES, *map(list, itertools.combinations(VALUES, 2))]
    ):
        schema = {"items": {"type": kind}, **prefix}
        found = CompiledSchema(schema).check(value, code="x", subject="the value")
        expected = list(Draft202012Validator(schema).iter_errors(value))
        assert [problem.value for problem in found] == [error.message for error in expected]
        assert [problem.where for problem in found] == [
            schemas.pointer(error.absolute_path) or "/" for error in expected
        ]


def test_every_item_is_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schemas, "MAX_STEPS", 100)
    schema = CompiledSchema({"items": {"type": "integer"}})
    assert schema.check([1] * 90, code="x", subject="the value") == ()
    assert schema.check([1] * 110, code="x", subject="the value")
