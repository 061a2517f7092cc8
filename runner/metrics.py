"""Prometheus metrics of one runner, in a registry of their own (prometheus-client).

No label has a value that a caller or a plugin chooses: statuses, refusal codes, phases and states
are words of ours, callers and plugins are in the audit log.
"""

from __future__ import annotations

import itertools
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from runner.audit import Audit
from runner.live_policy import Standing
from runner.revocations.follower import Figures as RevocationFigures
from runner.sandbox.cell.homes import CellState
from runner.sandbox.pool import PoolState
from trust.errors import Problem, SealgateError

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class DistributionFigures:
    """How the TUF repository is followed; `refreshed` is in seconds since the epoch."""

    seconds_left: float
    refreshed: float
    failures: int
    trust_in_force: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Gauges(Collector):
    """What is asked for when somebody looks, not counted as it happens; each with whom to ask."""

    pool: Callable[[], PoolState | None]
    policy: Callable[[], Standing | None]
    audit: Audit
    layout_expires: Callable[[], datetime]
    running: Callable[[], int]
    cells: Callable[[], CellState] | None = None
    distribution: Callable[[], DistributionFigures] | None = None
    revocations: Callable[[], RevocationFigures] | None = None

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Return the gauges as they are now."""
        yield GaugeMetricFamily("sealgate_calls_running", "Calls under way.", value=self.running())
        yield from _audited(self.audit)
        yield GaugeMetricFamily(
            "sealgate_layout_expires_timestamp_seconds",
            "When the layout ends; nothing is admitted after that.",
            value=self.layout_expires().timestamp(),
        )
        if self.distribution is not None:
            yield from self._distributed(self.distribution())
        if self.revocations is not None:
            yield from _revoked(self.revocations())
        pool = self.pool()
        if pool is not None:
            states = GaugeMetricFamily(
                "sealgate_pool", "Containers and waiting calls by state.", labels=["state"]
            )
            for name in ("ready", "starting", "busy", "waiting"):
                states.add_metric([name], getattr(pool, name))
            yield states
        if self.cells is not None:
            cells = self.cells()
            yield GaugeMetricFamily(
                "sealgate_cell_containers",
                "Containers that hold cells.",
                value=cells.containers,
            )
            yield GaugeMetricFamily(
                "sealgate_cell_calls_running", "Calls that have a cell.", value=cells.running
            )
        policy = self.policy()
        if policy is not None:
            yield GaugeMetricFamily(
                "sealgate_policy_file_in_force",
                "1 where the policy file is the policy in force, 0 where it was refused.",
                value=0 if policy.problems else 1,
            )
            yield GaugeMetricFamily(
                "sealgate_policy_reloads", "Policies that took force.", value=policy.reloads
            )
            yield GaugeMetricFamily(
                "sealgate_policy_refused", "Changed policies refused.", value=policy.refused
            )

    @staticmethod
    def _distributed(figures: DistributionFigures) -> Iterable[GaugeMetricFamily]:
        yield GaugeMetricFamily(
            "sealgate_distribution_seconds_left",
            "How long new versions are still admitted if the TUF repository is not refreshed.",
            value=figures.seconds_left,
        )
        yield GaugeMetricFamily(
            "sealgate_distribution_refreshed_timestamp_seconds",
            "When the TUF repository was last refreshed; 0 for never.",
            value=figures.refreshed,
        )
        yield GaugeMetricFamily(
            "sealgate_distribution_refreshes_failed",
            "Refreshes of the TUF repository that failed.",
            value=figures.failures,
        )
        yield GaugeMetricFamily(
            "sealgate_distribution_trust_in_force",
            "1 where the repository's layout and trusted root are in force, 0 where refused.",
            value=int(figures.trust_in_force),
        )


def _audited(audit: Audit) -> Iterable[GaugeMetricFamily]:
    with suppress(SealgateError):  # a log that cannot be read has no size; the rest is still shown
        yield GaugeMetricFamily(
            "sealgate_audit_entries", "Entries of the audit log.", value=audit.reader.size
        )
    yield GaugeMetricFamily(
        "sealgate_audit_owed", "Records that wait for the log to work again.", value=audit.owed
    )
    yield GaugeMetricFamily(
        "sealgate_audit_files_behind",
        "1 where entrypoint.log cannot be written now; it is made up for later.",
        value=int(audit.behind),
    )
    yield GaugeMetricFamily(
        "sealgate_audit_copies_lost",
        "Lines of records that could not be copied to stdout, since the start.",
        value=audit.lost_copies,
    )


def _revoked(figures: RevocationFigures) -> Iterable[GaugeMetricFamily]:
    yield GaugeMetricFamily(
        "sealgate_revocations_seconds_left",
        "How long calls are still admitted if no fresh head of the revocation log comes.",
        value=figures.seconds_left,
    )
    yield GaugeMetricFamily(
        "sealgate_revocations_log_entries",
        "Entries of the revocation log that are known.",
        value=figures.entries,
    )
    yield GaugeMetricFamily(
        "sealgate_revocations_in_force", "Revocations that hold now.", value=figures.in_force
    )
    yield GaugeMetricFamily(
        "sealgate_revocations_polls_failed",
        "Looks at the revocation log that failed.",
        value=figures.failures,
    )


class Phases(Collector):
    """The seconds of calls by phase. Several are noted in every call, so each costs one addition
    and no look for its labels; the exposition is made when somebody asks for it.
    """

    def __init__(self) -> None:
        """Begin with no phase."""
        self._lock = threading.Lock()
        self._counts: dict[str, list[int]] = {}
        self._sums: dict[str, float] = {}

    def note(self, name: str, seconds: float) -> None:
        """Note how long a phase took."""
        place = bisect_left(BUCKETS, seconds)
        with self._lock:
            counts = self._counts.get(name)
            if counts is None:
                counts = self._counts[name] = [0] * (len(BUCKETS) + 1)
                self._sums[name] = 0.0
            counts[place] += 1
            self._sums[name] += seconds

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Return the histogram as it is now."""
        family = HistogramMetricFamily(
            "sealgate_call_seconds",
            "Seconds of a call by phase: decide, record, execute, outcome; total is all of it.",
            labels=["phase"],
        )
        bounds = [*map(str, BUCKETS), "+Inf"]
        with self._lock:
            for name, counts in self._counts.items():
                buckets = list(zip(bounds, itertools.accumulate(counts), strict=True))
                family.add_metric([name], buckets, self._sums[name])
        yield family


