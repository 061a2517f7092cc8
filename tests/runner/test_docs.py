"""docs/runner.md names what the code has: routes, statuses, exit codes, policy members."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.answers import CODES
from runner.openapi import document
from runner.policy_file import SCHEMA_PATH
from sealgate.commands.run import EXIT_CODES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "runner.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", sorted(document()["paths"]))
def test_every_route_is_described(path: str) -> None:
    assert path in TEXT


@pytest.mark.parametrize(("status", "code"), sorted(CODES.items()))
def test_every_status_is_described_with_its_code(status: str, code: int) -> None:
    assert f"| `{status}` | {code}" in TEXT
    assert f"{EXIT_CODES[status]} {status.replace('_', ' ')}" in TEXT


def test_every_member_of_the_policy_is_described() -> None:
    schema = json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))
    members = {name for name in schema["properties"] if not name.startswith("$")}
    table = TEXT.split("## The policy")[1].split("\n## ")[0]
    described = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert described == members
