"""SECURITY.md names, for each mechanism, tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def references() -> list[tuple[str, str]]:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("<!-- mechanisms -->")[2].partition("## Deployment practices")[0]
    return REFERENCE.findall(table)


def test_every_mechanism_names_a_test() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    table = text.partition("<!-- mechanisms -->")[2].partition("## Deployment practices")[0]
    heads = ("| what is promised", "|---")
    rows = [
        line for line in table.splitlines() if line.startswith("|") and not line.startswith(heads)
    ]
    assert len(rows) >= 20
    for row in rows:
        assert REFERENCE.search(row), f"no test named in: {row}"


def test_the_named_tests_exist() -> None:
    for path, name in references():
        file = ROOT / path
        assert file.is_file(), f"SECURITY.md names {path}"
        if name:
            tree = ast.parse(file.read_text(encoding="utf-8"))
            defined = {
                node.name
                for node in ast.walk(tree)
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            }
            assert name in defined, f"{path} has no {name}"
