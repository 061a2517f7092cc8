"""The Python client and `sealgate run`, against a runner on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.client import CallFailed, NoReply, RunnerClient, read_token
from sealgate.commands.run import EXIT_CODES
from tests.runner.command import run
from tests.runner.kit import NAME, Site, executed
from tests.support.servers import application
from trust.outcomes import Failed, Passed


@pytest.fixture
def client(site: Site, url: str) -> Iterator[RunnerClient]:
    with RunnerClient(url, site.token.token) as made:
        yield made


def test_a_call_and_its_receipt(site: Site, client: RunnerClient) -> None:
    reply = client.invoke(NAME, "greet", {"name": "Ada"}, "1.0.0")
    assert reply.result == {"greeting": "Hello, Ada!"}
    assert isinstance(reply.verify_receipt(site.vkey), Passed)
    assert client.invoke(NAME, "echo").result == {"value": {}}


def test_a_refusal_is_a_reply_with_problems(site: Site, client: RunnerClient) -> None:
    reply = client.invoke(NAME, "missing")
    assert reply.status == "refused"
    assert reply.problems[0].code == "method.undeclared"
    assert isinstance(reply.verify_receipt(site.vkey), Passed)
    with pytest.raises(CallFailed) as failed:
        _ = reply.result
    assert failed.value.reply is reply


def test_unavailable_says_when_to_try_again(site: Site, client: RunnerClient) -> None:
    site.registry.down = True
    reply = client.invoke(NAME, "greet", {"name": "Ada"})
    assert (reply.status, reply.retry_after) == ("unavailable", 5)


def test_no_receipt_does_not_verify(site: Site, url: str) -> None:
    with RunnerClient(url, "wrong") as client:
        reply = client.invoke(NAME, "greet", {"name": "Ada"})
    assert reply.status == "refused"
    assert isinstance(reply.verify_receipt(site.vkey), Failed)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[]", b'{"status": "ok"}', b'{"status": "ok", "status": "ok"}', b"\xff"],
)
def test_an_answer_that_is_no_runner_s_raises(body: bytes) -> None:
    def app(environ: Any, start: Any) -> list[bytes]:
        start("200 OK", [("Content-Type", "application/json")])
        return [body]

    with application(app) as address, RunnerClient(address, "x") as client, pytest.raises(NoReply):
        client.invoke("a", "b")


def test_a_redirect_is_not_followed_with_the_token() -> None:
    seen: list[str] = []

    def app(environ: Any, start: Any) -> list[bytes]:
        seen.append(environ["PATH_INFO"])
        start("307 Temporary Redirect", [("Location", "/elsewhere")])
        return [b""]

    with application(app) as address, RunnerClient(address, "x") as client, pytest.raises(NoReply):
        client.invoke("a", "b")
    assert seen == ["/v1/invocations"]


def test_nobody_there_raises() -> None:
    with RunnerClient("http://127.0.0.1:9", "x") as client, pytest.raises(NoReply):
        client.invoke("a", "b")


def test_a_token_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NoReply, match="no-token"):
        read_token(tmp_path / "none")


# The command.


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (("--arg", "name=Ada"), ""),
        (("--arg", 'name:="Ada"'), ""),
        (("--json", '{"name": "Ada"}'), ""),
        (("--json", "-"), '{"name": "Ada"}'),
        ((), '{"name": "Ada"}'),
    ],
)
def test_run_prints_the_result(home: Path, words: tuple[str, ...], stdin: str) -> None:
    result = run(home, f"{NAME}==1.0.0", "greet", *words, stdin=stdin)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"greeting": "Hello, Ada!"}


def test_run_verbose_verifies_the_receipt(home: Path, site: Site) -> None:
    result = run(home, NAME, "greet", "--arg", "name=Ada", "-v")
    assert result.exit_code == 0
    assert "receipt   verified: entry 1" in result.stderr
    assert "alice@example.com" in result.stderr


def test_run_fails_on_a_receipt_that_does_not_verify(home: Path, site: Site) -> None:
    from trust.log import NoteSigner

    (site.keys / "audit_log.vkey").write_text(NoteSigner.generate("x").verifier_key)
    result = run(home, NAME, "greet", "--arg", "name=Ada", "-v")
    assert result.exit_code == 1
    assert "DOES NOT VERIFY" in result.stderr


def test_run_prints_the_whole_reply(home: Path) -> None:
    result = run(home, NAME, "missing", "--reply")
    assert json.loads(result.stdout)["status"] == "refused"
    assert result.exit_code == EXIT_CODES["refused"]


@pytest.mark.parametrize("status", list(EXIT_CODES))
def test_every_status_has_its_exit_code(home: Path, site: Site, status: str) -> None:
    method = "missing" if status == "refused" else "greet"
    arguments = "{}" if status == "invalid_arguments" else '{"name": "Ada"}'
    if status in ("plugin_error", "timeout", "resource_limit", "unavailable"):
        site.sandbox.behave = lambda job: executed(job, status=status, result=None)
    result = run(home, NAME, method, "--json", arguments)
    assert result.exit_code == EXIT_CODES[status]
    if status != "ok":
        assert status in result.stderr
        assert "request " in result.stderr


def test_no_control_character_of_a_plugin_reaches_the_terminal(home: Path, site: Site) -> None:
    nasty = "\x1b]0;owned\x07\x9b31m\u202e\r"
    site.sandbox.behave = lambda job: executed(
        job, result={"greeting": nasty}, stdout=nasty, stderr=nasty
    )
    for words in ((), ("--reply",), ("-v",)):
        result = run(home, NAME, "greet", "--arg", "name=Ada", *words)
        assert result.exit_code == 0
        assert not set("\x1b\x07\x9b\u202e\r") & set(result.output)
        found = json.loads(result.stdout)
        assert (found["result"] if words == ("--reply",) else found) == {"greeting": nasty}


@pytest.mark.parametrize(
    "words",
    [
        ("--arg", "name"),
        ("--arg", "=x"),
        ("--arg", "a=1", "--json", "{}"),
        ("--json", "[]"),
    ],
)
def test_run_refuses_usage_that_makes_no_sense(home: Path, words: tuple[str, ...]) -> None:
    assert run(home, NAME, "greet", *words).exit_code == 2


def test_run_takes_the_token_from_the_environment(
    home: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALGATE_TOKEN", "wrong")
    assert run(home, NAME, "greet", "--arg", "name=Ada").exit_code == EXIT_CODES["refused"]
