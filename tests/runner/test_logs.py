"""The process's own log: lines that can wait do, and none is lost."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import pytest

from runner import logs

LOGGER = logging.getLogger("tests.of.the.log")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Give back what the log sets for the whole process."""
    root = logging.getLogger()
    before = (list(root.handlers), root.level, logging._srcfile)
    flags = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    yield
    root.handlers[:], _, logging._srcfile = before
    root.setLevel(before[1])
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = flags


def told(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["message"] for line in capfd.readouterr().err.splitlines()]


def test_lines_that_can_wait_are_written_together_and_in_order(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 0.2)
    with logs.log_to_stderr():
        for number in range(3):
            LOGGER.info("line %d", number)
        assert told(capfd) == []
        end = time.monotonic() + 10
        lines: list[str] = []
        while len(lines) < 3 and time.monotonic() < end:
            time.sleep(0.02)
            lines += told(capfd)
        assert lines == ["line 0", "line 1", "line 2"]


def test_a_warning_is_written_at_once_and_what_came_before_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 3600)
    with logs.log_to_stderr():
        LOGGER.info("before")
        LOGGER.warning("look here")
        end = time.monotonic() + 10
        lines: list[str] = []
        while len(lines) < 2 and time.monotonic() < end:
            time.sleep(0.02)
            lines += told(capfd)
        assert lines == ["before", "look here"]


def test_the_end_loses_nothing_and_is_not_waited_for(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "LOOK_SECONDS", 3600)
    start = time.monotonic()
    with logs.log_to_stderr():
        for number in range(1000):
            LOGGER.info("%d", number)
    assert told(capfd) == [str(number) for number in range(1000)]
    assert time.monotonic() - start < 60


def test_a_line_with_a_mistake_ends_no_call(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.log_to_stderr():
        LOGGER.info("%d", "not a number")
        LOGGER.info("after")
    lines = capfd.readouterr().err.splitlines()
    assert any("not a number" in line for line in lines)
    assert json.loads(lines[-1])["message"] == "after"


def test_what_a_line_refers_to_may_change_after_it(capfd: pytest.CaptureFixture[str]) -> None:
    with logs.log_to_stderr():
        seen = [1]
        LOGGER.info("%s", seen)
        seen.append(2)
    assert told(capfd) == ["[1]"]
