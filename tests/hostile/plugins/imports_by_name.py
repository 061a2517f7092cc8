"""Tries: import what the wheel does not have, from anywhere else.

Expected: ok
Runtimes: runc
Stopped by: the worker imports from the wheel and the standard library only
"""

import importlib
import sys


def run(arguments):
    escaped = []
    open("/tmp/planted.py", "w").write("raise SystemExit('planted')")
    for name in ("planted", "_sealgate_harness", "_sealgate_harness.supervisor", "supervisor"):
        try:
            importlib.import_module(name)
            escaped.append(name)
        except ImportError:
            continue
    escaped += [path for path in sys.path if not path.startswith("/usr/lib/python3")]
    return {"escaped": escaped}
