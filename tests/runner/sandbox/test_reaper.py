"""Used containers: ended soon, removed for certain, whatever happens to one of them."""

from __future__ import annotations

import time

from runner.sandbox.reaper import LINGER_SECONDS, Reaper


class Container:
    def __init__(self, name: str, *, answered: bool) -> None:
        self.id, self.answered = name, answered
        self.buried = time.monotonic()
        self.ended = 0.0

    def disconnect(self) -> None:
        self.ended = time.monotonic()


class Owner:
    """Fails in ways of its own as often as it is told to, by container."""

    def __init__(self, **failures: int) -> None:
        self.failures = failures
        self.removed: list[str] = []

    def remove(self, container: str) -> bool:
        if self.failures.get(container, 0):
            self.failures[container] -= 1
            raise RuntimeError("something unforeseen")
        self.removed.append(container)
        return True


def test_what_cannot_be_removed_now_is_removed_later_and_nobody_waits_behind_it() -> None:
    owner = Owner(first=3)
    reaper = Reaper(owner)
    for name in ("first", "second"):
        reaper.bury(Container(name, answered=False))
    reaper.drain()
    reaper.close()
    assert owner.removed == ["second", "first"]


def test_what_has_answered_is_let_be_a_little_and_what_has_not_is_not() -> None:
    reaper = Reaper(Owner())
    answered, other = Container("a", answered=True), Container("b", answered=False)
    for container in (answered, other):
        container.buried = time.monotonic()
        reaper.bury(container)
    assert 0 < other.ended - other.buried < LINGER_SECONDS
    reaper.close()
    assert answered.ended - answered.buried >= LINGER_SECONDS
