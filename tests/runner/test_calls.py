"""What a request must look like."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.calls import REQUEST_SCHEMA, parse_request
from trust import strictjson
from trust.outcomes import Failed, Passed

SCHEMA = Draft202012Validator(REQUEST_SCHEMA)
GOOD: dict[str, Any] = {"plugin": "a", "method": "m", "arguments": {}}
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=3), st.just("x" * 100),
    st.just("x" * 101), st.just({}), st.just({"a": 1}), st.just([]), st.just("1.0"),
)  # fmt: skip
NAMES = st.sampled_from(["plugin", "method", "arguments", "version", "timeout_seconds", "other"])


@given(st.one_of(VALUES, st.dictionaries(NAMES, VALUES)))
@example(GOOD)
@example(GOOD | {"version": "1.0"})
@example(GOOD | {"version": ""})
@example(GOOD | {"version": None})
@example(GOOD | {"plugin": True})
@example(GOOD | {"timeout_seconds": 0.5})
@example(GOOD | {"timeout_seconds": True})
def test_what_is_taken_is_what_the_schema_says(data: Any) -> None:
    taken = isinstance(parse_request(strictjson.dumps(data)), Passed)
    assert taken == SCHEMA.is_valid(data)


@pytest.mark.parametrize("extra", [{}, {"version": "1.0"}])
def test_a_request_is_read(extra: dict[str, Any]) -> None:
    assert isinstance(parse_request(strictjson.dumps(GOOD | extra)), Passed)


def test_every_refusal_names_what_is_wrong() -> None:
    outcome = parse_request(strictjson.dumps(GOOD | {"version": "x" * 101, "more": 1}))
    assert isinstance(outcome, Failed)
    assert {found.where for found in outcome.problems} >= {"/version"}
