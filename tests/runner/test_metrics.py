"""What /metrics shows, read by Prometheus's own parser."""

from __future__ import annotations

import threading

from prometheus_client.parser import text_string_to_metric_families

from runner.metrics import BUCKETS, Metrics


def samples(metrics: Metrics) -> dict[tuple[str, str, str], float]:
    return {
        (sample.name, sample.labels.get("phase", ""), sample.labels.get("le", "")): sample.value
        for family in text_string_to_metric_families(metrics.text().decode())
        for sample in family.samples
    }


def test_phases_are_a_histogram() -> None:
    metrics = Metrics()
    for seconds in (0.0005, BUCKETS[0], 0.0011, 0.07, 31.0):
        metrics.phase("execute", seconds)
    metrics.phase("total", 2.0)
    found = samples(metrics)

    def bucket(bound: str) -> float:
        return found["sealgate_call_seconds_bucket", "execute", bound]

    assert [bucket(le) for le in ("0.001", "0.0025", "0.05", "0.1", "30.0", "+Inf")] == [
        *(2, 3, 3, 4, 4, 5)
    ]
    assert found["sealgate_call_seconds_count", "execute", ""] == 5
    assert found["sealgate_call_seconds_sum", "execute", ""] == 0.0005 + 0.001 + 0.0011 + 0.07 + 31
    assert found["sealgate_call_seconds_count", "total", ""] == 1


def test_no_phase_is_lost_between_threads() -> None:
    metrics = Metrics()

    def note() -> None:
        for _ in range(2000):
            metrics.phase("total", 0.01)

    threads = [threading.Thread(target=note) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert samples(metrics)["sealgate_call_seconds_count", "total", ""] == 8000


def test_a_runner_without_calls_shows_no_figures_of_phases() -> None:
    assert not [name for name, *_ in samples(Metrics()) if name.startswith("sealgate_call_sec")]
