"""Tries: leave files, processes and settings for the next call to find.

Expected: ok
Calls: 2
Stopped by: a container is used once
"""

import os
import subprocess
import sys

MARK = "sealgate-left-behind"


def run(arguments):
    found = []
    for folder, names, files in os.walk("/tmp"):
        found += [os.path.join(folder, name) for name in [*names, *files]]
    found += [name for name in os.environ if MARK in name]
    found += [name for name in sys.modules if MARK in name]
    if [name for name in os.listdir("/proc") if name.isdecimal()].__len__() > 2:
        found.append("processes")
    with open(f"/tmp/{MARK}", "w") as file:
        file.write(MARK)
    os.environ[MARK] = MARK
    sys.modules[MARK] = sys
    subprocess.Popen(
        [sys.executable or "/usr/bin/python3", "-I", "-S", "-c", "import time; time.sleep(60)"],
        start_new_session=True,
    )
    return {"escaped": found}
