"""What does not run to its end is incomplete: never passed, and it says which file and why."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from scanner import ScanPolicy, ScanResult, checks, confine, scan
from scanner.analysis import look_at
from scanner.bandit_run import Bandit, BanditUnusable
from scanner.members import MemberDiffers, make_member, unpack
from scanner.policy import installed_bandit
from tests.scanner.hostile import noise, slow_wheel
from tests.scanner.processes import alive
from tests.support.wheels import make_wheel
from trust.errors import Problem
from trust.wheel import read_wheel


def incomplete(result: ScanResult) -> Problem:
    """Assert that the result blocks, and return its first problem."""
    assert result.verdict == "incomplete"
    assert result.result == "FAILED"
    assert result.problems
    assert b'"executionSuccessful": false' in result.report
    first = result.problems[0]
    assert first.value
    assert first.expected
    assert first.advice
    return first


def scan_with(source: str, policy: ScanPolicy | None = None) -> ScanResult:
    name, wheel = make_wheel(files={"example_plugin/bomb.py": source})
    return scan(wheel, name, policy or ScanPolicy())


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("def broken(:\n    pass\n", id="syntax"),
        pytest.param("x = " + "(" * 300 + "1" + ")" * 300, id="parentheses"),
        pytest.param("x = " + "-" * 5000 + "1", id="unary"),
        pytest.param("x = a" + ".b" * 1500, id="attributes"),
        pytest.param("x = " + " + ".join(["a"] * 2000), id="sum"),
        pytest.param("x = " + "lambda: " * 1500 + "1", id="lambdas"),
        pytest.param("if a:\n    pass\n" + "elif b:\n    pass\n" * 1500, id="elifs"),
        pytest.param("print 'python 2'\n", id="python-2"),
        pytest.param("x = 1\0\n", id="null-byte"),
        pytest.param("# coding: no-such-codec\nx = 1\n", id="codec"),
    ],
)
def test_a_source_that_cannot_be_looked_at_whole_is_named(source: str) -> None:
    started = time.monotonic()
    problem = incomplete(scan_with(source))
    assert problem.where == "example_plugin/bomb.py"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    "source", ["print 'python 2'\n", "# coding: utf-7\nx = 1\n", "x = '\xff'\n"]
)
def test_a_script_that_does_not_parse_is_named(source: str) -> None:
    """The strict reader knows sources by their suffix; the scanner by their first line too."""
    path = "example_plugin/tool"
    name, wheel = make_wheel(files={path: f"#!/usr/bin/python\n{source}".encode("latin-1")})
    result = scan(wheel, name)
    problem = incomplete(result)
    assert problem.where == path
    assert problem.code == "scan.unparsable"
    assert [entry.scanned for entry in result.coverage if entry.path == path] == [False]


def test_a_check_that_fails_on_a_file_is_a_problem(
    bandit: Bandit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(source: object) -> None:
        raise RuntimeError("cannot look at this")

    monkeypatch.setattr(checks, "SOURCE_CHECKS", (broken,))
    looked = look_at(make_member("example_plugin/code.py", b"print(1)\n"), bandit)
    (problem,) = looked.problems
    assert problem.code == "scan.check-unfinished"
    assert "cannot look at this" in problem.value


def test_only_the_bytes_that_the_strict_reader_hashed_are_looked_at() -> None:
    name, wheel = make_wheel()
    plugin = read_wheel(wheel, name)
    assert len(unpack(wheel, plugin)) == len(plugin.members)
    other = replace(plugin.members[0], sha256="0" * 64)
    with pytest.raises(MemberDiffers):
        unpack(wheel, replace(plugin, members=(other, *plugin.members[1:])))


def test_an_analysis_that_takes_too_long_is_stopped() -> None:
    name, wheel = slow_wheel(files=9)
    started = time.monotonic()
    problem = incomplete(scan(wheel, name, ScanPolicy(wall_seconds=2.0)))
    assert problem.code == "scan.timeout"
    assert "2 seconds" in problem.value
    assert time.monotonic() - started < 5


def test_an_analysis_that_takes_too_much_processor_time_is_stopped() -> None:
    name, wheel = slow_wheel(files=9)
    problem = incomplete(scan(wheel, name, ScanPolicy(cpu_seconds=1)))
    assert problem.code == "scan.died"
    assert "SIGXCPU" in problem.value


def test_an_analysis_that_takes_too_much_memory_is_incomplete() -> None:
    policy = ScanPolicy(memory_bytes=160 << 20)
    table = "x = [" + "0, " * 130_000 + "]\n" + noise(2000)
    assert scan_with(table).verdict == "passed"
    problem = incomplete(scan_with(table, policy))
    assert problem.where in ("example_plugin/bomb.py", "")
    assert scan_with("x = [0, 1]\n", policy).verdict == "passed"


def test_a_reply_that_is_too_large_is_not_read() -> None:
    name, wheel = make_wheel()
    problem = incomplete(scan(wheel, name, ScanPolicy(output_bytes=500)))
    assert problem.code == "scan.output-too-large"


def test_more_findings_than_anybody_can_review_are_incomplete() -> None:
    result = scan_with("assert True\n" * 30, ScanPolicy(max_findings=20))
    problem = incomplete(result)
    assert problem.code == "scan.too-many-findings"
    assert problem.where == "example_plugin/bomb.py"
    assert len(result.findings) == 20


def test_without_bandit_nothing_is_scanned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bandit").mkdir()
    (tmp_path / "bandit" / "__init__.py").write_text("raise ImportError('bandit is gone')\n")
    monkeypatch.setattr(confine, "package_path", lambda: [str(tmp_path), *PATH])
    name, wheel = make_wheel()
    problem = incomplete(scan(wheel, name))
    assert problem.code == "scan.bandit-unusable"
    assert "bandit is gone" in problem.value


PATH = confine.package_path()


def test_another_bandit_than_the_policys_is_not_used() -> None:
    name, wheel = make_wheel()
    problem = incomplete(scan(wheel, name, ScanPolicy(bandit="1.0.0")))
    assert problem.code == "scan.bandit-unusable"
    assert problem.value == installed_bandit()


@pytest.mark.parametrize(
    "policy", [ScanPolicy(rule_set=10_000), ScanPolicy(python="2.7")], ids=["rules", "grammar"]
)
def test_another_scanner_than_the_policys_does_not_scan(policy: ScanPolicy) -> None:
    name, wheel = make_wheel()
    assert incomplete(scan(wheel, name, policy)).code == "scan.other-scanner"


def test_a_bandit_that_lost_a_test_is_not_used(
    bandit: Bandit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stevedore only logs a plugin that does not load."""
    from bandit.core import extension_loader

    monkeypatch.setattr(extension_loader.MANAGER.plugins_mgr, "extensions", [])
    with pytest.raises(BanditUnusable, match="cannot be used") as caught:
        Bandit(installed_bandit())
    assert "did not load" in caught.value.problem.value


