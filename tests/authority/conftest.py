"""An authority as it really runs: a process of its own, reached over HTTP on loopback."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from authority.setup import initialise
from tests.authority.town import Town
from tests.support import ports

ROOT = Path(__file__).parents[2]
ALICE = "alice@example.com"
SCANNER = "https://sealgate.local/scanner"
PASSWORDS = {ALICE: "alice's long password", SCANNER: "the scanner's password"}

SERVE = """
import sys
from pathlib import Path
from authority.main import serve
serve(Path(sys.argv[1]), "127.0.0.1", int(sys.argv[2]))
"""


@dataclass
class Service:
    """A running authority.

    Attributes:
        url: its base URL.
        state: its state directory.
        trust_config: what `initialise` returned.
        process: the serving process.
    """

    url: str
    state: Path
    trust_config: dict[str, Any]
    process: subprocess.Popen[bytes]

    def start(self) -> None:
        """Start, or start again, and wait until it answers."""
        port = self.url.rsplit(":", 1)[1]
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self.state), port],
            cwd=ROOT,
            stderr=(self.state / "stderr").open("ab"),
        )
        for _ in range(200):
            try:
                requests.get(f"{self.url}/healthz", timeout=1).raise_for_status()
            except requests.RequestException:
                assert self.process.poll() is None, (self.state / "stderr").read_text()
                time.sleep(0.05)
            else:
                return
        raise TimeoutError("the authority does not answer")

    def kill(self) -> None:
        """Kill it as hard as can be."""
        self.process.kill()
        self.process.wait(timeout=10)

    def token(self, account: str, **fields: str) -> str:
        """Log in and return the identity token."""
        form = {"grant_type": "password", "username": account, "password": PASSWORDS[account]}
        reply = requests.post(f"{self.url}/token", data=form | fields, timeout=10)
        reply.raise_for_status()
        token: str = reply.json()["id_token"]
        return token


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    state = tmp_path_factory.mktemp("authority") / "state"
    url = f"http://127.0.0.1:{ports.free()[0]}"
    config = initialise(state, url, PASSWORDS)
    made = Service(url, state, config, None)  # type: ignore[arg-type]  # start() sets the process
    made.start()
    yield made
    made.kill()


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """An authority in this process."""
    return Town(tmp_path)
