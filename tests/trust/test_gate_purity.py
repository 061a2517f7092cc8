"""The gate has no network, no file system, no processes and no clock of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_toto import verifylib

from tests.support.evidence import TrustFixture
from tests.support.local_sigstore import LocalSigstore
from tests.support.wheels import make_wheel
from trust.gate import CLOCK_SKEW, Admitted, Gate, Refused, core

NAME, WHEEL = make_wheel()
ROOT = Path(__file__).parents[2]

WATCHED = textwrap.dedent(
    """
    import json, sys
    from datetime import datetime
    from pathlib import Path
    from trust.gate import Gate
    from trust.identity import Identity

    home = Path(sys.argv[1])
    case = json.loads((home / "case.json").read_text())
    files = {p.name: p.read_bytes() for p in home.iterdir() if p.is_file()}
    bundles = [files[name] for name in sorted(files) if name.endswith(".sigstore.json")]
    gate = Gate(files["root"], files["layout"], files["owners"])
    arguments = (
        files[case["filename"]], case["filename"], bundles,
        [Identity(*case["author"])], datetime.fromisoformat(case["now"]),
    )
    seen = []
    watching = False
    def hook(event, args):
        kinds = ("open", "socket.", "subprocess.", "os.", "exec", "import", "shutil.")
        if watching and event.startswith(kinds):
            seen.append([event, str(args)[:200]])
    sys.addaudithook(hook)
    if case["warm"]:
        gate.decide(*arguments)
    watching = True
    decision = gate.decide(*arguments)
    watching = False
    print(json.dumps({"decision": type(decision).__name__, "seen": seen}))
    """
)


@pytest.fixture(scope="module")
def t() -> TrustFixture:
    return TrustFixture()


def watched(t: TrustFixture, folder: Path, warm: bool) -> Any:
    """Decide in a fresh process whose working directory is hostile, and list what it touched."""
    folder.mkdir()
    for index, bundle in enumerate(t.full(NAME, WHEEL)):
        (folder / f"{index}.sigstore.json").write_bytes(bundle)
    (folder / NAME).write_bytes(WHEEL)
    (folder / "root").write_bytes(t.sigstore.trusted_root)
    (folder / "layout").write_bytes(t.layout)
    (folder / "owners").write_bytes(t.owners)
    case = {
        "filename": NAME,
        "author": [t.author.issuer, t.author.subject],
        "now": datetime.now(UTC).isoformat(),
        "warm": warm,
    }
    (folder / "case.json").write_text(json.dumps(case))
    hostile = "[settings]\nLINK_CMD_EXEC_TIMEOUT = 0\nARTIFACT_BASE_PATH = /nowhere\n"
    for name in (".in_totorc", ".in-totorc", "in_toto.ini"):
        (folder / name).write_text(hostile)
    for name in ("sigstore.py", "in_toto.py", "json.py", "sitecustomize.py"):
        (folder / name).write_text("raise SystemExit('the working directory was imported')\n")
    environment = {
        "PATH": "/nowhere",
        "HOME": str(folder),
        "IN_TOTO_ARTIFACT_BASE_PATH": "/nowhere",
        "PYTHONSAFEPATH": "1",
        "PYTHONPATH": str(ROOT),
    }
    run = subprocess.run(
        [sys.executable, "-c", WATCHED, str(folder)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_a_decision_touches_nothing_outside_memory(t: TrustFixture, tmp_path: Path) -> None:
    result = watched(t, tmp_path / "warm", warm=True)
    assert result == {"decision": "Admitted", "seen": []}


def test_the_first_decision_opens_at_most_modules_and_no_socket(
    t: TrustFixture, tmp_path: Path
) -> None:
    result = watched(t, tmp_path / "cold", warm=False)
    assert result["decision"] == "Admitted"
    libraries = [str(Path(sys.prefix)), str(Path(sys.base_prefix)), str(ROOT)]
    for event, args in result["seen"]:
        assert event in ("import", "open", "exec", "os.listdir"), (event, args)
        if event == "open":
            assert any(prefix in args for prefix in libraries), args


def test_the_clock_is_the_callers() -> None:
    now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    sigstore = LocalSigstore(lambda: now)
    t = TrustFixture(sigstore, expires=now + timedelta(days=1))
    bundles = t.full(NAME, WHEEL)
    assert isinstance(t.decide(WHEEL, NAME, bundles, now=now), Admitted)
    assert isinstance(t.decide(WHEEL, NAME, bundles, now=now - CLOCK_SKEW), Admitted)
    too_early = t.decide(WHEEL, NAME, bundles, now=now - CLOCK_SKEW - timedelta(seconds=1))
    assert isinstance(too_early, Refused)
    assert (too_early.step, too_early.problem.code) == ("bundle", "bundle.future")
    too_late = t.decide(WHEEL, NAME, bundles, now=now + timedelta(days=1))
    assert isinstance(too_late, Refused)
    assert (too_late.step, too_late.problem.code) == ("layout", "layout.expired")


def test_a_clock_without_a_timezone_is_refused(t: TrustFixture) -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - that is what is tested
    decision = t.decide(WHEEL, NAME, t.full(NAME, WHEEL), now=naive)
    assert isinstance(decision, Refused)
    assert decision.problem.code == "gate.internal"


@pytest.mark.parametrize("place", ["inspect_wheel", "evaluate", "relevant"])
def test_an_unexpected_exception_is_a_refusal(
    t: TrustFixture, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def broken(*_: Any) -> Any:
        raise RecursionError("surprise")

    bundles = t.full(NAME, WHEEL)
    monkeypatch.setattr(core, place, broken)
    decision = t.decide(WHEEL, NAME, bundles)
    assert isinstance(decision, Refused)
    assert decision.problem.code == "gate.internal"
    assert "surprise" in decision.problem.value


def test_threads_share_one_gate(t: TrustFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    # in-toto's rule engine keeps its trace in a module global, so only one may be inside.
    bundles = t.full(NAME, WHEEL)
    kinds: list[str] = []
    inside: list[int] = []
    crowds: list[int] = []
    real = verifylib.verify_disallow_rule

    def watched_rule(*arguments: Any) -> Any:
        inside.append(1)
        crowds.append(len(inside))
        time.sleep(0.001)
        inside.pop()
        return real(*arguments)

    monkeypatch.setattr(verifylib, "verify_disallow_rule", watched_rule)

    def work() -> None:
        kinds.extend(type(t.decide(WHEEL, NAME, bundles)).__name__ for _ in range(3))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kinds == ["Admitted"] * 18
    assert max(crowds) == 1


def test_a_gate_is_not_changed_by_its_decisions(t: TrustFixture) -> None:
    gate = Gate(t.sigstore.trusted_root, t.layout, t.owners)
    bundles = t.full(NAME, WHEEL)
    before = repr(gate.layout), repr(gate.layout.layout if gate.layout else None)
    for publishers in ([t.author], [t.identity("bob@example.com")], []):
        t.decide(WHEEL, NAME, bundles, gate=gate, publishers=publishers)
    assert (repr(gate.layout), repr(gate.layout.layout if gate.layout else None)) == before


def test_nothing_in_trust_imports_the_networked_module() -> None:
    for path in (ROOT / "trust").rglob("*.py"):
        if path.name != "signing.py":
            text = path.read_text(encoding="utf-8")
            assert "trust.signing" not in text, path
            assert "import requests" not in text, path
