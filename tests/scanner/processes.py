"""Processes as procfs shows them (Linux)."""

from __future__ import annotations

import time
from pathlib import Path


def child_of(pid: int, marker: bytes) -> int:
    """Wait for the child process of `pid` whose command line has `marker`."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                parent = int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1])
                if parent == pid and marker in entry.joinpath("cmdline").read_bytes():
                    return int(entry.name)
            except (OSError, ValueError):
                continue
        time.sleep(0.01)
    raise AssertionError("no confined process appeared")


def status_of(pid: int) -> dict[str, str]:
    """Return the fields of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


def alive(pid: int) -> bool:
    """Return whether the process runs or is stopped; a zombie is neither."""
    try:
        return not status_of(pid)["State"].startswith(("Z", "X"))
    except (OSError, KeyError):
        return False
