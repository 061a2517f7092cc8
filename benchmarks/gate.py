"""The gate's time for five bundles: in a fresh process with its imports, and warm.

python benchmarks/gate.py [--calls 200] [--processes 30] [--output benchmarks/results/gate.json]

The evidence is signed by an in-memory Sigstore instance: no service runs, no socket is opened.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks._results import FOLDER, header, spread, write  # noqa: E402 - after the path is set
from tests.support.evidence import TrustFixture  # noqa: E402
from tests.support.wheels import make_wheel  # noqa: E402
from trust.gate import Admitted, Gate  # noqa: E402

COLD = """
import json, sys, time
start = time.perf_counter()
from datetime import UTC, datetime
from pathlib import Path
from trust.gate import Gate
from trust.identity import Identity
imported = time.perf_counter()
home = Path(sys.argv[1])
case = json.loads((home / "case.json").read_bytes())
wheel = (home / case["filename"]).read_bytes()
bundles = [path.read_bytes() for path in sorted(home.glob("*.sigstore.json"))]
gate = Gate(*((home / name).read_bytes() for name in ("root", "layout", "owners")))
made = time.perf_counter()
decision = gate.decide(
    wheel, case["filename"], bundles, [Identity(*case["author"])], datetime.now(UTC)
)
decided = time.perf_counter()
assert type(decision).__name__ == "Admitted", decision
print(json.dumps({
    "import": imported - start, "gate": made - imported, "first_decide": decided - made,
}))
"""


def warm(fixture: TrustFixture, name: str, wheel: bytes, calls: int) -> dict[str, Any]:
    """Time decisions of one gate, and making the gate, in this process."""
    bundles = fixture.full(name, wheel)
    decisions, gates = [], []
    for _ in range(5):
        assert isinstance(fixture.decide(wheel, name, bundles), Admitted)
    for _ in range(calls):
        start = time.perf_counter()
        decision = fixture.decide(wheel, name, bundles)
        decisions.append(time.perf_counter() - start)
        assert isinstance(decision, Admitted)
    for _ in range(30):
        start = time.perf_counter()
        Gate(fixture.sigstore.trusted_root, fixture.layout, fixture.owners)
        gates.append(time.perf_counter() - start)
    return {
        "decide": spread(decisions),
        "make_gate": spread(gates),
        "bundles": len(bundles),
        "bundle_bytes": sum(map(len, bundles)),
        "wheel_bytes": len(wheel),
    }


def cold(fixture: TrustFixture, name: str, wheel: bytes, processes: int) -> dict[str, Any]:
    """Time the first decision of fresh processes; files are in the page cache."""
    parts: dict[str, list[float]] = {"import": [], "gate": [], "first_decide": [], "process": []}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for index, bundle in enumerate(fixture.full(name, wheel)):
            (home / f"{index}.sigstore.json").write_bytes(bundle)
        (home / name).write_bytes(wheel)
        (home / "root").write_bytes(fixture.sigstore.trusted_root)
        (home / "layout").write_bytes(fixture.layout)
        (home / "owners").write_bytes(fixture.owners)
        author = [fixture.author.issuer, fixture.author.subject]
        (home / "case.json").write_text(json.dumps({"filename": name, "author": author}))
        for _ in range(processes):
            start = time.perf_counter()
            run = subprocess.run(
                [sys.executable, "-c", COLD, folder],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            parts["process"].append(time.perf_counter() - start)
            for part, seconds in json.loads(run.stdout).items():
                parts[part].append(seconds)
    return {part: spread(samples) for part, samples in parts.items()}


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    parser.add_argument("--processes", type=int, default=30)
    parser.add_argument("--output", type=Path, default=FOLDER / "gate.json")
    arguments = parser.parse_args()
    name, wheel = make_wheel()
    fixture = TrustFixture()
    results = {
        **header("sigstore", "in-toto", "cryptography"),
        "warm": warm(fixture, name, wheel, arguments.calls),
        "cold": cold(fixture, name, wheel, arguments.processes),
    }
    write(arguments.output, results)
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
