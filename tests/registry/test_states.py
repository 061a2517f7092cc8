"""The state machine: the table is all that can happen, and nothing happens without history."""

from __future__ import annotations

import ast
import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

import registry as package
from registry.errors import IllegalTransition
from registry.lookup import find
from registry.models import Version
from registry.states import FINAL, TRANSITIONS, Event, State, advance, target
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Event)))
def test_only_what_the_table_has_is_allowed(state: State, event: Event) -> None:
    expected = TRANSITIONS.get((state, event))
    if expected is not None:
        assert target(state, event) == expected
        return
    with pytest.raises(IllegalTransition) as caught:
        target(state, event)
    assert caught.value.problem.value == event
    assert state in caught.value.problem.what


def test_published_is_reached_only_from_review_or_by_the_end_of_a_quarantine() -> None:
    into = {
        (state, event)
        for (state, event), after in TRANSITIONS.items()
        if after == State.PUBLISHED and state != after
    }
    assert into == {
        (State.IN_REVIEW, Event.PUBLISHED),
        (State.QUARANTINED, Event.LIFTED),
    }


def test_nothing_leads_out_of_a_final_state() -> None:
    assert not {state for state, _ in TRANSITIONS} & FINAL


def test_a_version_that_was_moved_meanwhile_is_not_moved_again(registry: RegistryFixture) -> None:
    registry.submit(*make_wheel())
    with registry.services.database.write() as session:
        version = find(session, "example-plugin", "1.0.0")
        session.execute(text("UPDATE versions SET state = 'rejected'"))
        assert version.state == State.RECEIVED
        with pytest.raises(IllegalTransition) as caught:
            advance(session, version, Event.SCAN_STARTED, NOW, actor=None, detail="late")
    assert caught.value.problem.code == "registry.moved-meanwhile"


def test_every_transition_writes_one_row_with_its_states(registry: RegistryFixture) -> None:
    registry.publish(*make_wheel())
    with registry.services.database.read() as session:
        rows = find(session, "example-plugin", "1.0.0").timeline
        steps = [(row.from_state, row.event, row.to_state) for row in rows]
    assert steps[0] == (None, "submitted", "received")
    for (_, _, before), (state, event, after) in itertools.pairwise(steps):
        assert state == before
        assert TRANSITIONS[State(state), Event(event)] == after


def test_nothing_but_advance_writes_a_state() -> None:
    """Every assignment to `.state` and every update of versions is in `registry.states`."""
    for path in Path(package.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign):
                written = [t.attr for t in node.targets if isinstance(t, ast.Attribute)]
                assert "state" not in written, f"{path}:{node.lineno}"
            if isinstance(node, ast.keyword) and node.arg == "state" and path.name != "states.py":
                # a new row is born `received`; views carry the state as text
                value = ast.unparse(node.value)
                allowed = {"State.RECEIVED", "version.state"}
                if path.name == "transfers.py":
                    allowed = {"OFFERED", "STATES[action]"}  # of an offer, which is no version
                assert value in allowed, f"{path}: {value}"
    assert Version.state.property.columns[0].nullable is False
