"""Layout and trusted root from the repository's own targets, which the offline keys sign.

A newer layout or trusted root that the role `targets` signed (k of n, offline) takes force at
once, whole, like a changed policy: a new gate is made of it, and only if that gate would decide
now - the layout signed by the pinned owners k of n, not expired, understood - does it replace the
one in force. Otherwise the old one stays, and this is said. The layout's owners themselves stay
pinned: their file among the targets is for people, and a difference is only told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from runner.clock import Clock
from runner.distribution.follower import Follower
from trust.errors import Problem, SealgateError, problem
from trust.gate import Gate
from trust.tuf import names

MAX_BYTES: Final = 4 << 20

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pinned:
    """The files that the deployment pins."""

    trusted_root: bytes
    layout: bytes
    layout_owners: bytes


class TrustFollower:
    """Makes gates of what the repository says; `look` belongs to one thread."""

    def __init__(self, follower: Follower, pinned: Pinned, gate: Gate, clock: Clock) -> None:
        """Take what is followed, what is pinned, and the gate in force."""
        self._follower = follower
        self._pinned = pinned
        self._clock = clock
        self._epoch = gate.epoch
        self._refused: str | None = None
        self._told: str | None = None
        self.problems: tuple[Problem, ...] = ()

    def look(self, adopt: Callable[[Gate], None]) -> None:
        """Hand a newer gate to `adopt`, if the repository has a valid one.

        `problems` then has why what the repository says is not in force, if it is not.
        """
        try:
            root = self._file(names.TRUSTED_ROOT, self._pinned.trusted_root)
            layout = self._file(names.LAYOUT, self._pinned.layout)
            self._compare_owners()
        except SealgateError as error:
            self.problems = error.problems
            return
        gate = Gate(root, layout, self._pinned.layout_owners)
        if gate.epoch == self._epoch:
            self.problems = ()
            return
        refused = gate.check(self._clock.now())
        if refused is None:
            adopt(gate)
            _logger.info("layout and trusted root of the repository are in force: %s", gate.epoch)
            self._epoch, self.problems = gate.epoch, ()
            return
        self.problems = (_kept(gate.epoch, self._epoch), *refused.problems)
        if self._refused != gate.epoch:
            self._refused = gate.epoch
            _logger.error("%s", SealgateError(self.problems).diagnostics())

    def _file(self, path: str, pinned: bytes) -> bytes:
        if not self._follower.has(path):
            return pinned
        return self._follower.keep(path, max_bytes=MAX_BYTES)

    def _compare_owners(self) -> None:
        path = names.LAYOUT_OWNERS
        if not self._follower.has(path):
            return
        data = self._follower.keep(path, max_bytes=MAX_BYTES)
        if data != self._pinned.layout_owners and self._told != path:
            self._told = path
            _logger.warning(
                "the repository has another file of layout owners than is pinned in keys/; "
                "the pinned one counts"
            )


def _kept(offered: str, kept: str) -> Problem:
    return problem(
        "tuf.trust-refused",
        "the repository's layout or trusted root is not valid; the one before it stays in force",
        value=offered,
        expected=kept,
        advice="publish a layout that its owners have signed: `sealgate layout`, then "
        "`sealgate keys files`",
    )
