"""Headless Chromium, and the page checks that only a browser can make."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run a browser."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@cache
def axe() -> str:
    """Return axe-core's source, installed from the lock file beside this module, once a machine.

    The folder is named by the lock file's content, and made whole or not at all.
    """
    here = Path(__file__).parent / "js"
    lock = json.loads((here / "package-lock.json").read_text(encoding="utf-8"))
    digest = lock["packages"]["node_modules/axe-core"]["integrity"].rpartition("-")[2][:16]
    safe = "".join(c if c.isalnum() else "_" for c in digest)
    kept = Path(tempfile.gettempdir()) / f"sealgate-axe-{safe}"
    script = kept / "node_modules" / "axe-core" / "axe.min.js"
    kept.mkdir(exist_ok=True, mode=0o700)
    with (kept / ".lock").open("w") as lock_file:
        fcntl.flock(lock_file, fcntl.LOCK_EX)
        if not script.is_file():
            for name in ("package.json", "package-lock.json"):
                shutil.copy(here / name, kept / name)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(command, cwd=kept, check=True, timeout=120)
    return script.read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """Return what axe finds wrong with the page, a line for each element."""
    page.evaluate(axe())
    options = {"runOnly": {"type": "tag", "values": list(RULES)}, "resultTypes": ["violations"]}
    found: dict[str, Any] = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
