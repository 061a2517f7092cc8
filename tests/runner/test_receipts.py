"""Receipts and audit logs, verified by the pinned key alone, and every way to tamper."""

from __future__ import annotations

import base64
import copy
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from runner.audit_source import open_source
from runner.audit_verify import Report, read_lines, verify
from runner.receipts import verify_receipt, verify_reply_receipt
from sealgate.cli import cli
from sealgate.deployment import Addresses, Deployment
from tests.runner.kit import Site
from trust.log import Checkpoint, MerkleLog, NoteSigner, NoteVerifier, leaf_hash
from trust.outcomes import Failed, Passed


@pytest.fixture
def busy(site: Site) -> Site:
    """A site whose log has some calls."""
    with site.runner() as calls:
        calls.call()
        calls.call("missing")
        calls.call("echo", {"a": [1, 2.5, "ü", None]})
        calls.call(arguments={"name": 1})
    return site


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def tampered(receipt: dict[str, Any], change: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    changed = copy.deepcopy(receipt)
    change(changed)
    return changed


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(index=0),
        lambda r: r.update(index=r["index"] + 1),
        lambda r: r.update(index=-1),
        lambda r: r.update(index=True),
        lambda r: r.update(index="1"),
        lambda r: r.update(leaf_hash=b64(b"\0" * 32)),
        lambda r: r.update(leaf_hash="not base64"),
        lambda r: r.update(leaf_hash=b64(b"\0" * 31)),
        lambda r: r.update(inclusion_proof=[]),
        lambda r: r.update(inclusion_proof=None),
        lambda r: r["inclusion_proof"].append(b64(b"\0" * 32)),
        lambda r: r["inclusion_proof"].__setitem__(0, b64(b"\0" * 32)),
        lambda r: r.update(entry=r["entry"].replace('"ok"', '"no"')),
        lambda r: r.update(entry=r["entry"] + " "),
        lambda r: r.update(entry=""),
        lambda r: r.update(entry=None),
        lambda r: r.update(entry="\ud800"),
        lambda r: r.update(checkpoint=""),
        lambda r: r.update(checkpoint=r["checkpoint"].replace("audit\n2", "audit\n3")),
        lambda r: r.update(checkpoint=r["checkpoint"].replace("sealgate", "mealgate")),
        lambda r: r.update(checkpoint=r["checkpoint"][:-6] + "AAA=\n"),
        lambda r: r.pop("checkpoint"),
    ],
)
def test_a_tampered_receipt_is_refused(site: Site, change: Callable[[dict[str, Any]], Any]) -> None:
    with site.runner() as calls:
        receipt = calls.call()["receipt"]
    assert isinstance(verify_receipt(receipt, site.vkey), Passed)
    assert isinstance(verify_receipt(tampered(receipt, change), site.vkey), Failed)


def test_a_receipt_of_another_log_is_refused(site: Site) -> None:
    with site.runner() as calls:
        reply = calls.call()
    origin = NoteVerifier.from_vkey(site.vkey).name
    mallory = NoteSigner.generate(origin)
    assert isinstance(verify_receipt(reply["receipt"], mallory.verifier_key), Failed)
    # A whole log of Mallory's own, with the same record in it.
    log = MerkleLog(None, mallory)
    entry = reply["receipt"]["entry"].encode()
    forged = log.receipt(log.append(entry)).as_dict() | {"entry": entry.decode()}
    assert isinstance(verify_receipt(forged, mallory.verifier_key), Passed)
    assert isinstance(verify_receipt(forged, site.vkey), Failed)
    log.close()


@pytest.mark.parametrize("receipt", [None, {}, [], "x", {"entry": "x"}])
def test_what_is_no_receipt_is_refused(site: Site, receipt: Any) -> None:
    assert isinstance(verify_receipt(receipt, site.vkey), Failed)


@pytest.mark.parametrize("vkey", ["", "a+b+c", "x" * 100])
def test_a_spoilt_key_is_refused(site: Site, vkey: str) -> None:
    with site.runner() as calls:
        receipt = calls.call()["receipt"]
    assert isinstance(verify_receipt(receipt, vkey), Failed)


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(request_id="0"),
        lambda r: r.update(result={"greeting": "Hello, Eve!"}),
        lambda r: r.update(status="refused"),
        lambda r: r["evidence"].update(wheel_sha256="0" * 64),
        lambda r: r.update(evidence=None),
    ],
)
def test_a_receipt_is_about_one_reply(site: Site, change: Callable[[dict[str, Any]], Any]) -> None:
    with site.runner() as calls:
        reply = calls.call()
    assert isinstance(verify_reply_receipt(reply, site.vkey), Passed)
    assert isinstance(verify_reply_receipt(tampered(reply, change), site.vkey), Failed)


# The whole log.


def verified(site: Site, path: Path | None = None, **options: Any) -> Report:
    with open_source(path or site.log) as source:
        return verify(source, site.vkey, **options)


