"""JSON Schemas as rows for people, bounded whatever an author writes."""

from __future__ import annotations

from typing import Any

import pytest

from registry.web import schema
from registry.web.schema import Row


def rows(document: Any) -> dict[str, Row]:
    return {row.path: row for row in schema.table(document).rows}


def test_members_items_and_rules_become_rows() -> None:
    found = rows(
        {
            "type": "object",
            "properties": {
                "text": {"type": "string", "maxLength": 5, "description": "What."},
                "rows": {"type": "array", "items": {"type": ["integer", "null"], "minimum": 0}},
                "mode": {"enum": ["a", "b"], "default": "a"},
            },
            "required": ["text"],
            "additionalProperties": False,
        }
    )
    assert found[""].rules == ("no other members",)
    assert found["text"] == Row("text", "string", True, ("at most 5 characters",), "What.")
    assert found["rows"].type == "array"
    assert found["rows[]"] == Row("rows[]", "integer or null", False, ("≥ 0",), "")
    assert found["mode"].rules == ('one of "a", "b"', "default a")


def test_a_keyword_that_is_not_rendered_is_named() -> None:
    assert rows({"type": "object", "if": {}})[""].rules == ("if: see the schema",)


def test_a_required_member_without_a_schema_is_shown() -> None:
    assert rows({"required": ["a"], "properties": {"b": {}}})["a"].required


@pytest.mark.parametrize("document", [True, False, {}, {"properties": []}, {"required": "ab"}, []])
def test_odd_schemas_are_shown_too(document: Any) -> None:
    assert schema.table(document).rows


def test_a_deep_schema_stops_and_says_so() -> None:
    document: dict[str, Any] = {"type": "string"}
    for _ in range(50):
        document = {"type": "object", "properties": {"a": document}}
    table = schema.table(document)
    assert len(table.rows) == schema.MAX_DEPTH
    assert table.rows[-1].rules == ("more inside: see the schema",)


def test_a_wide_schema_is_cut_and_says_so() -> None:
    document = {"properties": {f"p{i}": {"type": "string"} for i in range(2000)}}
    table = schema.table(document)
    assert table.cut
    assert table.raw_cut
    assert len(table.rows) <= schema.MAX_ROWS
    assert len(table.raw) == schema.MAX_RAW
