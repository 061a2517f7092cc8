"""Measuring: round-robin, so that every variant has its share of a machine's noise."""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from benchmarks.runner_bench.variant import NotAvailable, TurnedAway, Variant

QUIET = 0.15
"""The share of the processors that may be busy when the machine counts as settled."""
BEGIN_SECONDS = 0.2
"""What goes on after a call may begin that much later: a pool looks every tenth of a second."""
SETTLE_SECONDS = 1.5
"""The longest wait for that; a machine that others use never settles."""
ROOT = Path(__file__).parents[2]

Say = Callable[[str], None]
Keep = Callable[[dict[str, dict[str, Any]]], None]


def _jiffies() -> tuple[int, int]:
    """Return (busy, all) clock ticks of all processors since boot (proc(5), /proc/stat)."""
    first = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
    ticks = [int(text) for text in first.split()[1:9]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def settle(limit: float = SETTLE_SECONDS) -> None:
    """Wait until the processors are quiet, at most `limit` seconds."""
    time.sleep(BEGIN_SECONDS)
    end = time.monotonic() + limit
    busy, total = _jiffies()
    while time.monotonic() < end:
        time.sleep(0.1)
        more_busy, more_total = _jiffies()
        if more_total > total and (more_busy - busy) / (more_total - total) < QUIET:
            return
        busy, total = more_busy, more_total


def percentile(samples: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile: the least sample that `share` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(samples: Sequence[float]) -> dict[str, Any]:
    """Return median, p95 and the raw samples of times in milliseconds."""
    return {
        "calls": len(samples),
        "median_ms": round(statistics.median(samples), 3),
        "p95_ms": round(percentile(samples, 0.95), 3),
        "samples_ms": list(samples),
    }


def why(error: BaseException) -> str:
    """Return an error as one line for the result file."""
    text = " ".join(str(error).split()).replace(str(ROOT), ".")[:300]
    return text if isinstance(error, NotAvailable) else f"{type(error).__name__}: {text}"


def open_all(
    variants: Sequence[Variant], stack: ExitStack, say: Say
) -> tuple[list[Variant], dict[str, str]]:
    """Open and warm up every variant; return those that run, and why the others do not."""
    ready: list[Variant] = []
    reasons: dict[str, str] = {}
    for variant in variants:
        mine = ExitStack()
        try:
            mine.enter_context(variant.open())
            for _ in range(min(variant.warm_up, variant.calls or variant.warm_up)):
                variant.call()
        except Exception as error:  # noqa: BLE001 - whatever it is, the others go on
            mine.close()
            reasons[variant.name] = why(error)
            say(f"  {variant.name}: not available: {reasons[variant.name]}")
            continue
        stack.push(mine.pop_all())
        ready.append(variant)
        say(f"  {variant.name}: ready")
    return ready, reasons


def latency(
    variants: Sequence[Variant],
    calls: int,
    reasons: dict[str, str],
    say: Say,
    keep: Keep = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Measure calls one at a time, a round of all variants after the other.

    The order is turned by one each round, so that no variant always follows the same other one.
    """
    samples: dict[str, list[float]] = {variant.name: [] for variant in variants}
    for number in range(calls):
        turn = number % len(variants) if variants else 0
        for variant in [*variants[turn:], *variants[:turn]]:
            if variant.name in reasons or len(samples[variant.name]) >= (variant.calls or calls):
                continue
            start = time.perf_counter()
            try:
                own = variant.call()
            except Exception as error:  # noqa: BLE001 - as above
                reasons[variant.name] = f"failed in call {number + 1}: {why(error)}"
                say(f"  {variant.name}: {reasons[variant.name]}")
                continue
            taken = time.perf_counter() - start if own is None else own
            samples[variant.name].append(round(taken * 1e3, 4))
            if variant.settles:
                settle()
        if (number + 1) % 10 == 0:
            say(f"  round {number + 1} of {calls}")
            keep(_figures(variants, samples, reasons))
    return _figures(variants, samples, reasons)


def _figures(
    variants: Sequence[Variant], samples: Mapping[str, list[float]], reasons: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    return {
        variant.name: {"title": variant.title, **variant.details, **summary(samples[variant.name])}
        for variant in variants
        if variant.name not in reasons
    }


def burst(call: Callable[[], object], clients: int, seconds: float, lead: float) -> tuple[int, int]:
    """Call from `clients` threads for `lead + seconds`; return what ended in the last `seconds`.

    The lead uses up what was made ahead, so that only what is kept up counts.

    Returns:
        How many calls ended within the window, and how many were turned away in all.

    Raises:
        Exception: the first one that a call raised.
    """
    start = time.monotonic() + lead
    end = start + seconds
    counted: list[int] = []
    turned_away: list[int] = []
    errors: list[Exception] = []

    def work() -> None:
        mine = refused = 0
        try:
            while not errors and time.monotonic() < end:
                try:
                    call()
                except TurnedAway:
                    refused += 1
                else:
                    mine += start <= time.monotonic() < end
        except Exception as error:  # noqa: BLE001 - raised by the caller
            errors.append(error)
        counted.append(mine)
        turned_away.append(refused)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return sum(counted), sum(turned_away)


def burst_of_processes(
    kind: str, settings: Mapping[str, Any], clients: int, seconds: float, lead: float
) -> tuple[int, int]:
    """As `burst`, from `clients` processes of `load.py`.

    Raises:
        RuntimeError: a worker ended early; the message is its own.
    """
    command = [sys.executable, "-I", "-S", str(ROOT / "benchmarks/runner_bench/load.py"), kind]
    if kind == "cold_sdk":  # the SDK is in this interpreter's environment
        command = [sys.executable, *command[3:]]
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(clients)
        ]
        for worker in workers:
            stack.callback(worker.kill)
            _pipe(worker.stdin).write(json.dumps(settings) + "\n")
            _pipe(worker.stdin).flush()
        for worker in workers:
            if _pipe(worker.stdout).readline() != "ready\n":
                raise RuntimeError(f"a worker did not start: {_pipe(worker.stderr).read()[-300:]}")
        start = time.monotonic() + lead
        for worker in workers:
            _pipe(worker.stdin).write(f"{start} {start + seconds}\n")
            _pipe(worker.stdin).flush()
        counted = refused = 0
        for worker in workers:
            said, errors = worker.communicate(timeout=lead + seconds + 90)
            if worker.returncode:
                raise RuntimeError(f"a worker ended: {errors.strip()[-300:]}")
            mine, turned_away = map(int, said.split())
            counted, refused = counted + mine, refused + turned_away
    return counted, refused


def _pipe(end: IO[str] | None) -> IO[str]:
    if end is None:
        raise RuntimeError("a worker without a pipe")
    return end


def _burst(variant: Variant, clients: int, seconds: float, lead: float) -> tuple[int, int]:
    worker = variant.worker()
    if worker is None:
        return burst(variant.call, clients, seconds, lead)
    return burst_of_processes(*worker, clients, seconds, lead)


def sustained(
    variants: Sequence[Variant],
    rounds: int,
    seconds: float,
    lead: float,
    reasons: dict[str, str],
    say: Say,
    keep: Keep = lambda _: None,
) -> dict[str, dict[str, Any]]:
    """Measure executions per second under saturation; the best number of clients counts.

    `keep` is given what there is so far after each round.
    """
    found: dict[str, dict[int, list[float]]] = {}
    turned_away: dict[str, int] = {}
    for number in range(rounds):
        for variant in variants:
            for clients in variant.clients:
                if variant.name in reasons:
                    break
                settle(5.0)
                try:
                    count, refused = _burst(variant, clients, seconds, lead)
                except Exception as error:  # noqa: BLE001 - as above
                    reasons[variant.name] = f"failed under saturation: {why(error)}"
                    say(f"  {variant.name}: {reasons[variant.name]}")
                    continue
                rates = found.setdefault(variant.name, {}).setdefault(clients, [])
                rates.append(round(count / seconds, 3))
                turned_away[variant.name] = turned_away.get(variant.name, 0) + refused
                say(f"  round {number + 1}: {variant.name} x{clients}: {count / seconds:.1f}/s")
        keep(_rates(variants, found, turned_away, seconds, reasons))
    return _rates(variants, found, turned_away, seconds, reasons)


def _rates(
    variants: Sequence[Variant],
    found: Mapping[str, Mapping[int, list[float]]],
    turned_away: Mapping[str, int],
    seconds: float,
    reasons: Mapping[str, str],
) -> dict[str, dict[str, Any]]:
    result = {}
    for variant in variants:
        rates_of = found.get(variant.name)
        if not rates_of or variant.name in reasons:
            continue
        best = max(rates_of, key=lambda clients: statistics.median(rates_of[clients]))
        result[variant.name] = {
            "title": variant.title,
            "window_seconds": seconds,
            "clients": best,
            "load": "threads" if variant.worker() is None else "processes",
            "per_second": round(statistics.median(rates_of[best]), 3),
            "turned_away": turned_away[variant.name],
            "rates_by_clients": {str(clients): rates for clients, rates in rates_of.items()},
        }
    return result
