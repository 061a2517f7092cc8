"""Tries: copy the interpreter to /tmp and execute it.

Expected: ok
Not held by the fallback: bubblewrap mounts no tmpfs with noexec
Stopped by: noexec on the tmpfs
"""

import os
import shutil


def run(arguments):
    shutil.copy("/usr/bin/python3", "/tmp/python3")
    os.chmod("/tmp/python3", 0o755)
    pid = os.fork()
    if pid == 0:
        try:
            os.execv("/tmp/python3", ["python3", "-I", "-S", "-c", "pass"])
        finally:
            os._exit(111)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return {"escaped": [] if code == 111 else [code]}
