"""Bandit, without the ways that it leaves an author to hide from it."""

from __future__ import annotations

import pytest

from scanner import scan
from scanner.bandit_run import Bandit
from scanner.policy import installed_bandit
from tests.support.wheels import make_wheel

BAD = "import subprocess\nsubprocess.call(input(), shell=True)"


def found(files: dict[str, bytes | str]) -> set[tuple[str, str, int]]:
    """Scan a wheel with more files; return (path, rule, line) of what bandit found."""
    name, wheel = make_wheel(files=files)
    result = scan(wheel, name)
    assert result.problems == ()
    return {(f.path, f.rule, f.line) for f in result.findings if f.rule.startswith("B")}


@pytest.mark.parametrize("comment", ["# nosec", "# nosec B602", "#nosec: B602,B607", "# noqa"])
def test_nosec_is_ignored(comment: str) -> None:
    path = "example_plugin/code.py"
    assert (path, "B602", 2) in found({path: f"{BAD}  {comment}\n"})


def test_the_authors_configuration_is_not_obeyed() -> None:
    configuration: dict[str, bytes | str] = {
        ".bandit": "[bandit]\nskips: B602,B404\nexclude: example_plugin\n",
        "example_plugin/.bandit": "[bandit]\nskips: B602,B404\n",
        "example_plugin/pyproject.toml": "[tool.bandit]\nskips = ['B602']\nexclude_dirs = ['.']\n",
        "example_plugin/bandit.yaml": "skips: [B602]\n",
    }
    path = "example_plugin/code.py"
    name, wheel = make_wheel(files={path: BAD + "\n", **configuration})
    rules = {f.rule for f in scan(wheel, name).findings if f.path == path}
    if not rules:  # the strict reader refuses a file outside of the package
        del configuration[".bandit"]
        rules = {rule for _, rule, _ in found({path: BAD + "\n", **configuration})}
    assert {"B602", "B404"} <= rules


@pytest.mark.parametrize(
    "path",
    [
        "example_plugin/.tox/code.py",
        "example_plugin/.eggs/code.py",
        "example_plugin/.git/code.py",
        "example_plugin/__pycache__/code.py",
        "example_plugin/node_modules/code.py",
        "example_plugin/.venv/code.py",
        "example_plugin/tests/test_code.py",
        "example_plugin/code.pyw",
        "example_plugin/CODE.PY",
    ],
)
def test_no_place_is_left_out(path: str) -> None:
    name, wheel = make_wheel(files={path: BAD + "\n"})
    result = scan(wheel, name)
    refused = [p for p in result.problems if p.where.startswith(path.rpartition("/")[0])]
    assert refused or (path, "B602", 2) in {(f.path, f.rule, f.line) for f in result.findings}
    assert result.verdict != "passed"


@pytest.mark.parametrize("first", ["#!/usr/bin/env python3", "#!/usr/bin/python -I"])
def test_a_script_without_an_extension_is_scanned(first: str) -> None:
    path = "example_plugin/tool"
    assert (path, "B602", 3) in found({path: f"{first}\n{BAD}\n"})


def test_every_member_is_accounted_for() -> None:
    files: dict[str, bytes | str] = {
        "example_plugin/code.py": "x = 1\n",
        "example_plugin/data.bin": b"\0\1\2",
        "example_plugin/notes.md": "notes\n",
    }
    name, wheel = make_wheel(files=files)
    result = scan(wheel, name)
    coverage = {entry.path: entry for entry in result.coverage}
    assert {"example_plugin/__init__.py", *files} <= set(coverage)
    assert any(path.endswith("RECORD") for path in coverage)
    assert [path for path, entry in coverage.items() if entry.scanned] == [
        "example_plugin/__init__.py",
        "example_plugin/code.py",
    ]
    binary = coverage["example_plugin/data.bin"]
    assert (binary.kind, binary.size, binary.scanned) == ("application/octet-stream", 3, False)
    assert "only its type" in binary.note


def test_the_confidence_of_bandit_is_kept(bandit: Bandit) -> None:
    issues, unfinished = bandit.run("example_plugin/code.py", f"{BAD}\npassword = 'x'\n".encode())
    assert unfinished == ""
    assert {issue.rule: issue.confidence for issue in issues}["B602"] == "high"
    assert {issue.rule: issue.confidence for issue in issues}["B105"] == "medium"
    again, _ = bandit.run("example_plugin/code.py", BAD.encode())
    for found in (issues, again):
        assert {issue.rule: issue.name for issue in found}["B404"] == "import_subprocess"
    assert {issue.severity for issue in issues} == {"high", "low"}


def test_bandits_own_plugins_are_all_there_and_no_others(bandit: Bandit) -> None:
    from bandit.core import extension_loader

    plugins = [e.entry_point.value for e in extension_loader.MANAGER.plugins_mgr]
    assert len(plugins) > 40
    assert all(value.startswith("bandit.plugins.") for value in plugins)
    assert installed_bandit() != "missing"
