"""Wheels that honest backends make are accepted: strictness must not cost an author anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.wheels import SOURCE, SUMMARY, make_manifest
from trust.outcomes import Passed
from trust.wheel import inspect_wheel

PROJECT = f"""
[project]
name = "example-plugin"
version = "1.0.0"
description = "{SUMMARY}"
readme = "README.md"
requires-python = ">=3.11"
authors = [{{ name = "Zoë Müller", email = "zoe@example.org" }}]
license = "MIT"
license-files = ["LICENSE"]
keywords = ["one", "two"]
urls = {{ Source = "https://example.org/source" }}

[project.entry-points."sealgate.plugins"]
example-plugin = "example_plugin"
"""

BACKENDS = {
    "hatchling": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["src/example_plugin"]
""",
    "setuptools": """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[tool.setuptools.package-data]
example_plugin = ["*.json"]
""",
    "flit": """
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"
""",
    "poetry": """
[build-system]
requires = ["poetry-core"]
build-backend = "poetry.core.masonry.api"

[tool.poetry]
packages = [{ include = "example_plugin", from = "src" }]
""",
    "uv": """
[build-system]
requires = ["uv_build"]
build-backend = "uv_build"
""",
}


def build(project: Path, out: Path) -> Path:
    """Build the project's wheel without a network and return its path."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    command += ["--skip-dependency-check", str(project)]
    scripts = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, "PATH": scripts, "PYTHONWARNINGS": "default"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.mark.parametrize("backend", BACKENDS)
def test_wheels_of_this_backend_are_accepted(backend: str, tmp_path: Path) -> None:
    package = tmp_path / "project" / "src" / "example_plugin"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(SOURCE, encoding="utf-8")
    (package / "plugin.json").write_text(json.dumps(make_manifest()), encoding="utf-8")
    root = tmp_path / "project"
    (root / "README.md").write_text("# Exämple\n\nText.\n", encoding="utf-8")
    (root / "LICENSE").write_text("MIT\n", encoding="utf-8")
    (root / "pyproject.toml").write_text(PROJECT + BACKENDS[backend], encoding="utf-8")
    wheel = build(root, tmp_path / "dist")
    outcome = inspect_wheel(wheel.read_bytes(), wheel.name)
    assert isinstance(outcome, Passed), "\n".join(p.lines() for p in outcome.problems)
    assert outcome.value.name == "example-plugin"
