"""The runner's own log: JSON lines on stderr, written by a thread that no call waits for."""

from __future__ import annotations

import collections
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from runner.clock import iso

LOOK_SECONDS = 0.5
"""How often lines that can wait are written."""


class _JsonLines(logging.Formatter):
    """The process's own log: JSON lines on stderr. Nothing in it is a token or an argument."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": iso(datetime.fromtimestamp(record.created, UTC)),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": os.getpid(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Later(logging.Handler):
    """Keeps records for a thread that writes them, and that no call wakes or waits for.

    The thread looks every `LOOK_SECONDS`; a warning, or worse, is written at once.
    """

    def __init__(self, write: Callable[[logging.LogRecord], object]) -> None:
        super().__init__()
        self._write = write
        self._kept: collections.deque[logging.LogRecord] = collections.deque()
        self._now = threading.Event()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            record.msg, record.args = record.getMessage(), None
        except Exception:  # noqa: BLE001 - a line with a mistake in it is told, and ends no call
            self.handleError(record)
            return
        self._kept.append(record)
        if record.levelno >= logging.WARNING:
            self._now.set()

    def _run(self) -> None:
        while not self._ended:
            self._now.wait(LOOK_SECONDS)
            self._now.clear()
            self._write_kept()

    def _write_kept(self) -> None:
        while self._kept:
            self._write(self._kept.popleft())

    def end(self) -> None:
        """Write what is left, and end the thread."""
        self._ended = True
        self._now.set()
        self._thread.join()
        self._write_kept()


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Write what this process logs to stderr, until the block ends."""
    # what no line has need not be found out for each (logging HOWTO, "Optimization")
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    later = _Later(handler.handle)
    logging.basicConfig(level=logging.INFO, handlers=[later], force=True)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger("tuf").setLevel(logging.WARNING)
    try:
        yield
    finally:
        later.end()
