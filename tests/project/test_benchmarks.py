"""The runner's benchmark: its parts, its result file, and the ratios that it states. No timings."""

from __future__ import annotations

import ast
import importlib
import json
import math
import statistics
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.runner_bench import job, measure, ratios, report
from benchmarks.runner_bench.variant import NotAvailable, TurnedAway, Variant

ROOT = Path(__file__).parents[2]
RESULT = ROOT / "benchmarks" / "results" / "runner.json"
PARTS = sorted((ROOT / "benchmarks" / "runner_bench").glob("*.py"))
GOALS = {
    "http_warm_vs_subprocess": ("at most", 0.40),
    "http_warm_vs_docker_run": ("at most", 0.05),
    "http_engine_vs_subprocess": ("at most", 0.40),
    "http_engine_vs_docker_run": ("at most", 0.05),
    "engine_sustained_vs_cold_sdk": ("at least", 3.0),
    "sustained_vs_cold_sdk": ("at least", 3.0),
    "cell_sustained_vs_cold_sdk": ("at least", 40.0),
    "cell_sustained_vs_subprocess": ("at least", 3.0),
    "cell_warm_vs_subprocess": ("at most", 0.30),
    "cell_engine_sustained_vs_cold_sdk": ("at least", 40.0),
    "cell_engine_sustained_vs_subprocess": ("at least", 3.0),
    "cell_engine_vs_subprocess": ("at most", 0.30),
}


def figures(*samples: float) -> dict[str, Any]:
    return {"title": "a variant", **measure.summary(samples)}


def made_up() -> dict[str, Any]:
    """A report in which everything ran but llm-sandbox."""
    latency = {
        ratio.over if side else ratio.under: figures(2.0, 4.0, 6.0) if side else figures(10.0, 20.0)
        for ratio in ratios.RATIOS
        if ratio.kind == "latency"
        for side in (False, True)
    }
    del latency["llm_sandbox"]
    sustained = {
        name: {"title": name, "clients": 4, "window_seconds": 8.0, "per_second": rate,
               "rates_by_clients": {"2": [1.0], "4": [rate]}}
        for name, rate in (("http_warm", 21.0), ("pool", 22.0), ("cell_warm", 300.0),
                           ("cold_sdk", 7.0), ("subprocess", 120.0))
    }  # fmt: skip
    made: dict[str, Any] = {
        "latency": latency,
        "sustained": sustained,
        "not_available": {"llm_sandbox": "no package index"},
    }
    return made | {"ratios": ratios.compute(made)}


@pytest.mark.parametrize("path", PARTS, ids=lambda path: path.stem)
def test_every_part_imports(path: Path) -> None:
    if path.stem.startswith("peer_"):  # runs in the peer's own environment
        ast.parse(path.read_text())
        return
    importlib.import_module(f"benchmarks.runner_bench.{path.stem}")


def test_the_benchmark_imports_the_product_and_not_itself() -> None:
    """`benchmarks/runner.py` has the name of the package that it measures."""
    runner = importlib.import_module("runner")
    assert runner.__file__ is not None
    assert Path(runner.__file__).parent == ROOT / "runner"
    source = (ROOT / "benchmarks" / "runner.py").read_text()
    assert source.index("sys.path.insert(0") < source.index("from benchmarks.runner_bench")


def test_every_form_of_the_job_is_the_same_job(capsys: pytest.CaptureFixture[str]) -> None:
    space: dict[str, Any] = {}
    exec(job.FUNCTION, space)
    job.check(space["run"](job.ARGUMENTS))
    exec(job.embedded(), {})
    job.check(capsys.readouterr().out)
    assert job.FUNCTION in job.SCRIPT
    with pytest.raises(AssertionError):
        job.check('{"total": 1}')


def test_the_goals_are_the_documented_ones() -> None:
    stated = ratios.compute({"latency": {}, "sustained": {}, "not_available": {}})
    assert {
        name: (line["goal_is"], line["goal"])
        for name, line in stated.items()
        if line["goal"] is not None
    } == GOALS
    text = (ROOT / "benchmarks" / "README.md").read_text()
    for name in stated:
        assert f"`{name}`" in text, f"benchmarks/README.md does not say what {name} is"


def test_ratios_follow_from_the_figures_and_goals_have_two_sides() -> None:
    stated = made_up()["ratios"]
    assert stated["http_warm_vs_subprocess"]["value"] == pytest.approx(4.0 / 15.0, abs=1e-4)
    assert stated["http_warm_vs_subprocess"]["met"] is True
    assert stated["http_warm_vs_docker_run"]["met"] is False
    assert stated["sustained_vs_cold_sdk"] == {
        "kind": "sustained", "over": "http_warm", "under": "cold_sdk", "value": 3.0,
        "goal": 3.0, "goal_is": "at least", "met": True,
    }  # fmt: skip
    assert stated["cell_sustained_vs_subprocess"]["met"] is False


