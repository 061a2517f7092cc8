"""The worker's road, walked ahead with a module of our own.

A process that was forked shares its memory with its parent until it writes to it, and Python writes
to whatever it looks at: each page is copied at the first touch. Whoever waits for a call walks the
road first, so that the copies are made before the call comes; and whoever forks them has walked it
before, until the interpreter has settled the code on it.
"""

from __future__ import annotations

import io
import sys
import zipfile

from . import wheelfinder, worker

NAME = "_sealgate_walk"
_SOURCE = "def run(value):\n    return value\n"
_ARGUMENTS = b'{"a": [1, 2.5, "x", null, true]}'


def wheel() -> bytes:
    """Return an archive with the module."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{NAME}.py", _SOURCE)
    return buffer.getvalue()


def along(loader: wheelfinder.WheelLoader, times: int = 1) -> None:
    """Import the module from a loader that has it, call it, and forget it."""
    for _ in range(times):
        before = list(sys.meta_path)
        wheelfinder.install(loader)
        worker.call(loader, NAME, "run", _ARGUMENTS)
        sys.meta_path[:] = before
        del sys.modules[NAME]
