"""What the tests of `trust.wheel` say again and again."""

from __future__ import annotations

from trust.errors import Problem
from trust.outcomes import Failed
from trust.wheel import inspect_wheel

FILENAME = "example_plugin-1.0.0-py3-none-any.whl"
INFO = "example_plugin-1.0.0.dist-info"
INIT = "example_plugin/__init__.py"


def problems(data: bytes, filename: str = FILENAME) -> tuple[Problem, ...]:
    """Return the problems of a wheel that is refused; each says what, expectation and advice."""
    outcome = inspect_wheel(data, filename)
    assert isinstance(outcome, Failed)
    for found in outcome.problems:
        assert found.what
        assert found.expected
        assert found.advice
    return outcome.problems


def assert_refused(
    data: bytes, code: str, value: str, filename: str = FILENAME, where: str = ""
) -> Problem:
    """Assert that a problem has this code, this text in its value, and its place below `where`."""
    found = problems(data, filename)
    matching = [p for p in found if p.code == code and value in p.value]
    assert matching, [p.lines() for p in found]
    assert matching[0].where.startswith(where), matching[0].lines()
    return matching[0]
