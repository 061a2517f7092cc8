"""Following one TUF repository with unmodified `tuf.ngclient`.

One `Updater` of python-tuf for each refresh (TUF specification 5.3 to 5.6), the verified metadata
persisted by it in the runner's folder, the pinned root as its bootstrap. The last one that
succeeded answers questions (5.6.7, 5.7) until the next one does. A refresh that fails changes
nothing; when none has succeeded for `max_age_seconds`, or when the metadata at hand expires,
nothing is answered any more.

The time is the runner's guarded clock, so that a wall clock that is set back does not make expired
metadata valid again.
"""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tuf.api.exceptions import DownloadError, RepositoryError
from tuf.api.metadata import Metadata, TargetFile
from tuf.ngclient import Updater, UpdaterConfig

from runner.clock import Clock
from runner.distribution import refusals
from runner.distribution.fetcher import (
    FILE_SECONDS,
    REFRESH_SECONDS,
    WHEEL_SECONDS,
    BoundedFetcher,
    KeptFetcher,
)
from runner.http_get import Bounds, get
from trust.errors import Problem, SealgateError
from trust.tuf import names

TOP_LEVEL: Final = ("root", "timestamp", "snapshot", "targets", names.PUBLISHED)
LIMITS: Final = UpdaterConfig(
    max_root_rotations=256,
    max_delegations=8,
    root_max_length=512_000,
    timestamp_max_length=16_384,
    snapshot_max_length=2_000_000,
    targets_max_length=5_000_000,
)
"""Bounds of python-tuf's client: steps, and bytes of a file whose length nobody has signed."""
MISS_SECONDS: Final = 0.5
"""How often, at most, a question that finds nothing makes the follower look again."""
MAX_TARGET_BYTES: Final = 64 << 20

_logger = logging.getLogger(__name__)


class DistributionUnavailable(SealgateError):
    """Nothing was learned: no answer, not in time, or nothing fresh enough."""


class DistributionRefused(SealgateError):
    """What the repository offers cannot be used; the problem's code names the attack."""


def _error(*found: Problem) -> DistributionRefused | DistributionUnavailable:
    undecided = all(each.code in refusals.UNDECIDED for each in found)
    return DistributionUnavailable(found) if undecided else DistributionRefused(found)


@dataclass(frozen=True, slots=True)
class Standing:
    """How the runner stands to the repository.

    Attributes:
        refreshed: when it was last refreshed, aware, UTC; None for never.
        good_until: when nothing is answered any more if no refresh succeeds; None for already.
        failures: refreshes that failed since the start.
        versions: role -> version of what is in force.
        problem: why the last refresh failed; None where it did not.
    """

    refreshed: datetime | None = None
    good_until: datetime | None = None
    failures: int = 0
    versions: dict[str, int] | None = None
    problem: Problem | None = None


