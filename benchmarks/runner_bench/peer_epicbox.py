"""epicbox in its own environment; run by `peers.py`, speaks JSON lines."""

import json
import logging
import sys
import time

import epicbox


def main() -> None:
    logging.disable(logging.CRITICAL)
    task = json.loads(sys.stdin.readline())
    epicbox.configure(profiles=[epicbox.Profile("python", task["image"])])
    command = f"python3 -c '{task['script']}'"
    if "'" in task["script"]:
        raise ValueError("the script must not have a single quote")
    print("{}", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        done = epicbox.run("python", command, stdin=task["arguments"])
        taken = time.perf_counter() - start
        if done["exit_code"] != 0:
            print(json.dumps({"error": repr(done)[:300]}), flush=True)
            continue
        print(json.dumps({"seconds": taken, "result": done["stdout"].decode()}), flush=True)


if __name__ == "__main__":
    main()
