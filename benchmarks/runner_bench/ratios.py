"""The ratios: what each is made of, its goal, and whether that is met. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ratio:
    """One ratio: `over` divided by `under`, each the name of a variant in `kind`.

    `kind` is `latency` (medians; less is better) or `sustained` (rates; more is better).
    """

    name: str
    kind: str
    over: str
    under: str
    goal: float | None = None


RATIOS = (
    Ratio("http_warm_vs_subprocess", "latency", "http_warm", "subprocess", 0.40),
    Ratio("http_warm_vs_docker_run", "latency", "http_warm", "docker_run", 0.05),
    Ratio("http_warm_vs_cold_sdk", "latency", "http_warm", "cold_sdk"),
    Ratio("http_warm_library_vs_subprocess", "latency", "http_warm_library", "subprocess"),
    Ratio("pool_vs_subprocess", "latency", "pool", "subprocess"),
    Ratio("http_warm_vs_epicbox", "latency", "http_warm", "epicbox"),
    Ratio("http_warm_vs_llm_sandbox", "latency", "http_warm", "llm_sandbox"),
    Ratio("http_warm_vs_llm_sandbox_session", "latency", "http_warm", "llm_sandbox_session"),
    Ratio("http_engine_vs_subprocess", "latency", "http_engine", "subprocess", 0.40),
    Ratio("http_engine_vs_docker_run", "latency", "http_engine", "docker_run", 0.05),
    Ratio("gvisor_warm_vs_subprocess", "latency", "gvisor_warm", "subprocess"),
    Ratio("cell_warm_vs_subprocess", "latency", "cell_warm", "subprocess", 0.30),
    Ratio("cell_warm_library_vs_subprocess", "latency", "cell_warm_library", "subprocess"),
    Ratio("cells_vs_subprocess", "latency", "cells", "subprocess"),
    Ratio("cell_engine_vs_subprocess", "latency", "cell_engine", "subprocess", 0.30),
    Ratio("sustained_vs_cold_sdk", "sustained", "http_warm", "cold_sdk", 3.0),
    Ratio("engine_sustained_vs_cold_sdk", "sustained", "http_engine", "cold_sdk", 3.0),
    Ratio("pool_sustained_vs_cold_sdk", "sustained", "pool", "cold_sdk"),
    Ratio("cell_sustained_vs_cold_sdk", "sustained", "cell_warm", "cold_sdk", 40.0),
    Ratio("cell_sustained_vs_subprocess", "sustained", "cell_warm", "subprocess", 3.0),
    Ratio("cell_engine_sustained_vs_cold_sdk", "sustained", "cell_engine", "cold_sdk", 40.0),
    Ratio("cell_engine_sustained_vs_subprocess", "sustained", "cell_engine", "subprocess", 3.0),
)

FIGURE = {"latency": "median_ms", "sustained": "per_second"}


def _reason(report: Mapping[str, Any], kind: str, name: str) -> str | None:
    if name in report[kind]:
        return None
    return f"{name}: {report['not_available'].get(name, 'not measured')}"


def compute(report: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every ratio of a report, with its goal, or why there is none.

    Args:
        report: has `latency`, `sustained` and `not_available` as the result file has.
    """
    result: dict[str, dict[str, Any]] = {}
    for ratio in RATIOS:
        line: dict[str, Any] = {
            "kind": ratio.kind,
            "over": ratio.over,
            "under": ratio.under,
            "value": None,
            "goal": ratio.goal,
            "goal_is": "at most" if ratio.kind == "latency" else "at least",
            "met": None,
        }
        missing = [
            reason
            for name in (ratio.over, ratio.under)
            if (reason := _reason(report, ratio.kind, name))
        ]
        if missing:
            line["not_available"] = "; ".join(missing)
        else:
            key = FIGURE[ratio.kind]
            over, under = (report[ratio.kind][name][key] for name in (ratio.over, ratio.under))
            line["value"] = round(over / under, 4)
            if ratio.goal is not None:
                less = ratio.kind == "latency"
                line["met"] = bool(line["value"] <= ratio.goal if less else
                                   line["value"] >= ratio.goal)  # fmt: skip
        result[ratio.name] = line
    return result
