"""The runner's process is small: what it must never load, it does not load."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

FORBIDDEN = (
    "registry", "scanner", "authority", "sealgate", "sqlalchemy", "flask_sqlalchemy", "alembic",
    "bandit", "jinja2.sandbox", "argon2", "pypi_attestations",
)  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    script = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_runner_loads_nothing_of_the_other_services() -> None:
    loaded = loaded_by("import runner.main, runner.client, runner.setup, runner.audit_verify")
    assert not [name for name in FORBIDDEN if name in loaded]


@pytest.mark.parametrize("command", ["run", "audit"])
def test_a_command_s_help_pays_for_nothing(command: str) -> None:
    loaded = loaded_by(
        "from click.testing import CliRunner; from sealgate.cli import cli\n"
        f"assert CliRunner().invoke(cli, ['{command}', '--help']).exit_code == 0"
    )
    assert not {"sigstore", "flask", "docker", "requests", "jsonschema", "sqlite3"} & loaded


def test_a_client_needs_neither_docker_nor_sigstore() -> None:
    loaded = loaded_by("import runner.client")
    assert not {"docker", "sigstore", "flask", "in_toto", "runner.service"} & loaded
