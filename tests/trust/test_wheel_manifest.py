"""plugin.json: the published schema, the schemas it brings, and the code that it names."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from tests.support.manifests import (
    GOOD,
    SOURCE,
    assert_manifest_refused,
    manifest,
    method,
    wheel_of,
)
from tests.support.refusals import FILENAME, assert_refused
from tests.support.wheels import SUMMARY, make_manifest, make_wheel
from trust.outcomes import Failed, Passed
from trust.wheel import Limits, inspect_wheel, read_wheel
from trust.wheel.manifest import manifest_schema
from trust.wheel.model import MAXIMA, MINIMA

CALLABLES: dict[str, tuple[str, str]] = {
    "os:system": ("manifest.callable-outside", "os:system"),
    "example_plugin_evil:function": ("manifest.callable-outside", "example_plugin_evil"),
    "example_plugin:missing": ("manifest.callable-missing", "missing"),
    "example_plugin:VALUE": ("manifest.callable-missing", "VALUE"),
    "example_plugin:ALIAS": ("manifest.callable-missing", "ALIAS"),
    "example_plugin:join": ("manifest.callable-missing", "join"),
    "example_plugin:os.system": ("manifest.callable-missing", "os.system"),
    "example_plugin:conditional": ("manifest.callable-missing", "conditional"),
    "example_plugin:Things": ("manifest.callable-missing", "Things"),
    "example_plugin:Things.missing": ("manifest.callable-missing", "Things.missing"),
    "example_plugin:Things.mro": ("manifest.callable-missing", "Things.mro"),
    "example_plugin:_private": ("manifest.callable-private", "_private"),
    "example_plugin:Things.__init__": ("manifest.callable-private", "Things.__init__"),
    "example_plugin._hidden:function": ("manifest.callable-private", "_hidden"),
    "example_plugin.absent:function": ("manifest.callable-module", "absent"),
    "example_plugin:later": ("manifest.callable-async", "later"),
    "example_plugin:two": ("manifest.callable-signature", "two"),
    "example_plugin:none": ("manifest.callable-signature", "none"),
    "example_plugin:keyword_only": ("manifest.callable-signature", "keyword_only"),
    "example_plugin:Things.too_few": ("manifest.callable-signature", "Things.too_few"),
    "example_plugin": ("manifest.invalid", "example_plugin"),
    "example_plugin:a.b.c": ("manifest.invalid", "example_plugin:a.b.c"),
    "example_plugin:function()": ("manifest.invalid", "function()"),
    "..example_plugin:function": ("manifest.invalid", "..example_plugin"),
    "example_plugin:\u0440un": ("manifest.invalid", "\u0440un"),
}


@pytest.mark.parametrize("target", CALLABLES)
def test_callable_is_refused(target: str) -> None:
    code, value = CALLABLES[target]
    assert_manifest_refused(
        manifest(methods={"run": method(target)}), code, value, "#/methods/run/callable"
    )


@pytest.mark.parametrize(
    "target",
    [
        "example_plugin:function",
        "example_plugin:two_with_default",
        "example_plugin:star",
        "example_plugin:Things.method",
        "example_plugin:Things.static",
        "example_plugin:Things.klass",
        "example_plugin.other:run",
    ],
)
def test_callable_is_accepted(target: str) -> None:
    outcome = inspect_wheel(
        wheel_of(manifest(methods={"run": method(target)}), other="def run(arguments): return 1"),
        FILENAME,
    )
    assert isinstance(outcome, Passed), outcome


def test_module_that_exists_twice() -> None:
    files = {"example_plugin/other.py": "", "example_plugin/other/__init__.py": ""}
    methods = {"run": method("example_plugin.other:run")}
    _, data = make_wheel(source=SOURCE, manifest=manifest(methods=methods), files=files)
    outcome = inspect_wheel(data, FILENAME)
    assert isinstance(outcome, Failed)
    (found,) = outcome.problems
    assert found.code == "manifest.callable-module"
    assert "exists twice" in found.what


DOCUMENTS: dict[str, tuple[Any, str, str, str]] = {
    "unknown key": (manifest(evil=1), "manifest.unknown-key", "evil", "#"),
    "unknown limit": (manifest(limits={"disk": 1}), "manifest.unknown-key", "disk", "#/limits"),
    "unknown method key": (
        manifest(methods={"run": GOOD | {"shell": True}}),
        "manifest.unknown-key",
        "shell",
        "#/methods/run",
    ),
    "missing key": (
        {k: v for k, v in manifest().items() if k != "methods"},
        "manifest.missing-key",
        "methods",
        "#",
    ),
    "no methods": (manifest(methods={}), "manifest.invalid", "{}", "#/methods"),
    "method name": (
        manifest(methods={"__class__": GOOD}),
        "manifest.invalid",
        "__class__",
        "#/methods",
    ),
    "newer version": (manifest(schema_version=2), "manifest.invalid", "2", "#/schema_version"),
    "true for one": (manifest(schema_version=True), "manifest.invalid", "True", "#/schema_version"),
    "name form": (manifest(name="Example_Plugin"), "manifest.invalid", "Example_Plugin", "#/name"),
    "name": (manifest(name="other"), "manifest.name-mismatch", "other", "#/name"),
    "summary": (manifest(summary="Else."), "manifest.summary-mismatch", "Else.", "#/summary"),
    "two-line summary": (manifest(summary="a\nb"), "manifest.invalid", "a\\nb", "#/summary"),
    "summary with a newline at its end": (
        manifest(summary="a\n"),
        "manifest.invisible",
        "a\\n",
        "#/summary",
    ),
    "summary that turns the writing around": (
        manifest(summary="a\u202eb"),
        "manifest.invisible",
        "\\u202e",
        "#/summary",
    ),
    "method with a newline at its end": (
        manifest(methods={"run\n": GOOD}),
        "manifest.invisible",
        "run\\n",
        "#/methods/run",
    ),
    "permission": (
        manifest(permissions=["network"]),
        "manifest.permissions",
        "network",
        "#/permissions",
    ),
    "arguments not an object": (
        manifest(methods={"run": GOOD | {"arguments": {"type": "array"}}}),
        "manifest.invalid",
        "array",
        "#/methods/run/arguments/type",
    ),
    "arguments of any type": (
        manifest(methods={"run": GOOD | {"arguments": {}}}),
        "manifest.missing-key",
        "type",
        "#/methods/run/arguments",
    ),
    "not an object": ([], "manifest.invalid", "[]", "#"),
    "duplicate key": (
        b'{"schema_version": 1, "name": "a", "name": "b"}',
        "manifest.json",
        "name",
        "",
    ),
    "nan": (b'{"schema_version": NaN}', "manifest.json", "NaN", ""),
    "infinity": (b'{"schema_version": 1e999}', "manifest.json", "1e999", ""),
    "not json": (b"{", "manifest.json", "line 1", ""),
    "not utf-8": (b'{"name": "\xff"}', "manifest.json", "xff", ""),
    "byte order mark": (b"\xef\xbb\xbf{}", "manifest.json", "line 1", ""),
    "too deep": (b"[" * 40 + b"]" * 40, "manifest.json", "33", ""),
    "too large": (b" " * (1 << 18) + b"{}", "manifest.json", "bytes", ""),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_document_is_refused(case: str) -> None:
    document, code, value, where = DOCUMENTS[case]
    assert_manifest_refused(document, code, value, where)


@pytest.mark.parametrize("name", list(asdict(MAXIMA)))
def test_limits_beyond_their_bounds_are_refused(name: str) -> None:
    most, least = asdict(MAXIMA)[name], asdict(MINIMA)[name]
    for value, bound in ((most + 1, most), (least / 2 if name == "wall_seconds" else 0, least)):
        found = assert_manifest_refused(
            manifest(limits={name: value}),
            "manifest.limit-out-of-range",
            str(value),
            f"#/limits/{name}",
        )
        assert str(bound).removesuffix(".0") in found.expected


def test_limits_that_are_declared_hold_and_the_rest_is_default() -> None:
    filename, data = make_wheel(
        manifest=make_manifest(limits={"wall_seconds": 2, "cpu_seconds": 3.0})
    )
    limits = read_wheel(data, filename).manifest.limits
    assert limits == Limits(wall_seconds=2.0, cpu_seconds=3)
    assert type(limits.wall_seconds) is float
    assert type(limits.cpu_seconds) is int


def test_both_summaries_and_names_are_told() -> None:
    found = assert_manifest_refused(manifest(name="other"), "manifest.name-mismatch", "other")
    assert "example-plugin" in found.expected


def test_metadata_without_a_summary() -> None:
    metadata = "Metadata-Version: 2.1\nName: example-plugin\nVersion: 1.0.0\n"
    _, data = make_wheel(metadata=metadata)
    assert_refused(data, "manifest.summary-mismatch", SUMMARY)


def test_published_schema_and_model_agree() -> None:
    schema = manifest_schema()
    properties = schema["properties"]["limits"]["properties"]
    assert {k: v["default"] for k, v in properties.items()} == asdict(Limits())
    assert {k: v["maximum"] for k, v in properties.items()} == asdict(MAXIMA)
    assert {k: v["minimum"] for k, v in properties.items()} == asdict(MINIMA)


def test_published_schema_describes_everything() -> None:
    def check(node: Any) -> None:
        if not isinstance(node, dict):
            return
        for name, member in {**node.get("properties", {}), **node.get("$defs", {})}.items():
            if name == "type":
                continue
            assert member.get("title"), name
            assert member.get("description", "").endswith("."), name
            check(member)
        if "properties" in node and node.get("title") not in ("Arguments", "Result"):
            assert node["additionalProperties"] is False

    schema = json.loads(json.dumps(dict(manifest_schema())))
    assert schema["$id"].startswith("https://")
    check(schema)
