"""What the road of a call asks about revocations; nothing where none are followed."""

from __future__ import annotations

from collections.abc import Sequence

from runner.inflight import CallFacts, InFlight
from runner.policy import Policy
from runner.revocations.follower import Follower
from runner.revocations.recording import Begin
from trust.errors import Problem
from trust.gate import Gate
from trust.outcomes import Failed, Incomplete, Passed
from trust.revocation import Facts


class Guard:
    """Stands on the road of every call; safe to share between threads."""

    def __init__(self, follower: Follower | None, inflight: InFlight) -> None:
        """Take who knows the revocations, and have the calls under way held to them."""
        self._follower = follower
        if follower is not None:
            inflight.check_with(self._of_call)
            follower.listen(lambda: inflight.stop_where(self._of_call))

    def record_with(self, begin: Begin) -> None:
        """Have what is handed over put on record."""
        if self._follower is not None:
            self._follower.record_with(begin)

    def adopt(self, policy: Policy) -> None:
        """Go by another policy from now on."""
        if self._follower is not None:
            self._follower.adopt(policy)

    def adopt_gate(self, gate: Gate) -> None:
        """Verify by another gate's trusted root from now on."""
        if self._follower is not None and gate.verifier is not None:
            self._follower.adopt_verifier(gate.verifier)

    def allows(self, plugin: str, version: str) -> bool:
        """Tell whether a version is not taken back, to choose among several."""
        return self._follower is None or not self._follower.problems(
            Facts(plugin=plugin, version=version)
        )

    def check(self, plugin: str, version: str, image: str) -> Passed[None] | Failed | Incomplete:
        """Decide on a call before its admission.

        Args:
            plugin: the normalised name.
            version: a PEP 440 version.
            image: the runtime image's id.

        Returns:
            `Failed` where it was taken back, `Incomplete` while that cannot be known.
        """
        if self._follower is None:
            return Passed(None)
        facts = Facts(plugin=plugin, version=version, image=image)
        taken_back = self._follower.problems(facts)
        if taken_back:
            return Failed(taken_back)
        stale = self._follower.stale()
        return Incomplete(stale) if stale else Passed(None)

    def _of_call(self, facts: CallFacts) -> Sequence[Problem]:
        """Return which revocations hold for what a call under way executes."""
        if self._follower is None:
            return ()
        return self._follower.problems(
            Facts(
                plugin=facts.plugin,
                version=facts.version,
                sha256=facts.wheel_sha256,
                publishers=frozenset({facts.author}),
                image=facts.image,
            )
        )