def test_a_bandit_test_that_fails_on_a_file_is_a_problem(
    bandit: Bandit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bandit only logs it, and reports the file as scanned."""

    def broken(context: object) -> None:
        raise ValueError("cannot look at this")

    monkeypatch.setitem(bandit._manager.b_ts.tests, "Call", [broken])
    looked = look_at(make_member("example_plugin/code.py", b"print(1)\n"), bandit)
    (problem,) = looked.problems
    assert problem.code == "scan.bandit-unfinished"
    assert "broken" in problem.value


def test_a_process_that_cannot_be_started_is_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", str(tmp_path / "no-python"))
    name, wheel = make_wheel()
    assert incomplete(scan(wheel, name)).code == "scan.not-started"


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("import os; os.write(1, b'R' + bytes(4))", "json.invalid"),
        ("pass", "scan.no-reply"),
        ("print('R')", "scan.no-reply"),
        (
            "import os; r = b'R' + (2).to_bytes(4, 'big') + b'{}'; os.write(1, r + r)",
            "scan.no-reply",
        ),
        (
            "import os; r = b'R' + (2).to_bytes(4, 'big') + b'{}'; os.write(1, r + b'x')",
            "scan.no-reply",
        ),
        ("import os; os.write(1, b'R' + (2).to_bytes(4, 'big') + b'{}')", "scan.unexpected"),
        ("import os; os.kill(os.getpid(), 11)", "scan.died"),
        ("import sys; sys.exit(3)", "scan.died"),
        ("import os\nwhile True: os.write(1, bytes(65536))", "scan.output-too-large"),
        ("import os\nwhile True: os.write(2, bytes(65536))", "scan.output-too-large"),
        ("import time; time.sleep(60)", "scan.timeout"),
        ("import os, time; os.close(0); os.close(1); os.close(2); time.sleep(9)", "scan.died"),
    ],
)
def test_whatever_the_process_does_it_is_no_pass(
    program: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confine, "BOOT", program)
    monkeypatch.setattr(confine, "_GRACE_SECONDS", 0.2)
    name, wheel = slow_wheel(files=2)
    assert incomplete(scan(wheel, name, ScanPolicy(wall_seconds=2.0))).code == code


def test_descendants_of_the_process_are_killed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = tmp_path / "alive"
    program = (
        "import os, time\n"
        "if os.fork() == 0:\n"
        f"    open({str(note)!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "time.sleep(60)\n"
    )
    monkeypatch.setattr(confine, "BOOT", program)
    name, wheel = make_wheel()
    assert incomplete(scan(wheel, name, ScanPolicy(wall_seconds=1.0))).code == "scan.timeout"
    descendant = int(note.read_text())
    deadline = time.monotonic() + 5
    while alive(descendant):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_where_no_network_namespace_is_granted_nothing_is_scanned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The host's refusal is made by a jail that finds unshare(2) failing."""
    refusing = (
        "import json, sys\n"
        "sys.path.extend(json.loads(sys.argv[1]))\n"
        "from scanner import jail\n"
        "jail._unshare = lambda libc: False\n"
        "from scanner.child import main\n"
        "sys.exit(main(json.loads(sys.argv[2])))\n"
    )
    monkeypatch.setattr(confine, "BOOT", refusing)
    name, wheel = make_wheel()
    assert incomplete(scan(wheel, name)).code == "scan.confinement-refused"
    without = scan(wheel, name, ScanPolicy(require_network_isolation=False))
    assert without.verdict == "passed"
    assert without.policy_sha256 != ScanPolicy().sha256


def test_a_wheel_that_the_strict_reader_refuses_is_not_scanned() -> None:
    result = scan(b"PK\x05\x06 no wheel", "example_plugin-1.0.0-py3-none-any.whl")
    assert incomplete(result).code.startswith("wheel.")
    assert result.coverage == ()
