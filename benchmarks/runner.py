"""The runner beside a subprocess, `docker run`, the docker SDK, epicbox and llm-sandbox.

python benchmarks/runner.py [--calls 30] [--rounds 2] [--seconds 6] [--only NAME ...]

Every variant does the same job, JSON in and JSON out, in one run on one machine, turn and turn
about. Writes benchmarks/results/runner.json and runner.svg, and meanwhile what there is so far to
runner.partial.json; see benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
# before this file's own folder: `import runner` is the package, not this file
sys.path.insert(0, str(ROOT))

from benchmarks.runner_bench import measure, ratios, report  # noqa: E402 - after the path is set
from benchmarks.runner_bench.baselines import baselines  # noqa: E402
from benchmarks.runner_bench.machine import describe  # noqa: E402
from benchmarks.runner_bench.peers import peers  # noqa: E402
from benchmarks.runner_bench.service import services  # noqa: E402
from runner.sandbox.engine import Engine  # noqa: E402
from runner.sandbox.image import ensure  # noqa: E402

SCHEMA_VERSION = 1
LEAD_SECONDS = 2.0
"""Calls before the window in which the saturated rate is counted, so that what was made ahead is
used up."""


def say(text: str) -> None:
    """Tell people how it goes, on stderr."""
    print(text, file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure everything that this machine can run."""
    image = ensure(Engine().client, say)
    result: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": describe(image),
        "settings": {
            "calls": options.calls,
            "rounds": options.rounds,
            "window_seconds": options.seconds,
            "lead_seconds": LEAD_SECONDS,
        },
    }
    variants = [*baselines(image), *services(image), *peers(image)]
    if options.only:
        variants = [variant for variant in variants if variant.name in options.only]
    partial = options.output.with_suffix(".partial.json")
    partial.parent.mkdir(parents=True, exist_ok=True)

    def kept(part: str) -> measure.Keep:
        def keep(figures: dict[str, dict[str, Any]]) -> None:
            so_far = result | {part: figures, "not_available": reasons, "partial": True}
            partial.write_text(json.dumps(so_far, indent=1) + "\n", encoding="utf-8")

        return keep

    with ExitStack() as stack:
        say("opening")
        ready, reasons = measure.open_all(variants, stack, say)
        say("one call at a time")
        result["latency"] = measure.latency(ready, options.calls, reasons, say, kept("latency"))
        say("saturated")
        result["sustained"] = measure.sustained(
            ready, options.rounds, options.seconds, LEAD_SECONDS, reasons, say, kept("sustained")
        )
        result["not_available"] = reasons
    partial.unlink(missing_ok=True)
    result["ratios"] = ratios.compute(result)
    result["machine"]["load_average_after"] = [round(load, 2) for load in os.getloadavg()]
    return result


def main() -> None:
    """Measure, write the files, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=30, help="calls of each variant")
    parser.add_argument("--rounds", type=int, default=5, help="saturated windows of each variant")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of such a window")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only these variants")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/runner.json")
    options = parser.parse_args()
    result = run(options)
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    options.output.with_suffix(".svg").write_text(report.plot(result), encoding="utf-8")
    print(report.table(result))


if __name__ == "__main__":
    main()
