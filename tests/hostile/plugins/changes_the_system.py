"""Tries: replace, delete and rename files of the image.

Expected: ok
Runtimes: runc
Stopped by: read-only root, root-owned files, no capabilities
"""

import os


def run(arguments):
    escaped = []

    def attempt(name, action):
        try:
            action()
        except OSError:
            return
        escaped.append(name)

    attempt("open", lambda: open("/usr/bin/python3", "r+b"))
    attempt("unlink", lambda: os.unlink("/usr/bin/python3"))
    attempt("rename", lambda: os.rename("/sealgate/start.py", "/sealgate/old.py"))
    attempt("chmod", lambda: os.chmod("/sealgate/start.py", 0o777))
    attempt("chown", lambda: os.chown("/etc/passwd", 65534, 65534))
    attempt("truncate", lambda: os.truncate("/etc/passwd", 0))
    attempt("utime", lambda: os.utime("/etc/passwd", (0, 0)))
    return {"escaped": escaped}
