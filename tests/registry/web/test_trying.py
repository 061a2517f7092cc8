"""From a method's schema to the controls of its form; the addresses that a page may call."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from registry.calling import CallingSettings
from registry.errors import InvalidSettings
from registry.setting_reader import PREFIX
from registry.settings import Settings
from registry.web.trying import MAX_CHOICES, MAX_CONTROLS, Control, controls


def one(schema: dict[str, Any], *, required: bool = False) -> Control:
    needed = ["x"] if required else []
    (found,) = controls({"type": "object", "properties": {"x": schema}, "required": needed})
    return found


@pytest.mark.parametrize(
    ("schema", "kind", "default"),
    [
        ({"type": "string"}, "text", ""),
        ({"type": "string", "maxLength": 20, "default": "a"}, "line", "a"),
        ({"type": "string", "maxLength": 20, "default": "a\nb"}, "text", "a\nb"),
        ({"type": "integer", "default": 3}, "integer", "3"),
        ({"type": "number", "default": 0.5}, "number", "0.5"),
        ({"type": "boolean"}, "choice", ""),
        ({"enum": ["a", 1]}, "choice", ""),
        ({"const": "a"}, "choice", ""),
        ({"enum": list(range(MAX_CHOICES + 1))}, "json", ""),
        ({"type": ["string", "null"]}, "json", ""),
        ({"type": "array", "default": []}, "json", "[]"),
        ({"type": "object"}, "json", ""),
        ({"anyOf": [{"type": "string"}]}, "json", ""),
        ({}, "json", ""),
    ],
)
def test_each_type_has_its_control(schema: dict[str, Any], kind: str, default: str) -> None:
    found = one(schema)
    assert (found.kind, found.default) == (kind, default)


def test_choices_are_exact_values_and_may_be_left_out() -> None:
    schema = {"enum": ["1", 1, None, "\u202e<b>"], "default": 1}
    chosen = [(c.value, c.label, c.chosen) for c in one(schema, required=True).choices]
    assert chosen == [
        ('"1"', "1", False), ("1", "1", True), ("null", "null", False),
        (json.dumps("\u202e<b>"), "\u202e<b>", False),
    ]  # fmt: skip
    assert one(schema).choices[0].value == ""


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "object"},
        {"properties": {"a": {}}, "anyOf": [{}]},
        {"properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        {"properties": {"a": {}}, "patternProperties": {"^x": {}}},
        {"properties": {"a": {}}, "required": ["b"]},
        {"properties": {f"a{n}": {} for n in range(MAX_CONTROLS + 1)}},
        {"properties": []},
        {"properties": {"a": {}}, "required": "a"},
        {"$ref": "#/$defs/a"},
    ],
)
def test_what_a_form_cannot_say_is_written_as_json(schema: dict[str, Any]) -> None:
    (found,) = controls(schema)
    assert (found.member, found.kind) == ("", "json")


def test_names_are_exact_and_a_method_may_take_nothing() -> None:
    name = 'a"\r\n\u2028<'
    (found,) = controls({"properties": {name: {"type": "string"}}})
    assert found.member.isascii()
    assert json.loads(found.member) == name
    assert controls({"type": "object", "additionalProperties": False}) == ()


@pytest.mark.parametrize(
    "url",
    ["https://r.test; script-src *", "https://r.test 'unsafe-inline'", "https://r.test,x",
     "https://r.test/", "https://u@r.test", "https://r.test?x", "javascript:x", "r.test"],
)  # fmt: skip
def test_nothing_but_an_address_gets_into_the_policy(url: str) -> None:
    with pytest.raises(ValueError, match=re.escape(url)):
        CallingSettings(url, "pages")


def test_a_runner_needs_its_client_and_a_sign_in() -> None:
    with pytest.raises(InvalidSettings) as caught:
        Settings.from_mapping({f"{PREFIX}RUNNER_URL": "https://runner.test"})
    said = {each.where.removeprefix(PREFIX) for each in caught.value.problems}
    assert {"CALL_CLIENT_ID", "OIDC_ISSUER"} <= said
    assert CallingSettings("https://runner.test:1/a", "pages").origin == "https://runner.test:1"