class Metrics:
    """Counters and histograms; safe to share between threads."""

    def __init__(self) -> None:
        """Make them all, at zero."""
        self._registry = CollectorRegistry()
        self._calls = Counter(
            "sealgate_calls", "Calls by status.", ["status"], registry=self._registry
        )
        self._refusals = Counter(
            "sealgate_refusals",
            "Calls that ended with a problem, by the first problem's code.",
            ["code"],
            registry=self._registry,
        )
        self._stopped = Counter(
            "sealgate_calls_stopped",
            "Calls under way that were stopped, by reason: revoked or cancelled.",
            ["reason"],
            registry=self._registry,
        )
        self._phases = Phases()
        self._registry.register(self._phases)

    def watch(self, gauges: Gauges) -> None:
        """Add the gauges."""
        self._registry.register(gauges)

    def phase(self, name: str, seconds: float) -> None:
        """Note how long a phase took."""
        self._phases.note(name, seconds)

    def ended(self, status: str, problems: Iterable[Problem]) -> None:
        """Note how a call ended; the first problem's code is its reason."""
        self._calls.labels(status).inc()
        for found in problems:
            self._refusals.labels(found.code).inc()
            return

    def stopped(self, reason: str) -> None:
        """Note that a call under way was stopped."""
        self._stopped.labels(reason).inc()

    def text(self) -> bytes:
        """Return the exposition format, version 0.0.4."""
        return generate_latest(self._registry)
