"""The log's speed and, more to the point, its growth: appends per second, proofs at three sizes.

python benchmarks/log.py [--sizes 1000,100000,1000000] [--output benchmarks/results/log.json]
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks._results import FOLDER, header, spread, timed, write
from trust.log import MerkleLog, NoteSigner, verify_consistency, verify_inclusion
from trust.outcomes import Passed

ENTRY_BYTES = 600
"""About what an audit record or a hashedrekord entry has."""
GROUP = 100
BATCH = 10_000
SINGLE_APPENDS = 300
GROUPS = 50
PROOFS = 500


def raw_fsync(directory: Path) -> dict[str, float]:
    """Time what no durable append can be faster than: 4 KiB appended and synced."""
    with (directory / "fsync").open("wb") as file:

        def once() -> None:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())

        return spread([timed(once) for _ in range(SINGLE_APPENDS)], "us")


def grow(log: MerkleLog, size: int) -> dict[str, float]:
    """Fill the log to `size` entries in large groups."""
    chance = random.Random(size)
    start, before = time.perf_counter(), log.size
    while (have := log.size) < size:
        log.append_many(chance.randbytes(ENTRY_BYTES) for _ in range(min(BATCH, size - have)))
    seconds = time.perf_counter() - start
    return {"entries": size - before, "seconds": seconds, "per_second": (size - before) / seconds}


def measure(log: MerkleLog, path: Path, size: int) -> dict[str, Any]:
    """Measure proofs and appends at `size` entries."""
    chance = random.Random(size)
    root, inclusion, checking, lengths = log.root(size), [], [], []
    for _ in range(PROOFS):
        index = chance.randrange(size)
        proof: list[bytes] = []
        inclusion.append(timed(lambda i=index, p=proof: p.extend(log.inclusion_proof(i, size))))
        leaf = log.leaf_hash(index)
        checking.append(
            timed(lambda i=index, p=proof, h=leaf: verify_inclusion(h, i, size, p, root))
        )
        lengths.append(len(proof))
    consistency = []
    for _ in range(PROOFS):
        old = chance.randrange(1, size)
        proof = []
        consistency.append(timed(lambda o=old, p=proof: p.extend(log.consistency_proof(o, size))))
        verify_consistency(old, log.root(old), size, root, proof)
    receipts = [timed(lambda i=chance.randrange(size): log.receipt(i)) for _ in range(PROOFS)]
    cpu = time.process_time()
    single = [
        timed(lambda: log.append(chance.randbytes(ENTRY_BYTES))) for _ in range(SINGLE_APPENDS)
    ]
    cpu = (time.process_time() - cpu) / SINGLE_APPENDS
    groups = [
        timed(lambda: log.append_many(chance.randbytes(ENTRY_BYTES) for _ in range(GROUP)))
        for _ in range(GROUPS)
    ]
    return {
        "size": size,
        "inclusion_proof": spread(inclusion, "us"),
        "inclusion_check": spread(checking, "us"),
        "inclusion_hashes": {"mean": statistics.mean(lengths), "max": max(lengths)},
        "inclusion_bytes_max": 32 * max(lengths),
        "consistency_proof": spread(consistency, "us"),
        "receipt": spread(receipts, "us"),
        "append_single": spread(single, "us"),
        "append_single_cpu": {"mean_us": cpu * 1e6},
        "append_single_per_second": len(single) / sum(single),
        "append_group": spread(groups, "us"),
        "append_group_per_second": GROUP * len(groups) / sum(groups),
        "file_bytes": path.stat().st_size,
    }


def growth(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """Return how much slower each size is than the one before it."""
    return [
        {
            "from": small["size"],
            "to": large["size"],
            "size_ratio": large["size"] / small["size"],
            **{
                name: large[name][figure] / small[name][figure]
                for name, figure in (
                    ("inclusion_proof", "median_us"),
                    ("consistency_proof", "median_us"),
                    ("receipt", "median_us"),
                    ("append_single_cpu", "mean_us"),
                )
            },
        }
        for small, large in itertools.pairwise(rows)
    ]


def run(sizes: list[int], directory: Path) -> dict[str, Any]:
    """Build one log through all sizes and measure at each."""
    path = directory / "log.sqlite3"
    log = MerkleLog(path, NoteSigner.generate("benchmark.sealgate.local"))
    result: dict[str, Any] = {
        **header(),
        "sqlite": sqlite3.sqlite_version,
        "entry_bytes": ENTRY_BYTES,
        "group": GROUP,
        "raw_fsync": raw_fsync(directory),
        "sizes": [],
    }
    for size in sizes:
        print(f"filling the log to {size} entries ...", flush=True)
        filled = grow(log, size)
        result["sizes"].append({"fill": filled} | measure(log, path, size))
    entries = log.size
    print(f"re-checking all {entries} entries ...", flush=True)
    seconds = timed(lambda: _must_pass(log))
    result["verify"] = {"entries": entries, "seconds": seconds, "per_second": entries / seconds}
    result["growth"] = growth(result["sizes"])
    return result


def _must_pass(log: MerkleLog) -> None:
    outcome = log.verify()
    if not isinstance(outcome, Passed):
        raise RuntimeError(f"the log does not verify: {outcome}")


def table(result: dict[str, Any]) -> str:
    """Return the figures for a terminal."""
    head = ("entries", "append/s", "group/s", "prove us", "check us", "receipt us", "hashes")
    rows = [
        (
            f"{row['size']}",
            f"{row['append_single_per_second']:.0f}",
            f"{row['append_group_per_second']:.0f}",
            f"{row['inclusion_proof']['median_us']:.0f}",
            f"{row['inclusion_check']['median_us']:.0f}",
            f"{row['receipt']['median_us']:.0f}",
            f"{row['inclusion_hashes']['max']}",
        )
        for row in result["sizes"]
    ]
    lines = ["  ".join(f"{cell:>10}" for cell in row) for row in (head, *rows)]
    fsync = result["raw_fsync"]["median_us"]
    lines.append(f"bare fsync: {fsync:.0f} us; re-check: {result['verify']['per_second']:.0f}/s")
    lines += [
        f"{step['from']} -> {step['to']} ({step['size_ratio']:.0f} times the entries): proof "
        f"{step['inclusion_proof']:.2f} times, append's CPU {step['append_single_cpu']:.2f} times"
        for step in result["growth"]
    ]
    return "\n".join(lines)


def main() -> None:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,100000,1000000")
    parser.add_argument("--output", type=Path, default=FOLDER / "log.json")
    parser.add_argument(
        "--directory", type=Path, help="where the log is made (default: a temporary)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.directory) as directory:
        result = run([int(size) for size in arguments.sizes.split(",")], Path(directory))
    write(arguments.output, result)
    print(table(result))


if __name__ == "__main__":
    main()
