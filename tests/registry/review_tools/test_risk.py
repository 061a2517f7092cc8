"""Risk: each reason adds, every bound holds, and every number has its words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from registry.risk import FLAGS, Facts, assess

QUIET = Facts(files=1, lines=10)


@pytest.mark.parametrize(
    "change",
    [
        {"medium": 1},
        {"low": 1},
        {"first": True},
        {"lines": 200},
        {"unread": 1},
        {"dependencies": 1},
        *({"flags": (flag,)} for flag in FLAGS if flag not in ("first-version", "dependencies")),
    ],
    ids=lambda change: "-".join(map(str, (*change, *change.values()))),
)
def test_whatever_there_is_to_look_at_adds_to_the_risk(change: dict[str, object]) -> None:
    before, after = assess(QUIET), assess(replace(QUIET, **change))  # type: ignore[arg-type]
    assert after.score > before.score
    assert after.score == sum(part.points for part in after.parts)
    assert all(part.why for part in after.parts)


def test_the_points_are_bounded_and_the_greatest_reason_comes_first() -> None:
    worst = Facts(10_000, 10_000, True, 10_000, 10**9, 10_000, 10_000, tuple(FLAGS))
    found = assess(worst)
    assert found.score == 100
    assert found.level == "high"
    points = [part.points for part in found.parts]
    assert points == sorted(points, reverse=True)
    assert max(points) == 32
    assert assess(Facts()) == replace(assess(Facts()), score=0, parts=())


def test_words_are_counted_as_people_do() -> None:
    one = {part.why for part in assess(Facts(1, 1, False, 1, 1, 1, 1)).parts}
    assert one == {
        "1 Medium finding",
        "1 Low finding",
        "1 line in 1 file",
        "1 file that is not text",
        "1 changed dependency",
    }
    two = {part.why for part in assess(Facts(2, 2, False, 2, 2, 2, 2)).parts}
    assert two == {
        "2 Medium findings",
        "2 Low findings",
        "2 lines in 2 files",
        "2 files that are not text",
        "2 changed dependencies",
    }


def test_facts_survive_their_row() -> None:
    facts = Facts(1, 2, True, 3, 4, 5, 6, ("first-version",))
    assert Facts.from_dict(facts.as_dict()) == facts