def sql(site: Site, *statements: str) -> None:
    """Change the log as its owner could: triggers do not stop who owns the file."""
    db = sqlite3.connect(site.log)
    for name in ("entry_update", "entry_delete", "node_update", "node_delete"):
        db.execute(f"DROP TRIGGER IF EXISTS {name}")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_a_log_verifies(busy: Site) -> None:
    report = verified(busy)
    assert report.ok
    assert report.complete
    assert report.entries == 6
    assert report.open_calls == []


def test_a_log_verifies_while_a_runner_writes_it(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
        assert verified(site).ok


def test_verifying_changes_nothing(busy: Site) -> None:
    before = {p.name: p.read_bytes() for p in busy.state.iterdir() if p.is_file()}
    verified(busy)
    assert {p.name: p.read_bytes() for p in busy.state.iterdir() if p.is_file()} == before


FORGED = "replace(CAST(body AS TEXT), 'demo', 'eve!')"


@pytest.mark.parametrize(
    ("statements", "code", "where"),
    [
        ([f"UPDATE entry SET body = CAST({FORGED} AS BLOB) WHERE idx = 3"], "altered", "entry 3"),
        (["UPDATE entry SET body = x'00' WHERE idx = 2"], "altered", "entry 2"),
        (["DELETE FROM entry WHERE idx = 5"], "cut", ""),
        (["DELETE FROM entry WHERE idx = 2"], "gap", "entry 3"),
        (["UPDATE node SET hash = zeroblob(32) WHERE level = 0 AND idx = 4"], "altered", "entry 4"),
        (["DELETE FROM head"], "unsigned", ""),
        (["UPDATE head SET note = replace(note, '6', '5')"], None, ""),
        (["DELETE FROM entry", "DELETE FROM node"], "cut", ""),
    ],
)
def test_a_tampered_log_is_refused_and_the_record_named(
    busy: Site, statements: list[str], code: str | None, where: str
) -> None:
    sql(busy, *statements)
    report = verified(busy)
    assert not report.ok
    if code is not None:
        first = report.problems[0]
        assert (first.code, first.where) == (f"audit.{code}", where)


def test_a_record_and_its_leaf_altered_together_break_the_root(busy: Site) -> None:
    log = MerkleLog(busy.log, None)
    forged = log.entry(3).replace(b"demo", b"eve!")
    log.close()
    db = sqlite3.connect(busy.log)
    db.execute("DROP TRIGGER entry_update")
    db.execute("DROP TRIGGER node_update")
    db.execute("UPDATE entry SET body = ? WHERE idx = 3", (forged,))
    db.execute("UPDATE node SET hash = ? WHERE level = 0 AND idx = 3", (leaf_hash(forged),))
    db.commit()
    db.close()
    report = verified(busy)
    assert [p.code for p in report.problems] == ["audit.root"]


def test_a_log_that_was_rewritten_whole_does_not_extend_its_earlier_checkpoint(
    site: Site,
) -> None:
    with site.runner() as calls:
        calls.call()
        since = calls.get("/v1/audit/checkpoint").text
        calls.call("echo", {})
    assert verified(site, since=since).ok
    # Whoever holds the signing key writes another history.
    from runner.setup import load_signer

    log = MerkleLog(site.log, None)
    entries = log.entries(0, 4)
    log.close()
    forged = MerkleLog(site.folder / "forged.sqlite", load_signer(site.state))
    forged.append_many([entries[2], entries[3], entries[0], entries[1]])
    forged.close()
    path = site.folder / "forged.sqlite"
    assert "audit.rewritten" in [p.code for p in verified(site, path, since=since).problems]
    short = MerkleLog(site.folder / "short.sqlite", load_signer(site.state))
    short.append(entries[0])
    short.close()
    found = verified(site, site.folder / "short.sqlite", since=since).problems
    assert [p.code for p in found] == ["audit.rolled-back"]


def test_a_checkpoint_by_another_key_is_refused(busy: Site) -> None:
    origin = NoteVerifier.from_vkey(busy.vkey).name
    with open_source(busy.log) as source:
        other = NoteSigner.generate(origin).verifier_key
        assert not verify(source, other).ok
    forged = Checkpoint(origin, 1, b"\0" * 32).sign(NoteSigner.generate(origin))
    assert not verified(busy, since=forged).ok


def test_an_outcome_without_its_decision_is_found(busy: Site) -> None:
    from runner.setup import load_signer

    with open_source(busy.log) as source:
        entries = [item.entry for item in source.items()]
    log = MerkleLog(busy.folder / "odd.sqlite", load_signer(busy.state))
    log.append_many([entries[1], entries[0]])
    log.close()
    report = verified(busy, busy.folder / "odd.sqlite")
    assert report.problems[0].code == "audit.no-decision"
    assert report.open_calls == []


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (b"not json", "not-json"),
        (b'{"b": 1}', "not-canonical"),
        (b'{"a":1,"a":1}', "not-json"),
        (b'{"a":1}', "schema"),
        (b"[]", "not-canonical"),
    ],
)
def test_an_entry_that_is_no_record_is_found(busy: Site, entry: bytes, code: str) -> None:
    from runner.setup import load_signer

    log = MerkleLog(busy.folder / "odd.sqlite", load_signer(busy.state))
    log.append(entry)
    log.close()
    report = verified(busy, busy.folder / "odd.sqlite")
    assert report.problems[0].code == f"audit.{code}"


