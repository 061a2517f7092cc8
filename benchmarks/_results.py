"""What every benchmark shares: a stop watch, where its figures come from, and the file of results.

The name begins with `_` because it is no program: `make bench` runs the others.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent / "results"
_UNITS = {"ms": 1e3, "us": 1e6}


def header(*libraries: str) -> dict[str, Any]:
    """Return the first members of a result: the time, and the machine with these libraries."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(*libraries),
    }


def machine(*libraries: str) -> dict[str, Any]:
    """Return what the figures are measured on, and how busy it is."""
    return {
        "cpu": cpu(),
        "cpus": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: version(name) for name in libraries},
        "load_average_before": os.getloadavg(),
    }


def cpu() -> str:
    """Return the processor's model."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else "unknown"


def timed(action: Callable[[], object]) -> float:
    """Return how long `action` takes, in seconds."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def spread(samples: Sequence[float], unit: str = "ms") -> dict[str, float]:
    """Return the median and the tails of times in seconds, in `ms` or `us`."""
    ordered, times = sorted(samples), _UNITS[unit]
    return {
        f"median_{unit}": round(statistics.median(ordered) * times, 3),
        f"p95_{unit}": round(ordered[int(len(ordered) * 0.95)] * times, 3),
        f"max_{unit}": round(ordered[-1] * times, 3),
        "samples": len(ordered),
    }


def write(path: Path, result: dict[str, Any]) -> None:
    """Write what there is so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
