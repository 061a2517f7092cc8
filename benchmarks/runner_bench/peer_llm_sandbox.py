"""llm-sandbox in its own environment; run by `peers.py`, speaks JSON lines.

Its set-up of a virtual environment in each container is skipped, in its favour.
"""

import json
import sys
import time
from contextlib import nullcontext

from llm_sandbox import SandboxSession


def main() -> None:
    task = json.loads(sys.stdin.readline())

    def session():
        return SandboxSession(
            lang="python",
            image=task["image"],
            skip_environment_setup=True,
            keep_template=True,
            runtime_configs={"network_mode": "none", **task.get("runtime", {})},
        )

    reused = session() if task["session"] == "reused" else None
    with reused or nullcontext():
        print("{}", flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            if reused is not None:
                done = reused.run(task["embedded"])
            else:
                with session() as fresh:
                    done = fresh.run(task["embedded"])
            taken = time.perf_counter() - start
            if done.exit_code != 0:
                print(json.dumps({"error": repr(done)[:300]}), flush=True)
                continue
            print(json.dumps({"seconds": taken, "result": done.stdout}), flush=True)


if __name__ == "__main__":
    main()
