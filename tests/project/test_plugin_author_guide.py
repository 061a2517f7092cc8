"""The plugin author's guide says everything that the reader of wheels holds authors to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support.wheels import make_wheel
from trust.wheel import Limits, bounds, read_wheel
from trust.wheel.manifest import manifest_schema
from trust.wheel.model import MAXIMA, MINIMA
from trust.wheel.schemas import KEYWORDS, is_safe_pattern

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "plugin-author.md").read_text(encoding="utf-8")


def _tables(text: str) -> Iterator[list[str]]:
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def _properties(schema: Any) -> Iterator[tuple[str, bool]]:
    for name in schema.get("properties", {}):
        yield name, name in schema.get("required", [])


def test_every_key_of_the_manifest_is_documented() -> None:
    schema = manifest_schema()
    rows = {row[0].strip("`"): row[1:] for row in _tables(GUIDE)}
    for part in (schema, schema["$defs"]["method"]):
        for name, required in _properties(part):
            assert name in rows, f"{name} is not in the guide"
            assert rows[name][0] == ("yes" if required else "no"), name


@pytest.mark.parametrize("name", list(asdict(Limits())))
def test_every_limit_is_documented_with_its_numbers(name: str) -> None:
    (row,) = (row for row in _tables(GUIDE) if row[0] == f"`{name}`")
    numbers = [asdict(limits)[name] for limits in (Limits(), MINIMA, MAXIMA)]
    assert row[2:] == [f"{number:.12g}" for number in numbers]


def test_every_accepted_keyword_is_documented() -> None:
    section = GUIDE.split("## Schemas of arguments and results")[1].split("\n## ")[0]
    named = set(re.findall(r"`([^`]+)`", section))
    assert named >= KEYWORDS, KEYWORDS - named
    assert f"{bounds.MAX_SCHEMA_NODES:,} subschemas" in section
    assert is_safe_pattern("^[a-z][a-z0-9-]{0,62}$")
    assert not is_safe_pattern("^(a|b)+$")


def test_codes_exist() -> None:
    sources = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "trust" / "wheel").glob("*.py")
    )
    section = GUIDE.split("## What a wheel may hold")[1]
    for code in re.findall(r"`((?:wheel|metadata|manifest)\.[a-z…-]+)`", section):
        slug = code.partition(".")[2].rstrip("…")
        assert f'"{slug}' in sources or f'"{code.rstrip("…")}' in sources, code


def test_the_example_is_a_plugin() -> None:
    python, manifest = (
        re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)[0]
        for language in ("python", "json")
    )
    data = json.loads(manifest)
    metadata = (
        f"Metadata-Version: 2.1\nName: hello-plugin\nVersion: 1.0.0\nSummary: {data['summary']}\n"
    )
    filename, wheel = make_wheel("hello-plugin", source=python, manifest=data, metadata=metadata)
    assert list(read_wheel(wheel, filename).manifest.methods) == ["greet"]
    assert f'description = "{data["summary"]}"' in GUIDE