def test_a_copy_is_compared(busy: Site) -> None:
    copied = busy.state / "entrypoint.log"
    report = verified(busy, copy=read_lines(copied))
    assert report.ok
    assert report.not_copied == 0
    copied.write_bytes(copied.read_bytes().replace(b"demo", b"eve!", 1))
    report = verified(busy, copy=read_lines(copied))
    assert report.problems[0].code == "audit.copy"
    assert report.problems[0].where == "line 1 of the copy"
    assert report.not_copied == 1


# The command.


@pytest.fixture
def deployment(busy: Site) -> Deployment:
    """A deployment's folder around the site."""
    home = busy.folder
    (home / "var").mkdir()
    busy.state.rename(home / "var" / "runner")
    made = Deployment(home, Addresses())
    made.save()
    return made


def run(deployment: Deployment, *arguments: str | Path, code: int = 0) -> Result:
    words = ["--home", str(deployment.home), "audit", *map(str, arguments)]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == code, result.output
    return result


def test_audit_verify_says_so(deployment: Deployment, tmp_path: Path) -> None:
    saved = tmp_path / "kept.checkpoint"
    output = run(deployment, "verify", "--save", saved).output
    assert output.splitlines()[-1].startswith("verified")
    copied = deployment.state("runner") / "entrypoint.log"
    run(deployment, "verify", "--since", saved, "--copy", copied)


def test_audit_verify_exits_1_on_a_tampered_log(deployment: Deployment) -> None:
    db = sqlite3.connect(deployment.state("runner") / "audit.sqlite")
    db.execute("DROP TRIGGER entry_update")
    db.execute("UPDATE entry SET body = x'7b7d' WHERE idx = 1")
    db.commit()
    db.close()
    result = run(deployment, "verify", code=1)
    assert "entry 1" in result.output
    assert "NOT VERIFIED" in result.output


def test_audit_show_filters(deployment: Deployment) -> None:
    lines = [json.loads(text) for text in run(deployment, "show", "--json").output.splitlines()]
    assert [line["index"] for line in lines] == list(range(6))
    assert len(run(deployment, "show", "--status", "ok").output.splitlines()) == 2
    assert len(run(deployment, "show", "--status", "admitted", "-n", "1").output.splitlines()) == 1
    assert "method.undeclared" in run(deployment, "show", "--status", "refused").output
    request = lines[0]["request_id"]
    assert len(run(deployment, "show", "--request", request).output.splitlines()) == 2
    assert "no records" in run(deployment, "show", "--caller", "nobody").output
    assert "no records" in run(deployment, "show", "--after", "2999-01-01").output
    assert "no records" in run(deployment, "show", "--before", "2000-01-01").output


def test_an_export_verifies_whole_and_in_part(deployment: Deployment, tmp_path: Path) -> None:
    run(deployment, "export", tmp_path / "all")
    assert "the root" in run(deployment, "verify", tmp_path / "all").output
    run(deployment, "export", tmp_path / "some", "--status", "refused")
    assert "1 of 6 records" in run(deployment, "verify", tmp_path / "some").output
    first = json.loads(run(deployment, "show", "--json", "-n", "6").output.splitlines()[0])
    run(deployment, "export", tmp_path / "first", "--request", first["request_id"])
    assert "2 of 6 records" in run(deployment, "verify", tmp_path / "first").output
    run(deployment, "export", tmp_path / "all", code=1)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("demo", "eve!", 1),
        lambda text: text.replace('"index":5', '"index":6'),
        lambda text: text.replace('"index":0', '"index":1'),
        lambda text: "\n".join(text.splitlines()[:-1]) + "\n",
        lambda text: "",
        lambda text: text + "{}\n",
        lambda text: text[:100],
    ],
)
def test_a_tampered_export_is_refused(
    deployment: Deployment, tmp_path: Path, change: Callable[[str], str]
) -> None:
    run(deployment, "export", tmp_path / "all")
    records = tmp_path / "all" / "records.jsonl"
    records.write_text(change(records.read_text()))
    run(deployment, "verify", tmp_path / "all", code=1)


def test_audit_receipt(deployment: Deployment, busy: Site, tmp_path: Path) -> None:
    log = MerkleLog(deployment.state("runner") / "audit.sqlite", None)
    receipt = log.receipt(1).as_dict() | {"entry": log.entry(1).decode()}
    log.close()
    path = tmp_path / "receipt.json"
    path.write_text(json.dumps(receipt))
    assert "verified: entry 1" in run(deployment, "receipt", path).output
    path.write_text(json.dumps(receipt | {"index": 2}))
    assert "NOT VERIFIED" in run(deployment, "receipt", path, code=1).output


@pytest.mark.parametrize("what", ["no database", "folder"])
def test_what_is_no_log_is_refused(deployment: Deployment, tmp_path: Path, what: str) -> None:
    path = tmp_path / "thing"
    if what == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"x" * 5000)
    run(deployment, "verify", path, code=1)
