"""The examples build from source, are accepted, run without any installed package, and work."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from examples.vendor import imported, rewrite
from trust.wheel import Plugin, read_members, read_wheel

ROOT = Path(__file__).parents[2]
NAMES = ("limit-probe", "markdown-render", "table-query")

CALL = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
from harness import wheelfinder
sys.meta_path.append(wheelfinder.WheelLoader(open(sys.argv[2], "rb").read()))
target = importlib.import_module(sys.argv[3])
owner, _, name = sys.argv[4].rpartition(".")
if owner:
    target = getattr(target, owner)()
result = getattr(target, name)(json.loads(sys.stdin.read()))
json.dump(result, sys.stdout, allow_nan=False)
"""


class Example:
    """A built example, and calls of its methods as the sandbox makes them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = path.read_bytes()
        self.plugin: Plugin = read_wheel(self.data, path.name)
        self.files: Mapping[str, bytes] = read_members(self.data)

    def call(self, method: str, arguments: Any) -> Any:
        """Call in a new interpreter that has the standard library and the wheel's bytes only."""
        declared = self.plugin.manifest.methods[method]
        jsonschema.Draft202012Validator(declared.arguments).validate(arguments)
        harness = ROOT / "runner" / "sandbox"
        command = [sys.executable, "-I", "-S", "-B", "-c", CALL, str(harness), str(self.path)]
        done = subprocess.run(
            [*command, declared.module, declared.qualname],
            input=json.dumps(arguments),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip().splitlines()[-1])
        result = json.loads(done.stdout)
        jsonschema.Draft202012Validator(declared.result).validate(result)
        return result


