"""Scan, and submission to verdict, beside a bare `bandit -r` on the same wheel.

python benchmarks/scan.py [--rounds 15] [--output benchmarks/results/scan.json]

`scan` is `scanner.scan` from bytes to report: start of the process, imports, rehearsal, jail,
strict reading, bandit, our own checks, SARIF. `bandit` is the `bandit` command with JSON output on
the wheel unpacked beforehand: start of the process, imports, bandit. `submit` is from the request's
first byte to the signed and stored verdict, in a fresh registry with a worker that waits: upload,
intake, bundle verification, scan, signature, store (WSGI, no network). Rounds alternate.
Our packages are compiled first, as an installer does; bandit's were when it was installed.
"""

from __future__ import annotations

import argparse
import compileall
import io
import os
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from benchmarks._results import FOLDER, header, timed, write
from scanner import scan
from tests.support.evidence import TrustFixture
from tests.support.registry import RegistryFixture
from tests.support.wheels import make_wheel

ROOT = Path(__file__).resolve().parent.parent
SYNTHETIC_FILES = 40


def synthetic_wheel() -> tuple[str, bytes]:
    """Return a wheel of 40 modules, about 4 kB each, of ordinary code."""
    function = (
        "def total_{n}(rows, *, key='value'):\n"
        '    """Add up one column."""\n'
        "    result = 0\n"
        "    for row in rows:\n"
        "        if key in row and row[key] is not None:\n"
        "            result += row[key] * {n}\n"
        "    return {{'total': result, 'rows': len(rows), 'name': f'total {{key}}'}}\n\n\n"
    )
    module = "import json\nimport re\n\n\n" + "".join(function.format(n=n) for n in range(1, 16))
    return make_wheel(files={f"example_plugin/m{i}.py": module for i in range(SYNTHETIC_FILES)})


def wheels() -> dict[str, tuple[str, bytes]]:
    """Return the wheels by label; the examples only where `make examples` has built them."""
    found = {"synthetic, 40 modules": synthetic_wheel(), "smallest": make_wheel()}
    for path in sorted((ROOT / "examples" / "dist").glob("*.whl")):
        found[f"example {path.name}"] = (path.name, path.read_bytes())
    return found


def submission(trust: TrustFixture, name: str, data: bytes) -> float:
    """Return the seconds from submission to verdict in a new registry."""
    bundle = trust.submit(name, data)
    with tempfile.TemporaryDirectory() as folder:
        registry = RegistryFixture.make(trust, Path(folder))
        registry.app.test_client_class = None  # do not hold answers against their schema here

        def road() -> None:
            answer = registry.upload(name, data, bundle)
            if answer.status_code != 201 or not registry.worker.run_once():
                raise SystemExit(f"the submission failed: {answer.get_data(as_text=True)}")

        seconds = timed(road)
        registry.services.close()
    return seconds


def bare_bandit(folder: Path) -> None:
    """Run the bandit command on a folder; its exit code 1 says that it found something."""
    command = Path(sys.executable).parent / "bandit"
    done = subprocess.run(
        [command, "-q", "-r", folder, "-f", "json", "-o", os.devnull],
        check=False,
        capture_output=True,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"bandit failed: {done.stderr.decode()}")


def measure(name: str, data: bytes, rounds: int) -> dict[str, Any]:
    """Measure one wheel."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(folder)
            python = [i for i in archive.infolist() if i.filename.endswith(".py")]
        result = scan(data, name)
        bare_bandit(folder)
        trust = TrustFixture()
        ours, bare, submitted = [], [], []
        for _ in range(rounds):
            submitted.append(submission(trust, name, data))
            ours.append(timed(lambda: bool(scan(data, name))))
            bare.append(timed(lambda: bare_bandit(folder)))
    return {
        "wheel_bytes": len(data),
        "python_files": len(python),
        "python_bytes": sum(info.file_size for info in python),
        "verdict": result.verdict,
        "result": result.result,
        "counts": result.counts,
        "scan_seconds": statistics.median(ours),
        "scan_seconds_worst": max(ours),
        "bandit_seconds": statistics.median(bare),
        "bandit_seconds_worst": max(bare),
        "submit_to_verdict_seconds": statistics.median(submitted),
        "submit_to_verdict_seconds_worst": max(submitted),
        "ratio": statistics.median(ours) / statistics.median(bare),
        "submit_ratio": statistics.median(submitted) / statistics.median(bare),
    }


def main() -> None:
    """Measure every wheel, print a table and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--output", type=Path, default=FOLDER / "scan.json")
    options = parser.parse_args()
    for package in ("scanner", "trust", "registry"):
        compileall.compile_dir(ROOT / package, quiet=1)
    report: dict[str, Any] = {
        **header("bandit"),
        "rounds": options.rounds,
        "wheels": {},
    }
    head = f"{'files':>5} {'scan':>8} {'bandit':>8} {'ratio':>6} {'submit':>8} {'ratio':>6}"
    print(f"{'wheel':<48} {head}")
    for label, (name, data) in wheels().items():
        figures = measure(name, data, options.rounds)
        report["wheels"][label] = figures
        print(
            f"{label:<48} {figures['python_files']:>5} {figures['scan_seconds'] * 1e3:>5.0f} ms"
            f" {figures['bandit_seconds'] * 1e3:>5.0f} ms {figures['ratio']:>6.2f}"
            f" {figures['submit_to_verdict_seconds'] * 1e3:>5.0f} ms"
            f" {figures['submit_ratio']:>6.2f}",
            flush=True,
        )
    write(options.output, report)


if __name__ == "__main__":
    main()
