"""The table and the plot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import log10
from typing import Any
from xml.sax.saxutils import escape

OURS = frozenset(
    {
        "http_warm", "pool", "cell_warm", "cells", "gvisor_warm",
        "http_engine", "pool_engine", "cell_engine",
    }
)  # fmt: skip


def table(report: Mapping[str, Any]) -> str:
    """Return the report as text: figures, rates, ratios with their goals."""
    lines = [f"{'milliseconds a call':<58} {'calls':>5} {'median':>9} {'p95':>9}"]
    for name, figures in report["latency"].items():
        lines.append(
            f"  {name:<20} {figures['title'][:35]:<35} {figures['calls']:>5}"
            f" {figures['median_ms']:>9.1f} {figures['p95_ms']:>9.1f}"
        )
    lines += ["", f"{'executions a second, saturated':<58} {'clients':>7} {'rate':>9}"]
    for name, figures in report["sustained"].items():
        lines.append(
            f"  {name:<20} {figures['title'][:35]:<35} {figures['clients']:>7}"
            f" {figures['per_second']:>9.1f}"
        )
    lines += ["", f"{'ratio':<40} {'value':>9} {'goal':>10} {'met':>5}"]
    for name, ratio in report["ratios"].items():
        if ratio["value"] is None:
            lines.append(f"  {name:<38} not available: {ratio['not_available']}")
            continue
        sign = "<=" if ratio["goal_is"] == "at most" else ">="
        goal = f"{sign} {ratio['goal']:g}" if ratio["goal"] is not None else ""
        met = {True: "yes", False: "NO", None: ""}[ratio["met"]]
        lines.append(f"  {name:<38} {ratio['value']:>9.3f} {goal:>10} {met:>5}")
    for name, reason in report["not_available"].items():
        lines.append(f"  {name}: not available: {reason}")
    return "\n".join(lines)


WIDTH, ROW, LEFT, RIGHT, HEAD = 960, 26, 420, 70, 64


def _bars(
    title: str, unit: str, values: Mapping[str, tuple[str, float, float | None]], top: int
) -> Iterator[str]:
    """Yield a bar chart with a logarithmic axis; a value is (title, figure, whisker)."""
    ends = [max(figure, whisker or 0.0) for _, figure, whisker in values.values()]
    low = 10 ** int(log10(min(figure for _, figure, _ in values.values())) // 1)
    high = 10 ** (int(log10(max(ends)) // 1) + 1)
    scale = (WIDTH - LEFT - RIGHT) / (log10(high) - log10(low))

    def place(figure: float) -> float:
        return round(LEFT + (log10(max(figure, low)) - log10(low)) * scale, 1)

    bottom = top + HEAD + ROW * len(values)
    yield f'<text class="h" x="16" y="{top + 26}">{escape(title)}</text>'
    step = low
    while step <= high:
        x = place(step)
        yield f'<line class="g" x1="{x}" x2="{x}" y1="{top + HEAD - 8}" y2="{bottom}"/>'
        yield f'<text class="a" x="{x}" y="{top + HEAD - 14}">{step:g} {unit}</text>'
        step *= 10
    for number, (name, (label, figure, whisker)) in enumerate(values.items()):
        y = top + HEAD + ROW * number
        kind = "o" if name in OURS else "b"
        end = place(figure)
        yield f'<text class="l" x="{LEFT - 10}" y="{y + 15}">{escape(label)}</text>'
        yield f'<rect class="{kind}" x="{LEFT}" y="{y + 3}" width="{end - LEFT:.1f}" height="16"/>'
        if whisker is not None:
            yield f'<line class="w" x1="{end}" x2="{place(whisker)}" y1="{y + 11}" y2="{y + 11}"/>'
            end = max(end, place(whisker))
        yield f'<text class="v" x="{end + 6}" y="{y + 15}">{figure:.3g}</text>'


_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1c2733 } .h { font-size: 16px; font-weight: 600 }
.l { text-anchor: end } .a { text-anchor: middle; font-size: 11px; fill: #5b6875 }
.g { stroke: #dde3e8 } .w { stroke: #1c2733 } .o { fill: #1f7a5c } .b { fill: #a9b6c2 }
"""


def plot(report: Mapping[str, Any]) -> str:
    """Return both charts as SVG: Sealgate in green, everything else in grey."""
    latency = {
        name: (figures["title"], figures["median_ms"], figures["p95_ms"])
        for name, figures in sorted(report["latency"].items(), key=lambda i: i[1]["median_ms"])
    }
    rates = {
        name: (figures["title"], figures["per_second"], None)
        for name, figures in sorted(report["sustained"].items(), key=lambda i: -i[1]["per_second"])
    }
    parts: list[str] = []
    top = 0
    charts: tuple[tuple[str, str, Mapping[str, tuple[str, float, float | None]]], ...] = (
        ("One call: median, and a line to the 95th percentile", "ms", latency),
        ("Saturated: executions a second", "/s", rates),
    )
    for title, unit, values in charts:
        if values:
            parts += _bars(title, unit, values, top)
            top += HEAD + ROW * len(values) + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {max(top, 40)}" role="img" '
        f'aria-label="Sealgate beside other ways to run a job">\n<style>{_STYLE}</style>\n'
        f'<rect width="{WIDTH}" height="{max(top, 40)}" fill="#fff"/>\n' + "\n".join(parts)
        + "\n</svg>\n"
    )  # fmt: skip
