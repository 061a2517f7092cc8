"""The texts are true of the code: commands, tests and files that they name exist."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from pathlib import Path

import pytest

from sealgate.cli import COMMANDS

ROOT = Path(__file__).parents[2]
TEXTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("keys/*.md")]
    if ".venv" not in path.parts
)
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def ids(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", TEXTS, ids=ids)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", path.read_text()):
        if not target.startswith(("http://", "https://")):
            assert (path.parent / target).exists(), f"{ids(path)} links to {target}"


@pytest.mark.parametrize("path", TEXTS, ids=ids)
def test_make_targets_and_subcommands_exist(path: Path) -> None:
    text = path.read_text()
    for target in re.findall(r"(?:^|[`\s])make ([a-z]+)(?=[`\s])", text):
        if f"`make {target}" in text or re.search(rf"^make {target}\b", text, re.MULTILINE):
            assert target in TARGETS, f"{ids(path)} names `make {target}`"
    for name in re.findall(r"(?:`|^)sealgate ([a-z]+)\b", text, re.MULTILINE):
        assert name in COMMANDS, f"{ids(path)} names `sealgate {name}`"


def test_the_commands_page_is_what_the_code_says() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (ROOT / "docs" / "commands.md").read_text() == generate.page(), (
        "docs/commands.md is behind the code: run `.venv/bin/python docs/generate.py`"
    )


def test_the_project_speaks_of_itself_alone() -> None:
    """No committed text names this machine's folders."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, timeout=30
    ).stdout.split(b"\0")
    machine = re.compile(rb"/work/(?:main|shared)|/root/\.pyenv|pypi-more")
    offenders = [
        name.decode()
        for name in listed
        if name
        and (ROOT / name.decode()).is_file()
        # this very pattern is the one exception
        and name != b"tests/project/test_docs.py"
        and machine.search((ROOT / name.decode()).read_bytes())
    ]
    assert offenders == []
