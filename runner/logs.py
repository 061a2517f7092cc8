"""The runner's own log: JSON lines on stderr, written by a thread that no call waits for."""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener
from typing import Any

from runner.clock import iso


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


class _Later(QueueHandler):
    """Hands records to the thread that writes them: no call waits for its line."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        record.msg, record.args = record.getMessage(), None
        return record


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Write what this process logs to stderr, until the block ends."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    logging.basicConfig(level=logging.INFO, handlers=[_Later(lines)], force=True)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    logging.getLogger("tuf").setLevel(logging.WARNING)
    writer = QueueListener(lines, handler)
    writer.start()
    try:
        yield
    finally:
        writer.stop()