class Follower:
    """Follows one repository; its methods may be called by any thread."""

    def __init__(
        self,
        url: str,
        root: bytes,
        folder: Path,
        clock: Clock,
        *,
        max_age_seconds: float,
        fetch: Callable[[str, Bounds], bytes] = get,
        seconds: float = FILE_SECONDS,
    ) -> None:
        """Take what to follow.

        Args:
            url: the repository's address, without a trailing slash.
            root: the pinned root metadata.
            folder: where verified metadata is persisted; made with mode 0700.
            clock: the time.
            max_age_seconds: how long the last refresh is good.
            fetch: does one bounded GET; raises `FetchFailed`.
            seconds: the bound on one metadata file.
        """
        self._url = url
        self._root = root
        self._folder = folder
        self._clock = clock
        self._max_age = timedelta(seconds=max_age_seconds)
        self._fetcher = BoundedFetcher(clock.steady, fetch)
        self._seconds = seconds
        self._lock = threading.Lock()
        self._updater: Updater | None = None
        self._looked = float("-inf")
        self._standing = Standing()
        self.targets = folder / "targets"
        for each in (folder, self.targets):
            each.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def standing(self) -> Standing:
        """How it stands now."""
        return self._standing

    def seconds_left(self) -> float:
        """Return how long questions are answered yet if no refresh succeeds, in seconds."""
        until = self._standing.good_until
        return 0.0 if until is None else max(0.0, (until - self._clock.now()).total_seconds())

    # --- refreshing

    def refresh(self) -> Problem | None:
        """Refresh now; return why it failed, or None. What was verified before stays."""
        with self._lock:
            return self._refresh()

    def _make(self, fetcher: BoundedFetcher | KeptFetcher) -> Updater:
        updater = Updater(
            str(self._folder / "metadata"),
            f"{self._url}/metadata/",
            target_base_url=f"{self._url}/targets/",
            fetcher=fetcher,
            config=LIMITS,
            bootstrap=self._root,
        )
        # The one thing that python-tuf does not let its caller say.
        trusted: Any = updater._trusted_set
        if not isinstance(trusted.reference_time, datetime):
            raise TypeError("tuf.ngclient keeps its reference time elsewhere")
        trusted.reference_time = self._clock.now()
        return updater

    def _refresh(self) -> Problem | None:
        self._looked = self._clock.steady()
        now = self._clock.now()
        (self._folder / "metadata").mkdir(mode=0o700, exist_ok=True)
        try:
            with self._fetcher.budget(self._url, REFRESH_SECONDS, self._seconds):
                updater = self._make(self._fetcher)
                updater.refresh()
                # No bin has this path: it loads `published`, so that its expiry counts too.
                updater.get_targetinfo("plugins/-/-/index.json")
            standing = self._settle(now)
            (self._folder / "refreshed").write_text(now.isoformat(), encoding="ascii")
        except Exception as error:
            found = refusals.named(error, self._fetcher.url)
            if not isinstance(error, RepositoryError | DownloadError | OSError):
                _logger.exception("a refresh of the TUF repository failed")
            failures = self._standing.failures + 1
            self._standing = replace(self._standing, failures=failures, problem=found)
            return found
        self._updater = updater
        self._standing = standing
        return None

    def _settle(self, refreshed: datetime) -> Standing:
        """Return the standing after a refresh, from the files that python-tuf has persisted."""
        expires = [refreshed + self._max_age]
        versions = {}
        for role in TOP_LEVEL:
            path = self._folder / "metadata" / f"{role}.json"
            if role == names.PUBLISHED and not path.exists():
                continue
            signed = Metadata[Any].from_bytes(path.read_bytes()).signed
            expires.append(signed.expires)
            versions[role] = signed.version
        return Standing(refreshed, min(expires), self._standing.failures, versions)

    def resume(self) -> Problem | None:
        """Take up what was verified before the runner was restarted, without asking anybody.

        Returns:
            Why it cannot be used, or None. The last refresh's time is what it was.
        """
        with self._lock:
            try:
                kept = (self._folder / "metadata" / "timestamp.json").read_bytes()
                text = (self._folder / "refreshed").read_text(encoding="ascii")
                refreshed = datetime.fromisoformat(text).astimezone(UTC)
                updater = self._make(KeptFetcher(kept))
                updater.refresh()
                standing = self._settle(min(refreshed, self._clock.now()))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is nothing to go on
                return refusals.named(error, "what was kept")
            self._updater = updater
            self._standing = replace(standing, problem=self._standing.problem)
            return None

    # --- questions

    def _current(self) -> Updater:
        """Return what may be asked now.

        Raises:
            DistributionRefused, DistributionUnavailable: nothing fresh enough is at hand.
        """
        standing = self._standing
        if self._updater is None:
            last = standing.problem
            raise _error(*((last,) if last else refusals.stale(0, 0, None)))
        if self.seconds_left() <= 0:
            since = standing.refreshed or self._clock.now()
            age = (self._clock.now() - since).total_seconds()
            raise _error(*refusals.stale(age, self._max_age.total_seconds(), standing.problem))
        return self._updater

    def find(self, path: str) -> TargetFile:
        """Return what the repository signed for a target; look again, once, if it is not there.

        Raises:
            DistributionRefused: no role names it, or what names it cannot be verified.
            DistributionUnavailable: nothing was learned.
        """
        found = self._ask(path)
        if found is None:
            self.look_again()
            found = self._ask(path)
        if found is None:
            raise DistributionRefused(refusals.no_target(path))
        return found

    def _ask(self, path: str) -> TargetFile | None:
        with self._lock:
            if self._updater is None and self._clock.steady() - self._looked >= MISS_SECONDS:
                self._refresh()
            updater = self._current()
            try:
                with self._fetcher.budget(self._url, REFRESH_SECONDS, self._seconds):
                    return updater.get_targetinfo(path)
            except Exception as error:
                raise _error(refusals.named(error, self._fetcher.url)) from error

    def look_again(self) -> None:
        """Refresh, twice a second at most, whoever asks."""
        looked = self._looked
        wait = MISS_SECONDS - (self._clock.steady() - looked)
        if wait > 0:
            time.sleep(wait)
        with self._lock:
            if self._looked == looked:
                self._refresh()

    def has(self, path: str) -> bool:
        """Tell whether the repository names a target.

        Raises:
            DistributionRefused, DistributionUnavailable: it cannot be known.
        """
        return self._ask(path) is not None

    def keep(self, path: str, *, max_bytes: int) -> bytes:
        """Return a target's bytes like `find` and `download`, and keep them for `resume`.

        Raises:
            DistributionRefused, DistributionUnavailable: as those do.
        """
        found = self.find(path)
        kept = self.targets / path.replace("/", "_")
        try:
            data = kept.read_bytes()
            found.verify_length_and_hashes(data)
        except (OSError, RepositoryError):
            data = self.download(found, max_bytes=max_bytes)
            temporary = kept.with_suffix(".new")
            temporary.write_bytes(data)
            temporary.replace(kept)
        return data

    def download(self, target: TargetFile, *, max_bytes: int = MAX_TARGET_BYTES) -> bytes:
        """Return a target's bytes, which have the length and the hash that were signed.

        Raises:
            DistributionRefused: they have not, or the target is larger than `max_bytes`.
            DistributionUnavailable: no answer within the bounds.
        """
        if target.length > max_bytes:
            what = f"{target.length} bytes, at most {max_bytes}"
            raise DistributionRefused(refusals.other_bytes(what, target.path))
        with self._lock:
            updater = self._current()
        try:
            with (
                self._fetcher.budget(self._url, WHEEL_SECONDS, WHEEL_SECONDS),
                tempfile.TemporaryDirectory(dir=self._folder) as folder,
            ):
                path = Path(folder) / "target"
                updater.download_target(target, str(path))
                data = path.read_bytes()
            target.verify_length_and_hashes(data)
        except Exception as error:
            raise _error(refusals.named(error, self._fetcher.url)) from error
        return data