def test_what_did_not_run_has_a_reason_and_no_figure() -> None:
    line = made_up()["ratios"]["http_warm_vs_llm_sandbox"]
    assert line["value"] is None
    assert line["met"] is None
    assert line["not_available"] == "llm_sandbox: no package index"


def test_the_percentile_is_a_sample() -> None:
    assert measure.percentile(range(1, 101), 0.95) == 95
    assert measure.percentile([3.0], 0.95) == 3.0
    assert measure.summary([1.0, 2.0, 9.0])["median_ms"] == 2.0


class Fake(Variant):
    """A variant whose calls are counted, and that may break down."""

    def __init__(self, name: str, *, breaks: int = 10**9, opens: bool = True) -> None:
        super().__init__(name, name, settles=False, clients=(2,))
        self.made, self._breaks, self._opens = 0, breaks, opens

    @contextmanager
    def open(self) -> Iterator[None]:
        if not self._opens:
            raise NotAvailable("this machine has none")
        yield

    def call(self) -> None:
        self.made += 1
        if self.made > self._breaks:
            raise ValueError(f"broke in {ROOT}/somewhere")


def test_a_variant_that_cannot_run_or_breaks_is_told_and_the_others_go_on() -> None:
    missing, breaking, sound = Fake("a", opens=False), Fake("b", breaks=5), Fake("c")
    with ExitStack() as stack:
        ready, reasons = measure.open_all([missing, breaking, sound], stack, lambda _: None)
        assert reasons == {"a": "this machine has none"}
        found = measure.latency(ready, 4, reasons, lambda _: None)
    assert set(found) == {"c"}
    assert found["c"]["calls"] == 4
    assert reasons["b"] == "failed in call 3: ValueError: broke in ./somewhere"


def test_saturation_counts_only_what_ends_within_the_window() -> None:
    ends: list[float] = []

    def call() -> None:
        time.sleep(0.01)
        ends.append(time.monotonic())

    start = time.monotonic()
    count, turned_away = measure.burst(call, 3, 0.2, 0.1)
    assert turned_away == 0
    assert 0 < count < len(ends)
    assert count <= sum(end >= start + 0.1 for end in ends)


def test_a_call_that_is_turned_away_is_not_an_execution() -> None:
    def call() -> None:
        time.sleep(0.01)
        raise TurnedAway

    count, turned_away = measure.burst(call, 2, 0.1, 0.0)
    assert count == 0
    assert turned_away > 0


def test_table_and_plot_have_every_figure() -> None:
    made = made_up()
    text = report.table(made)
    for name in (*made["latency"], *made["ratios"]):
        assert name in text
    assert "llm_sandbox: not available: no package index" in text
    drawn = ET.fromstring(report.plot(made))
    bars = [each for each in drawn.iter() if each.tag.endswith("}rect")]
    assert len(bars) == 1 + len(made["latency"]) + len(made["sustained"])
    assert ET.fromstring(report.plot({"latency": {}, "sustained": {}})) is not None


@pytest.fixture(scope="module")
def committed() -> dict[str, Any]:
    result: dict[str, Any] = json.loads(RESULT.read_text())
    return result


def test_the_result_has_the_documented_shape(committed: dict[str, Any]) -> None:
    assert committed["schema_version"] == 1
    assert set(committed) == {
        "schema_version", "measured_at", "machine", "settings", "latency", "sustained",
        "not_available", "ratios",
    }  # fmt: skip
    machine = committed["machine"]
    for name in ("cpu", "cores", "kernel", "python", "load_average_before", "load_average_after"):
        assert machine[name], name
    for name in ("version", "runc", "cgroup_version"):
        assert machine["engine"][name], name
    for name, line in committed["latency"].items():
        assert line["title"], name
        assert line["calls"] == len(line["samples_ms"]), name
        few = name == "llm_sandbox_default"  # ten seconds a call; in no ratio
        assert few or line["calls"] >= 30, name
    names = {*committed["latency"], *committed["not_available"]}
    assert names >= {side for ratio in ratios.RATIOS for side in (ratio.over, ratio.under)}


def test_the_stated_figures_are_what_the_raw_ones_give(committed: dict[str, Any]) -> None:
    for name, line in committed["latency"].items():
        samples = line["samples_ms"]
        assert math.isclose(line["median_ms"], statistics.median(samples), abs_tol=6e-4), name
        assert math.isclose(line["p95_ms"], measure.percentile(samples, 0.95), abs_tol=6e-4), name
    for name, line in committed["sustained"].items():
        best = statistics.median(line["rates_by_clients"][str(line["clients"])])
        assert math.isclose(line["per_second"], best, abs_tol=6e-4), name
        assert best == max(map(statistics.median, line["rates_by_clients"].values())), name
    assert committed["ratios"] == ratios.compute(committed)


def test_the_plot_is_the_committed_result_s(committed: dict[str, Any]) -> None:
    assert RESULT.with_suffix(".svg").read_text() == report.plot(committed)
