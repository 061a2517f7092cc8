"""What the supervisor counts for a call, and what it leaves to the container's own start."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sandbox.harness import meters


def test_what_the_runtime_was_denied_at_its_start_is_not_the_plugin_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime's threads start under the plugin's limits, and may run into them."""
    for name, number in (("cpu", 9_000_000), ("peak", 4096)):
        (tmp_path / name).write_text(str(number))
    (tmp_path / "pids.events").write_text("max 3\n")
    (tmp_path / "oom").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    monkeypatch.setattr(meters, "_CPU", ((str(tmp_path / "cpu"), "", 1_000_000),))
    monkeypatch.setattr(meters, "_PEAK", ((str(tmp_path / "peak"), "", 1024),))
    monkeypatch.setattr(meters, "_DENIED", ((str(tmp_path / "pids.events"), "max", 1),))
    monkeypatch.setattr(meters, "_KILLED", ((str(tmp_path / "oom"), "oom_kill", 1),))
    made = meters.Meters()
    made.begin()
    assert made.totals()[1:] == (0, 4, 0, 0)
    (tmp_path / "pids.events").write_text("max 5\n")
    (tmp_path / "oom").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    assert made.totals()[1:] == (0, 4, 1, 2)
    made.close()
