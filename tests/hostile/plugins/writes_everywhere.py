"""Tries: write in every folder that there is.

Expected: ok
Expected in the fallback: ok, timeout
Stopped by: read-only root, one bounded tmpfs
"""

import os


def run(arguments):
    escaped = []
    for folder, _, _ in os.walk("/"):
        if folder.startswith(("/proc/", "/sys/")) and folder.count("/") > 3:
            continue
        path = os.path.join(folder, "sealgate-hostile")
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            continue
        if not path.startswith("/tmp/"):
            escaped.append(path)
    return {"escaped": escaped}
