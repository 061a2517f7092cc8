"""The policy in force, followed while the runner runs.

The file is read again when it changes. A valid policy takes force whole, at once, for every call
that has not been decided; an invalid one is refused, the old one stays in force, and this is said
in the log and in the metrics. What only a start can change (image, runtime, pool, registry)
is refused in the same way.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runner.policy import Policy
from runner.policy_file import PolicyInvalid, load_policy
from trust.errors import Problem, problem

POLL_SECONDS = 1.0
"""How long a change of the file may go unnoticed."""

_logger = logging.getLogger(__name__)
_FIXED = (
    "image",
    "driver",
    "fallback",
    "runtime",
    "level",
    "registry",
    "pool",
    "distribution",
    "revocation_log_key",
)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the policy stands.

    Attributes:
        digest: SHA-256 of the policy in force.
        reloads: how often another one took force.
        refused: how often a changed file was refused.
        problems: why the file as it is now is not in force; empty where it is.
    """

    digest: str
    reloads: int = 0
    refused: int = 0
    problems: tuple[Problem, ...] = ()


class LivePolicy:
    """Follows a policy file and hands what is valid to `adopt`."""

    def __init__(self, path: Path, policy: Policy, adopt: Callable[[Policy], None]) -> None:
        """Take the file, the policy that was read from it, and who takes a new one."""
        self._path = path
        self._policy = policy
        self._adopt = adopt
        self._lock = threading.Lock()
        self._seen = policy.digest
        self._standing = Standing(policy.digest)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="live-policy", daemon=True)

    @property
    def standing(self) -> Standing:
        """How the policy stands now."""
        return self._standing

    def start(self) -> None:
        """Follow the file in a thread, until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            try:
                self.look()
            except Exception:
                # whatever it is, the policy in force stays in force, and we go on looking
                _logger.exception("the policy could not be looked at")

    def look(self) -> Standing:
        """Read the file and act on a change; return how the policy stands then."""
        with self._lock:
            digest = self._digest()
            if digest != self._seen:
                self._seen = digest
                self._change(digest)
            return self._standing

    def _digest(self) -> str:
        try:
            return hashlib.sha256(self._path.read_bytes()).hexdigest()
        except OSError as error:
            return f"unreadable: {error.strerror}"

    def _change(self, digest: str) -> None:
        now = self._standing
        if digest == self._policy.digest:
            self._standing = Standing(digest, now.reloads, now.refused)
            _logger.info("the policy file is again the one in force: %s", digest)
            return
        try:
            fresh = load_policy(self._path)
            fixed = tuple(self._only_at_start(fresh))
            if fixed:
                raise PolicyInvalid(fixed)
        except PolicyInvalid as error:
            self._standing = Standing(now.digest, now.reloads, now.refused + 1, error.problems)
            _logger.error(
                "the changed policy is refused, %s stays in force: %s",
                now.digest,
                error.diagnostics(),
            )
            return
        self._adopt(fresh)
        self._policy = fresh
        self._seen = fresh.digest
        self._standing = Standing(fresh.digest, now.reloads + 1, now.refused)
        _logger.info("another policy is in force: %s, before %s", fresh.digest, now.digest)

    def _only_at_start(self, fresh: Policy) -> list[Problem]:
        return [
            problem(
                "policy.needs-restart",
                "this part of the policy takes effect only when the runner starts",
                value=getattr(fresh, name),
                expected=f"{getattr(self._policy, name)}, as when the runner started",
                advice="restart the runner, or take this change back",
                where=f"/{name}"
                if name in ("image", "registry", "distribution")
                else f"/sandbox/{name}",
            )
            for name in _FIXED
            if getattr(fresh, name) != getattr(self._policy, name)
        ]
