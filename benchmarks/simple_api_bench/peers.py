"""Other package indexes with the same wheels: pypiserver, and devpi.

Both come from the package index into virtual environments that are thrown away. pypiserver reads a
folder and is served by waitress with as many threads as ours; devpi-server (waitress too) is given
the wheels through its own upload form, and uses its own number of threads.
"""

from __future__ import annotations

import base64
import subprocess
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests
from packaging.utils import parse_wheel_filename

from registry.main import THREADS

DEVPI_PREFIX = "/bench/dev/+simple"
"""Where devpi's index has its Simple API."""


def install(folder: Path, *packages: str) -> Path:
    """Install packages into a new environment; return it."""
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "pip"), "--disable-pip-version-check", "-qq"]
    subprocess.run([*pip, "install", *packages], check=True, timeout=600)
    return folder


def versions(environment: Path, *packages: str) -> dict[str, str]:
    """Return what is installed."""
    code = "import sys; from importlib.metadata import version as v; print(*map(v, sys.argv[1:]))"
    command = [str(environment / "bin" / "python"), "-c", code, *packages]
    listed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return dict(zip(packages, listed.stdout.split(), strict=True))


def pypiserver(environment: Path, folder: Path, port: int) -> list[str]:
    """Return the command that serves the wheels of a folder."""
    serve = "waitress.serve(pypiserver.app(roots=[sys.argv[1]]), host='127.0.0.1', port=int(p)"
    code = f"import sys, pypiserver, waitress; p = sys.argv[2]; {serve}, threads={THREADS})"
    return [str(environment / "bin" / "python"), "-c", code, str(folder), str(port)]


def devpi(environment: Path, state: Path, port: int) -> list[str]:
    """Make an empty devpi-server; return the command that serves it."""
    binaries = environment / "bin"
    subprocess.run(
        [str(binaries / "devpi-init"), "--serverdir", str(state), "--no-root-pypi"],
        check=True,
        capture_output=True,
        timeout=120,
    )
    address = ["--host", "127.0.0.1", "--port", str(port)]
    return [str(binaries / "devpi-server"), "--serverdir", str(state), *address]


@contextmanager
def _session(port: int) -> Iterator[tuple[requests.Session, str]]:
    base = f"http://127.0.0.1:{port}"
    with requests.Session() as session:
        session.put(f"{base}/bench", json={"password": "benchmark"}, timeout=60).raise_for_status()
        answer = session.post(
            f"{base}/+login", json={"user": "bench", "password": "benchmark"}, timeout=60
        )
        token = answer.json()["result"]["password"]
        proof = base64.b64encode(f"bench:{token}".encode()).decode()
        session.headers["X-Devpi-Auth"] = proof
        made = {"type": "stage", "bases": [], "volatile": True}
        session.put(f"{base}/bench/dev", json=made, timeout=60).raise_for_status()
        yield session, f"{base}/bench/dev/"


def upload_to_devpi(port: int, folder: Path) -> None:
    """Give devpi every wheel of a folder."""
    with _session(port) as (session, address):
        for path in sorted(folder.glob("*.whl")):
            name, version, _, _ = parse_wheel_filename(path.name)
            fields = {
                ":action": "file_upload",
                "name": name,
                "version": str(version),
                "filetype": "bdist_wheel",
                "pyversion": "py3",
                "metadata_version": "2.1",
            }
            files = {"content": (path.name, path.read_bytes())}
            session.post(address, data=fields, files=files, timeout=60).raise_for_status()
