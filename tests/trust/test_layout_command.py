"""`sealgate layout`: the owners' ceremony, offline."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sealgate.cli import cli
from trust.errors import SealgateError
from trust.layout import Owners, load_layout

MAKE = [
    "make",
    "--issuer",
    "https://issuer.test",
    "--reviewer",
    "bob@example.com",
    "--reviewer",
    "carol@example.com",
    "--threshold",
    "2",
    "--scanner",
    "https://s.test/scanner",
    "--registry",
    "https://s.test/registry",
    "--readme",
    "rules",
    "--out",
    "layout.json",
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(cli, ["layout", *arguments], input=stdin)


def done(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def refused(code: str, *arguments: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert isinstance(result.exception, SealgateError)
    assert result.exception.problem.code == code


def ceremony(threshold: int = 2) -> None:
    for name in ("a", "b", "c"):
        done("keygen", "--out", f"{name}.pem")
    publics = [f"{name}.pub.pem" for name in ("a", "b", "c")]
    done("owners", *publics, "--threshold", str(threshold), "--out", "owners.json")
    done(*MAKE)


def test_a_whole_ceremony_gives_a_layout_that_verifies() -> None:
    ceremony()
    for name in ("a", "c"):
        words = done("sign", "layout.json", "--key", f"{name}.pem", "--yes")
        assert "review: 2 of 2" in words
        assert "bob@example.com (https://issuer.test)" in words
    owners = Owners.parse(Path("owners.json").read_bytes())
    layout = load_layout(Path("layout.json").read_bytes(), owners, datetime.now(UTC))
    assert len(layout.signed_by) == 2
    shown = done("show", "layout.json", "--owners", "owners.json")
    assert layout.sha256 in shown
    assert "signed by 2 owners, 2 needed" in shown
    assert all(keyid in shown for keyid in layout.signed_by)


def test_show_refuses_what_is_not_signed_by_enough_but_says_what_it_says() -> None:
    ceremony()
    done("sign", "layout.json", "--key", "a.pem", "--yes")
    result = run("show", "layout.json", "--owners", "owners.json")
    assert result.exit_code == 1
    assert "review: 2 of 2" in result.output
    assert isinstance(result.exception, SealgateError)
    assert result.exception.problem.code == "layout.signatures"


def test_an_owner_is_asked_before_signing() -> None:
    ceremony()
    before = Path("layout.json").read_bytes()
    assert run("sign", "layout.json", "--key", "a.pem", stdin="n\n").exit_code == 1
    assert Path("layout.json").read_bytes() == before
    assert run("sign", "layout.json", "--key", "a.pem", stdin="y\n").exit_code == 0
    assert Path("layout.json").read_bytes() != before


def test_what_the_gate_would_refuse_is_neither_made_nor_signed() -> None:
    ceremony()
    too_many = [*MAKE[: MAKE.index("--threshold") + 1], "3", *MAKE[MAKE.index("--scanner") :]]
    refused("layout.threshold", *too_many, "--force")
    envelope = json.loads(Path("layout.json").read_bytes())
    envelope["payload"] = "e30="
    Path("layout.json").write_text(json.dumps(envelope))
    refused("layout.format", "sign", "layout.json", "--key", "a.pem", "--yes")


def test_private_keys_are_private() -> None:
    done("keygen", "--out", "a.pem")
    assert stat.S_IMODE(Path("a.pem").stat().st_mode) == 0o600


def test_nothing_is_overwritten_without_force() -> None:
    ceremony()
    before = {path.name: path.read_bytes() for path in Path().iterdir()}
    refused("layout.exists", "keygen", "--out", "a.pem")
    refused("layout.exists", *MAKE)
    refused("layout.exists", "owners", "a.pub.pem", "--threshold", "1", "--out", "owners.json")
    again = ["sign", "layout.json", "--key", "a.pem", "--yes", "--out", "owners.json"]
    refused("layout.exists", *again)
    assert {path.name: path.read_bytes() for path in Path().iterdir()} == before
    done(*MAKE, "--force")
    done("keygen", "--out", "a.pem", "--force")


def test_other_keys_are_refused() -> None:
    ceremony()
    refused("layout.owner-key", "sign", "layout.json", "--key", "a.pub.pem", "--yes")
    refused("layout.owner-key", "owners", "a.pem", "--threshold", "1", "--out", "x.json")
    refused("owners.threshold", "owners", "a.pub.pem", "--threshold", "2", "--out", "x.json")


def test_the_same_key_twice_is_one_owner() -> None:
    ceremony()
    refused(
        "owners.threshold",
        "owners",
        "a.pub.pem",
        "a.pub.pem",
        "--threshold",
        "2",
        "--out",
        "x.json",
    )
