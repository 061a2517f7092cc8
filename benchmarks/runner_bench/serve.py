"""The runner's process under test: `python -m benchmarks.runner_bench.serve KEYS STATE PORT`.

It is `runner.main.serve` and nothing else; with `--phases FILE`, the parts of a call are timed and
the samples are written to FILE (JSON) when the runner ends.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.runner_bench.phases import Phases
from runner.main import RunnerSettings, serve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("keys", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--phases", type=Path)
    options = parser.parse_args()
    phases = Phases() if options.phases else None
    if phases is not None:
        phases.install()
    try:
        serve(RunnerSettings.under(options.keys, options.state), "127.0.0.1", options.port)
    finally:
        if phases is not None:
            phases.write(options.phases)


if __name__ == "__main__":
    main()
