"""Use up what a call is given: memory, processor, time, output, processes."""

import threading
import time

_MIB = 1 << 20


def memory(arguments):
    """Take memory, one MiB after the other, until there are `mebibytes` of it."""
    taken = []
    try:
        for _ in range(arguments["mebibytes"]):
            taken.append(b"\x01" * _MIB)  # noqa: PERF401 - what was taken is counted at the end
    except MemoryError:
        count = len(taken)
        taken.clear()
        return {"outcome": "refused", "error": "MemoryError", "taken": count}
    return {"outcome": "allowed", "error": None, "taken": len(taken)}


def cpu(arguments):
    """Compute for `seconds` of processor time."""
    rounds = 0
    while time.process_time() < arguments["seconds"]:
        rounds += sum(range(1000)) > 0
    return {"outcome": "allowed", "error": None, "taken": rounds}


def wall(arguments):
    """Sleep for `seconds`."""
    time.sleep(arguments["seconds"])
    return {"outcome": "allowed", "error": None, "taken": arguments["seconds"]}


def output(arguments):
    """Return `kibibytes` of text; with `log`, print as much too."""
    text = "x" * (arguments["kibibytes"] << 10)
    if arguments.get("log"):
        print(text)
    return {"outcome": "allowed", "error": None, "taken": arguments["kibibytes"], "text": text}


def processes(arguments):
    """Start `count` threads that wait for each other."""
    done = threading.Event()
    started = []
    error = None
    try:
        for _ in range(arguments["count"]):
            thread = threading.Thread(target=done.wait, daemon=True)
            thread.start()
            started.append(thread)
    except RuntimeError as refusal:
        error = f"RuntimeError: {refusal}"
    done.set()
    outcome = "allowed" if error is None else "refused"
    return {"outcome": outcome, "error": error, "taken": len(started)}
