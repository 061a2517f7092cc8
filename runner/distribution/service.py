"""The runner's part that follows a TUF repository: a thread, and what it says of itself."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.clock import Clock, iso
from runner.distribution import refusals
from runner.distribution.follower import Follower
from runner.distribution.registry import TufRegistry
from runner.distribution.trust_material import Pinned, TrustFollower
from runner.metrics import DistributionFigures
from runner.policy import Distribution as Rule
from runner.readiness import NotReady
from trust.errors import Problem
from trust.gate import Gate

RETRY_SECONDS = 1.0
"""The pause after a refresh that failed."""

_logger = logging.getLogger(__name__)


class Distribution:
    """Follows what the policy's member `distribution` names.

    `registry` answers admission, `gate` is the gate to begin with.
    """

    def __init__(
        self,
        rule: Rule,
        root: bytes,
        pinned: Pinned,
        folder: Path,
        clock: Clock,
        follower: Follower | None = None,
    ) -> None:
        """Take up what was verified before, refresh once, and take the newest valid trust.

        Args:
            rule: the policy's member.
            root: the pinned TUF root.
            pinned: layout, owners and trusted root as the deployment pins them.
            folder: private state; made where there is none.
            clock: the time.
            follower: what follows; by default one of the rule's address.
        """
        self._rule = rule
        self._clock = clock
        self.follower = follower or Follower(
            rule.url, root, folder, clock, max_age_seconds=rule.max_age_seconds
        )
        self.registry = TufRegistry(self.follower)
        self.gate = Gate(pinned.trusted_root, pinned.layout, pinned.layout_owners)
        self._trust = TrustFollower(self.follower, pinned, self.gate, clock)
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._last: str | None = None
        self.follower.resume()
        self.look(self._begin_with)

    def _begin_with(self, gate: Gate) -> None:
        self.gate = gate

    def look(self, adopt: Callable[[Gate], None]) -> Problem | None:
        """Refresh, and hand a newer valid gate to `adopt`; return why the refresh failed."""
        failed = self.follower.refresh()
        code = failed.code if failed else None
        if failed is not None and code != self._last:
            _logger.error("the TUF repository was not refreshed: %s", failed.lines())
        elif code is None and self._last is not None:
            _logger.info("the TUF repository is refreshed again")
        self._last = code
        if self._rule.follow_trust:
            self._trust.look(adopt)
        return failed

    def start(self, adopt: Callable[[Gate], None]) -> None:
        """Look every `refresh_seconds` in a thread, until `close`."""

        def follow() -> None:
            while not self._ended.wait(self._pause()):
                try:
                    self.look(adopt)
                except Exception:
                    # whatever it is, what was verified stays in force, and grows old
                    _logger.exception("the TUF repository could not be looked at")

        self._thread = threading.Thread(target=follow, name="distribution", daemon=True)
        self._thread.start()

    def _pause(self) -> float:
        """Return the seconds until the next look; after a failure it comes sooner."""
        each = self._rule.refresh_seconds
        return each if self._last is None else min(each, RETRY_SECONDS)

    def close(self) -> None:
        """Stop looking."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    # --- what it says of itself

    def check(self) -> None:
        """Refuse when no new version would be admitted.

        Raises:
            NotReady: nothing was refreshed within the policy's bound.
        """
        if self.follower.seconds_left() > 0:
            return
        standing = self.follower.standing
        age = 0.0
        if standing.refreshed is not None:
            age = (self._clock.now() - standing.refreshed).total_seconds()
        raise NotReady(refusals.stale(age, self._rule.max_age_seconds, standing.problem))

    def note(self) -> dict[str, Any]:
        """Return how it stands, for `/readyz`."""
        standing = self.follower.standing
        problems = [standing.problem] if standing.problem else []
        problems += self._trust.problems
        return {
            "url": self._rule.url,
            "refreshed": iso(standing.refreshed) if standing.refreshed else None,
            "seconds_left": round(self.follower.seconds_left()),
            "versions": standing.versions or {},
            "problems": [each.as_dict() for each in problems],
        }

    def figures(self) -> DistributionFigures:
        """Return how it stands, for `/metrics`."""
        standing = self.follower.standing
        return DistributionFigures(
            seconds_left=self.follower.seconds_left(),
            refreshed=standing.refreshed.timestamp() if standing.refreshed else 0.0,
            failures=standing.failures,
            trust_in_force=not self._trust.problems,
        )
