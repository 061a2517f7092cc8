"""Following the registry's revocation log without believing the registry.

What holds here: every bundle is verified as evidence is; who may revoke is this runner's policy's
word; the log must extend what was seen before, also before a restart (`trust.revocation.follow`);
and its head must be young. A registry that withholds revocations can only go silent, and then this
runner stops admitting when `max_age_seconds` have passed.

The head's age counts by the time that was signed and by the steady time since it came, whichever
is more. A clock that stands before a head that was accepted earlier was set back: nothing is
admitted then.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from runner.clock import Clock
from runner.http_get import Bounds, get
from runner.policy import Policy
from runner.revocations.recording import Begin, Recording
from runner.revocations.rules import RevocationRule
from runner.revocations.store import Store
from trust.errors import Problem, SealgateError, problem
from trust.evidence.bundles import BundleVerifier
from trust.identity import Identity
from trust.outcomes import Failed
from trust.revocation import (
    Authority,
    Facts,
    FreshHead,
    Revocation,
    RevocationRefused,
    Revocations,
    verify_revocation,
)
from trust.revocation.follow import (
    HEAD_SKEW,
    MAX_LOG_ENTRIES,
    MAX_PAGE_BYTES,
    MAX_PAGE_ENTRIES,
    LogMisbehaves,
    Page,
)

FETCH_SECONDS = 10.0
"""The longest that one page of the log may take."""
MAX_PAGES = MAX_LOG_ENTRIES // MAX_PAGE_ENTRIES + 1
MAX_HANDED = 5_000
"""Bundles of publishers that are kept when they are handed over; revokers have no bound."""

_logger = logging.getLogger(__name__)

Fetch = Callable[[str, Bounds], bytes]


@dataclass(frozen=True, slots=True)
class Figures:
    """How the log stands.

    Attributes:
        seconds_left: until nothing is admitted any more, unless a fresh head comes; 0 from then.
        entries: how many entries of the log are known.
        in_force: how many revocations hold.
        failures: polls that failed since the start.
    """

    seconds_left: float
    entries: int
    in_force: int
    failures: int


class Follower:
    """The revocations that this runner knows; safe to share between threads."""

    def __init__(
        self,
        rule: RevocationRule,
        policy: Policy,
        verifier: BundleVerifier,
        store: Store,
        clock: Clock,
        *,
        fetch: Fetch = get,
    ) -> None:
        """Read and verify again what is kept.

        Args:
            rule: how the log is followed; its key is the store's.
            policy: who may publish what, and where the registry is.
            verifier: bound to the pinned trusted root.
            store: what is kept.
            clock: the time.
            fetch: does one bounded GET; raises `FetchFailed`.

        Raises:
            LogError: the store cannot be read.
        """
        self._verifier = verifier
        self._store = store
        self._clock = clock
        self._fetch = fetch
        self._polling = threading.Lock()
        self._changing = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="revocations", daemon=True)
        self._listeners: list[Callable[[], object]] = []
        self._recording: Recording | None = None
        self._rule, self._policy = rule, policy
        self._known = store.known()
        self._received: float | None = None
        self._trouble: tuple[Problem, ...] = ()
        self._failures = 0
        self._verified: dict[str, Revocation] = {}
        self._set = Revocations((), self._authority())
        self._take(store.bundles())

    # -- what others ask -------------------------------------------------------------------

    def problems(self, facts: Facts) -> tuple[Problem, ...]:
        """Return why what the facts describe must not run, because it was taken back."""
        outcome = self._set.judge(facts, self._clock.now())
        return outcome.problems if isinstance(outcome, Failed) else ()

    def in_force(self) -> tuple[Revocation, ...]:
        """Return what is taken back now."""
        return self._set.in_force(self._clock.now())

    def excluded_reviewers(self) -> frozenset[Identity]:
        """Return the reviewers whose approvals do not count now."""
        return self._set.excluded_reviewers(self._clock.now())

    def seconds_left(self) -> float:
        """Return for how many seconds more the log's head is young enough; 0 or less: it is not."""
        head, now = self._known.head, self._clock.now()
        if head is None or head.signed_at > now + HEAD_SKEW:
            return 0.0
        age = (now - head.signed_at).total_seconds()
        if self._received is not None:
            age = max(age, self._clock.steady() - self._received)
        return self._rule.max_age_seconds - age

    def stale(self) -> tuple[Problem, ...]:
        """Return why nothing may be admitted now; () while the log's head is young enough."""
        left = self.seconds_left()
        if left > 0:
            return ()
        head, now = self._known.head, self._clock.now()
        if head is None:
            what, value = "no revocation log has been seen yet", "never"
        elif head.signed_at > now + HEAD_SKEW:
            what, value = (
                "the clock stands before a revocation log that was seen earlier",
                (f"{now.isoformat()}, log {head.signed_at.isoformat()}"),
            )
        else:
            what = "what was revoked since is not known: the revocation log is too old"
            value = f"{self._rule.max_age_seconds - left:.0f} s"
        stale = problem(
            "revocation.stale",
            what,
            value=value,
            expected=f"a head of the log that is at most {self._rule.max_age_seconds} s old",
            advice="the operator must see why the registry's revocation log cannot be followed",
        )
        return (stale, *self._trouble)

    def notes(self) -> dict[str, Any]:
        """Return what a readiness answer says of the log."""
        figures = self.figures()
        return {
            "seconds_left": round(figures.seconds_left, 1),
            "entries": figures.entries,
            "trouble": [p.as_dict() for p in self._trouble],
        }

    def figures(self) -> Figures:
        """Return how the log stands."""
        left = max(0.0, self.seconds_left())
        return Figures(left, self._known.size, len(self.in_force()), self._failures)

    def listen(self, changed: Callable[[], object]) -> None:
        """Have `changed` called after each poll and each revocation that was handed over."""
        self._listeners.append(changed)

    def record_with(self, begin: Begin) -> None:
        """Have what is handed over put on record, and what was before and is owed."""
        self._recording = Recording(self._store, begin)

    # -- what changes it -------------------------------------------------------------------

    def adopt(self, policy: Policy) -> None:
        """Follow another policy: other revokers, publishers, seconds. The log's key stays."""
        with self._changing:
            self._policy = policy
            self._rule = policy.revocation or self._rule
            self._set = Revocations(self._verified.values(), self._authority())
        self._tell()

    def adopt_verifier(self, verifier: BundleVerifier) -> None:
        """Verify by another trusted root from now on, and what is kept once more."""
        with self._changing:
            self._verifier = verifier
            self._verified = self._read(self._store.bundles())
            self._set = Revocations(self._verified.values(), self._authority())
        self._tell()

    def hand(self, bundle: bytes) -> Revocation:
        """Take a revocation from whoever has one; it is in force, and on record, on return.

        Raises:
            AuditUnavailable: it is in force, and its record is owed.
            EvidenceRefused: the bundle does not verify.
            RevocationRefused: it is no revocation, or its signer may not.
            LogError: it cannot be kept.
        """
        found = verify_revocation(self._verifier, bundle, self._clock.now())
        with self._changing:
            lifted = self._verified.get(found.lifts or "")
            outcome = self._authority().allows(found, lifted)
            if isinstance(outcome, Failed):
                raise RevocationRefused(outcome.problems)
            if found.bundle_sha256 not in self._verified:
                if found.signer not in self._rule.revokers:
                    self._check_room()
                self._store.hand(bundle)
                self._verified[found.bundle_sha256] = found
                self._set = Revocations(self._verified.values(), self._authority())
                _logger.warning("handed over: %s of %s", found.action, found.target)
        self._record(self._tell)
        return found

    def _record(self, meanwhile: Callable[[], object]) -> None:
        """Put on record what is owed; what takes force meanwhile waits for no disk.

        Raises:
            SealgateError: a record is not known to be durable; it is owed still.
        """
        recording = self._recording
        if recording is None:
            meanwhile()
            return
        try:
            with self._changing:
                begun = recording.begin(self._verified)
        finally:
            meanwhile()
        recording.finish(begun)

    def _check_room(self) -> None:
        if self._store.handed >= MAX_HANDED:
            raise RevocationRefused(
                problem(
                    "revocation.too-many",
                    "this runner keeps no more revocations of publishers",
                    value=self._store.handed,
                    expected=f"at most {MAX_HANDED}",
                    advice="send it to the registry, or have a revoker sign it",
                )
            )

    def poll(self) -> None:
        """Ask the registry now, and keep what can be believed.

        Raises:
            FetchFailed: no usable answer.
            LogMisbehaves: what came cannot be reconciled with what is known.
            LogError: it cannot be kept.
        """
        with self._polling:
            try:
                self._poll()
            except SealgateError as error:
                self._failures += 1
                if error.problems != self._trouble:
                    _logger.error("revocations: %s", error.diagnostics())
                self._trouble = error.problems
                raise
            self._trouble = ()
        self._tell()

    def _poll(self) -> None:
        known, asked = self._known, self._clock.steady()
        page = self._page(known.size)
        head = known.check(page, self._rule.log_key, self._clock.now())
        entries = list(page.entries)
        for _ in range(MAX_PAGES):
            if len(entries) >= head.checkpoint.size - known.size or not page.entries:
                break
            page = self._page(known.size + len(entries))
            head = self._younger(head, page)
            entries += page.entries
        extended = known.extend(entries, head)
        self._store.extend(entries, page.head)
        with self._changing:
            # Counted from before the question: an answer that was held back is not young.
            self._known, self._received = extended, asked
        self._take(entries)

    def _younger(self, before: FreshHead, page: Page) -> FreshHead:
        """Return the head of a later page; all entries together must lead to its root."""
        head = FreshHead.verify(page.head, self._rule.log_key)
        if head.signed_at > self._clock.now() + HEAD_SKEW or head.signed_at < before.signed_at:
            raise LogMisbehaves(
                problem("revocation-log.replay", "the heads of two pages contradict each other")
            )
        return head

    def _page(self, since: int) -> Page:
        url = f"{self._rule.url}?since={since}"
        page = Page.parse(self._fetch(url, Bounds(FETCH_SECONDS, MAX_PAGE_BYTES)))
        if page.since != since:
            raise LogMisbehaves(
                problem(
                    "revocation-log.malformed",
                    "the revocation log answered another question",
                    value=page.since,
                    expected=str(since),
                )
            )
        return page

    def _take(self, bundles: Iterable[bytes]) -> None:
        """Count bundles that are kept."""
        found = self._read(bundles)
        if found:
            with self._changing:
                self._verified |= found
                self._set = Revocations(self._verified.values(), self._authority())

    def _read(self, bundles: Iterable[bytes]) -> dict[str, Revocation]:
        """Verify bundles; what does not verify counts for nothing."""
        found = {}
        for bundle in bundles:
            try:
                each = verify_revocation(self._verifier, bundle, self._clock.now())
            except SealgateError as error:
                _logger.error("an entry of the revocation log is ignored: %s", error)
            else:
                found[each.bundle_sha256] = each
        return found

    def _authority(self) -> Authority:
        return Authority(self._rule.revokers, self._policy.publishers_of)

    def _tell(self) -> None:
        for changed in list(self._listeners):
            changed()

    # -- the thread ------------------------------------------------------------------------

    def start(self) -> None:
        """Poll once, then in a thread until `close`; a first poll that fails is only told."""
        self._try()
        self._thread.start()

    def close(self) -> None:
        """Stop polling and close the store."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()
        self._store.close()

    def _run(self) -> None:
        while not self._ended.wait(self._rule.poll_seconds):
            self._try()

    def _try(self) -> None:
        try:
            self._record(lambda: None)
        except SealgateError as error:
            _logger.error("a revocation that was handed over is not on record: %s", error)
        try:
            self.poll()
        except SealgateError:
            # It is told where it is asked for; what holds by time alone may have changed too.
            self._tell()
        except Exception:
            _logger.exception("the revocation log could not be polled")
