"""The commands on the pages are commands that exist, and whose words stay words."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from registry import queries
from registry.readmodel import EvidenceView, MethodView, VersionView
from registry.web import commands
from sealgate.cli import cli
from tests.registry.web import plugins
from tests.registry.web.stage import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Stage(tmp_path_factory.mktemp("commands"))
    made.publish(plugins.markdown("1.0.0"))
    yield made
    made.services.close()


@pytest.fixture
def version(stage: Stage) -> VersionView:
    return queries.version(stage.services, "markdown-render", "1.0.0")


def shell(line: str) -> list[str]:
    """Split as a shell does: a backslash before a line's end continues the line."""
    return shlex.split(line.replace("\\\n", ""))


def parse(line: str) -> click.Context:
    """Parse a line as a shell and `sealgate` would, without running it."""
    program, *words = shlex.split(line)
    assert program == "sealgate"
    context = cli.make_context("sealgate", words)
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        assert found is not None
        command, context = found, found.make_context(name, words, parent=context)
    return context


def test_every_command_parses(
    version: VersionView, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    wheel = tmp_path / "dist" / version.filename
    wheel.parent.mkdir()
    wheel.touch()
    (tmp_path / commands.folder(version)).mkdir()
    path = f"dist/{version.filename}"
    for line in (
        commands.check(path),
        commands.scan(path),
        commands.submit(path),
        commands.status(version),
        commands.fetch(version),
        commands.verify(version),
        commands.approve(version),
        commands.reject(version),
        *(commands.run(version.name, method) for method in version.methods),
    ):
        assert parse(line)


def test_examples_of_arguments_have_the_type_of_the_schema() -> None:
    properties = {
        "text": {"type": "string"},
        "count": {"type": "integer"},
        "rows": {"type": "array"},
        "deep": {"type": "boolean", "default": False},
        "odd name; rm -rf /": {},
    }
    arguments = {"properties": properties, "required": list(properties)}
    line = commands.run("p", MethodView("m", "p:m", "", arguments, {}))
    assert parse(line).params["pairs"] == (
        "text=…",
        "count:=1",
        "rows:=[]",
        "deep:=false",
        "odd name; rm -rf /=…",
    )


def test_no_word_of_an_author_breaks_out_of_a_command(version: VersionView) -> None:
    evil = "x'; touch /tmp/pwned; $(id) `id` \"\n#"
    method = dataclasses.replace(version.methods[0], name=evil)
    assert shlex.split(commands.run(evil, method))[2:4] == [evil, evil]
    hostile = dataclasses.replace(
        version, filename=evil, author=dataclasses.replace(version.author, subject=evil)
    )
    assert shlex.split(commands.scan(hostile.filename))[2:] == [evil]
    assert shlex.split(commands.verify(hostile))[-1] == f"{version.author.issuer}={evil}"
    bundle = dataclasses.replace(version.evidence[0], filename=evil, signer=hostile.author)
    words = shell(commands.sigstore_verify(hostile, bundle))
    assert words.count(evil) == 3


@pytest.mark.slow
def test_unmodified_sigstore_verifies_what_the_page_offers(
    stage: Stage, version: VersionView, tmp_path: Path
) -> None:
    client = stage.app.test_client()
    (tmp_path / "keys").mkdir()
    config = tmp_path / "keys" / "client_trust_config.json"
    config.write_bytes(stage.trust.sigstore.client_trust_config)
    wheel = client.get("/api/v1/plugins/markdown-render/1.0.0/wheel").data
    (tmp_path / version.filename).write_bytes(wheel)
    bundle = version.evidence[-1]
    (tmp_path / bundle.filename).write_bytes(client.get(bundle.url).data)
    assert run_sigstore(version, bundle, tmp_path).returncode == 0
    (tmp_path / version.filename).write_bytes(wheel + b"\0")
    assert run_sigstore(version, bundle, tmp_path).returncode != 0


def run_sigstore(
    version: VersionView, bundle: EvidenceView, folder: Path
) -> subprocess.CompletedProcess[bytes]:
    program, *words = shell(commands.sigstore_verify(version, bundle))
    assert program == "sigstore"
    return subprocess.run(
        [sys.executable, "-m", "sigstore", *words], cwd=folder, capture_output=True, timeout=60
    )