def build(name: str, out: Path) -> Path:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run(
        [*command, str(ROOT / "examples" / name)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Example]:
    return {name: Example(build(name, tmp_path_factory.mktemp(name))) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_example_is_accepted(name: str, examples: dict[str, Example]) -> None:
    plugin = examples[name].plugin
    assert plugin.name == name
    assert plugin.manifest.methods


def test_a_build_is_reproducible(examples: dict[str, Example], tmp_path: Path) -> None:
    again = build("markdown-render", tmp_path)
    assert again.read_bytes() == examples["markdown-render"].data


def test_no_example_has_a_high_finding() -> None:
    command = [sys.executable, "-m", "bandit", "-q", "-r", str(ROOT / "examples"), "-f", "json"]
    command += ["--ignore-nosec", "-x", ""]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    report = json.loads(done.stdout)
    assert not report["errors"]
    assert len(report["metrics"]) > 60, "bandit did not look at the vendored sources"
    high = [r for r in report["results"] if r["issue_severity"] == "HIGH"]
    assert not high, high


def test_markdown_is_rendered_and_made_safe(examples: dict[str, Example]) -> None:
    example = examples["markdown-render"]
    text = (
        "# Hi *there*\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1)) [y](https://e.org)"
    )
    result = example.call("render", {"text": text})
    assert "<h1>Hi <em>there</em></h1>" in result["html"]
    assert "<script>" not in result["html"]
    assert "&lt;script&gt;" in result["html"]
    assert 'href="javascript' not in result["html"]
    assert '<a href="https://e.org">y</a>' in result["html"]
    assert result["blocks"] == 3
    table = {"text": "|a|\n|-|\n|~~1~~|", "extensions": ["tables", "strikethrough"]}
    assert "<td><s>1</s></td>" in example.call("render", table)["html"]
    assert "<table>" not in example.call("render", {"text": table["text"]})["html"]


def test_markdown_outline(examples: dict[str, Example]) -> None:
    result = examples["markdown-render"].call("outline", {"text": "# A `b`\n\ntext\n\n### C\n"})
    assert result["headings"] == [
        {"level": 1, "text": "A b", "line": 1},
        {"level": 3, "text": "C", "line": 5},
    ]


def test_vendored_library_is_what_was_pinned(examples: dict[str, Example]) -> None:
    prefix = "markdown_render/_vendor/"
    files = {
        path.removeprefix(prefix): body
        for path, body in examples["markdown-render"].files.items()
        if path.startswith(prefix)
    }
    origin = json.loads(files["ORIGIN.json"])
    pins = (ROOT / "examples" / "markdown-render" / "vendor.txt").read_text()
    assert sorted(origin["wheels"].values()) == sorted(re.findall(r"sha256:([0-9a-f]{64})", pins))
    assert set(origin["files"]) == set(files) - {"ORIGIN.json", "__init__.py"}
    for path, digests in origin["files"].items():
        assert hashlib.sha256(files[path]).hexdigest() == digests["sha256"], path
    for library in ("markdown_it_py", "mdurl"):
        licenses = [path for path in files if path.startswith(f"licenses/{library}/")]
        assert any(b"Permission is hereby granted" in files[path] for path in licenses)


@pytest.mark.parametrize("name", NAMES)
def test_examples_import_the_standard_library_and_themselves(
    name: str, examples: dict[str, Example]
) -> None:
    example = examples[name]
    allowed = {*sys.stdlib_module_names, example.plugin.package}
    optional = {"linkify_it", "typing_extensions"}  # behind `try` and `TYPE_CHECKING`
    for path, body in example.files.items():
        if path.endswith(".py"):
            tops = {module.split(".")[0] for module in imported(ast.parse(body))}
            assert tops <= allowed | optional, path
            assert b"__file__" not in body, path


def test_rewriting_of_imports() -> None:
    source = b"import a\nfrom a.b import c\nfrom ab import d\nif x:\n    import b  # why\n"
    assert rewrite(source, "m.py", {"a", "b"}, "p._vendor") == (
        b"from p._vendor import a\nfrom p._vendor.a.b import c\nfrom ab import d\n"
        b"if x:\n    from p._vendor import b  # why\n"
    )
    with pytest.raises(ValueError, match=r"m\.py: cannot rewrite the import of a\.b"):
        rewrite(b"import a.b\n", "m.py", {"a"}, "p._vendor")


CSV = "city,kind,price\nOslo,a,3\nOslo,b,5.5\nRome,a,\nRome,c,2\n"


def test_table_is_filtered_and_folded(examples: dict[str, Example]) -> None:
    example = examples["table-query"]
    result = example.call(
        "query",
        {
            "table": {"csv": CSV},
            "where": [{"column": "kind", "operator": "in", "value": ["a", "b"]}],
            "group_by": ["city"],
            "aggregate": [
                {"function": "sum", "column": "price", "as": "total"},
                {"function": "mean", "column": "price"},
                {"function": "count"},
            ],
            "order_by": [{"column": "total", "descending": True}],
        },
    )
    assert result == {
        "columns": ["city", "total", "mean_price", "count_rows"],
        "rows": [["Oslo", 8.5, 4.25, 2], ["Rome", 0, None, 1]],
        "matched": 2,
    }


def test_table_of_objects_is_ordered_cut_and_selected(examples: dict[str, Example]) -> None:
    rows = [{"a": 3, "b": "x"}, {"a": None}, {"a": "text"}, {"a": True}, {"a": 1}]
    result = examples["table-query"].call(
        "query",
        {"table": {"rows": rows}, "order_by": [{"column": "a"}], "select": ["a"], "limit": 4},
    )
    assert result == {"columns": ["a"], "rows": [[None], [True], [1], [3]], "matched": 5}


@pytest.mark.parametrize(
    ("operator", "value", "prices"),
    [("<", 5, [3, 2]), (">=", 3, [3, 5.5]), ("=", None, [None]), ("!=", 3, [5.5, None, 2])],
)
def test_table_conditions(
    operator: str, value: Any, prices: list[Any], examples: dict[str, Example]
) -> None:
    where = [{"column": "price", "operator": operator, "value": value}]
    arguments = {"table": {"csv": CSV}, "where": where, "select": ["price"]}
    assert examples["table-query"].call("query", arguments)["rows"] == [[p] for p in prices]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": {"csv": "a,b\n1\n"}}, "line 2: 1 cells, the header has 2"),
        ({"table": {"csv": ""}}, "no header line"),
        ({"table": {"csv": "a,a\n1,2\n"}}, "a column stands twice"),
        ({"table": {"csv": "a\n1\n"}, "select": ["b"]}, "there is no column 'b'; there are a"),
        (
            {"table": {"csv": "a\nx\n"}, "aggregate": [{"function": "sum", "column": "a"}]},
            "cells that are not numbers",
        ),
    ],
)
def test_table_errors_say_what_is_wrong(
    arguments: Any, message: str, examples: dict[str, Example]
) -> None:
    with pytest.raises(RuntimeError, match=re.escape(message)):
        examples["table-query"].call("query", arguments)


def test_table_profile(examples: dict[str, Example]) -> None:
    result = examples["table-query"].call("profile", {"table": {"csv": CSV}})
    assert result["rows"] == 4
    assert result["columns"][2] == {
        "name": "price",
        "kinds": ["null", "number"],
        "nulls": 1,
        "distinct": 4,
        "least": 2,
        "greatest": 5.5,
    }


def test_probe_reports_what_happened(examples: dict[str, Example], tmp_path: Path) -> None:
    """Outside of a sandbox nothing stops the probe; what it may do, it does, and says so."""
    probe = examples["limit-probe"]
    assert probe.call("write", {"path": str(tmp_path)})["outcome"] == "allowed"
    assert not list(tmp_path.iterdir())
    refused = probe.call("write", {"path": str(tmp_path / "nowhere")})
    assert refused["outcome"] == "refused"
    assert refused["error"].startswith("FileNotFoundError")
    closed = probe.call("network", {"host": "127.0.0.1", "port": 1})
    assert closed["error"].startswith("ConnectionRefusedError")
    assert probe.call("memory", {"mebibytes": 2})["taken"] == 2
    assert probe.call("cpu", {"seconds": 0.1})["outcome"] == "allowed"
    assert probe.call("wall", {"seconds": 0.01})["outcome"] == "allowed"
    assert len(probe.call("output", {"kibibytes": 3})["text"]) == 3072
    assert probe.call("processes", {"count": 3})["taken"] == 3
    assert "bin" in probe.call("environment", {})["root"]
