"""What /metrics shows, read by Prometheus's own parser."""

from __future__ import annotations

import io
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from runner.audit import Audit
from runner.copies import StandardOutput
from runner.copy_files import CopyFiles
from runner.metrics import BUCKETS, Gauges, Metrics
from runner.sandbox.cell import CellSandbox
from runner.sandbox.cell.homes import CellState
from tests.runner.kit import Site
from tests.support.sandbox import job
from trust.log import NoteSigner


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


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def watched(audit: Audit, cells: Callable[[], CellState] | None = None) -> Metrics:
    metrics = Metrics()
    metrics.watch(
        Gauges(
            pool=lambda: None,
            policy=lambda: None,
            audit=audit,
            layout_expires=lambda: datetime.now(UTC),
            running=lambda: 0,
            cells=cells,
        )
    )
    return metrics


def gauge(metrics: Metrics, name: str) -> float | None:
    return samples(metrics).get((f"sealgate_{name}", "", ""))


def test_records_that_are_owed_are_shown_until_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "audit.sqlite"
    audit = Audit(path, NoteSigner.generate("test.local/audit"))
    metrics = watched(audit)
    try:
        audit.append({"n": 1, "problems": []})
        assert (gauge(metrics, "audit_entries"), gauge(metrics, "audit_owed")) == (1, 0)
        path.rename(tmp_path / "away")
        audit.owe({"n": 2, "problems": []})
        assert gauge(metrics, "audit_owed") == 1
        (tmp_path / "away").rename(path)
        until(lambda: gauge(metrics, "audit_owed") == 0)
        assert gauge(metrics, "audit_entries") == 2
    finally:
        audit.close()


def test_a_log_that_cannot_be_read_takes_no_other_figure_away(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.sqlite", NoteSigner.generate("test.local/audit"))
    metrics = watched(audit)
    audit.close()
    assert (gauge(metrics, "audit_entries"), gauge(metrics, "audit_owed")) == (None, 0)


def test_a_file_that_is_behind_is_shown_until_it_has_caught_up(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    files = CopyFiles(folder / "entrypoint.log")
    audit = Audit(tmp_path / "audit.sqlite", NoteSigner.generate("test.local/audit"), files=files)
    metrics = watched(audit)
    try:
        assert gauge(metrics, "audit_files_behind") == 0
        folder.rename(tmp_path / "away")
        audit.append({"n": 1, "problems": []})
        until(lambda: gauge(metrics, "audit_files_behind") == 1)
        (tmp_path / "away").rename(folder)
        until(lambda: gauge(metrics, "audit_files_behind") == 0)
        assert len(files.path.read_bytes().splitlines()) == 1
    finally:
        audit.close()


def test_copies_that_are_lost_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.TextIOWrapper(io.BytesIO())
    closed.close()
    audit = Audit(
        tmp_path / "audit.sqlite", NoteSigner.generate("test.local/audit"), [StandardOutput()]
    )
    metrics = watched(audit)
    try:
        with monkeypatch.context() as broken:
            broken.setattr(sys, "stdout", closed)
            audit.append({"n": 1, "problems": []})
            until(lambda: gauge(metrics, "audit_copies_lost") == 1)
    finally:
        audit.close()


def test_a_runner_shows_what_its_audit_knows(site: Site) -> None:
    with site.runner() as calls:
        calls.call()
        text = calls.get("/metrics").get_data(as_text=True)
    shown = {
        sample.name: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    names = ("sealgate_audit_owed", "sealgate_audit_files_behind", "sealgate_audit_copies_lost")
    assert [shown[name] for name in names] == [0, 0, 0]
    assert "sealgate_cell_containers" not in shown, "a runner without cells"


@pytest.mark.docker
def test_containers_of_cells_and_calls_in_them_are_shown(image_id: str, tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.sqlite", NoteSigner.generate("test.local/audit"))
    during: list[tuple[float | None, float | None]] = []
    with CellSandbox.connect(image_id) as cells:
        metrics = watched(audit, cells.state)

        def shown() -> tuple[float | None, float | None]:
            return gauge(metrics, "cell_containers"), gauge(metrics, "cell_calls_running")

        before = shown()
        made = replace(
            job("def run(arguments):\n    return 1\n"),
            level="cell",
            clear=lambda: during.append(shown()),
        )
        assert cells.execute(made).status == "ok"
        after = shown()
    assert (before, during, after, shown()) == ((0, 0), [(1, 1)], (1, 0), (0, 0))
    audit.close()
